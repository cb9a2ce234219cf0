# On Colab, each notebook's first cell pipes this into bash: it installs the package and brings the results beside the notebook.
set -e
cd /content
[ -d cprl_nb ] || git clone -q --depth 1 https://github.com/cprl-nb/cprl_nb
pip install -q ./cprl_nb
ln -sfn cprl_nb/nbs/results results
ln -sfn cprl_nb/nbs/matplotlibrc matplotlibrc
echo 'cprl_nb is installed. Cells marked #| slow take minutes, or need data that you have to get yourself.'
