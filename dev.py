#!/usr/bin/env python3
"""Chores of this repository.

  python dev.py prepare           the one to remember: export, clean, links and table of chapters, README, check,
                                  and the tests of the notebooks that differ from the last commit
  python dev.py test [NAME ...]   run the notebooks as tests, two at a time with one thread each (NAME: e.g. 10 or
                                  attacks; --flags slow,gpu runs those cells too; --threads 4: one at a time with
                                  four threads; --threads 0: with as many as torch takes by itself)
  python dev.py run NAME ...      run notebooks and save their outputs (progress bars dropped), except cells
                                  that `test` skips, too; figures as nbs/matplotlibrc says, at twice its dots
  python dev.py readme            write README.md from nbs/index.ipynb
  python dev.py check             do notebooks, package and README agree, and file numbers, sidebar, Next links and
                                  table of chapters? No equation anchored twice, output an error, line too long?
  python dev.py types             do README's lines of Python pass pyright, as in a reader's editor?
  python dev.py site              render the notebooks to a local site without quarto, _docs_local/index.html,
                                  and check its pages (Python 3.11 on); --look: in a headless browser, too, on a
                                  desktop and on a phone (site NAME ... --look FOLDER: those pages, with pictures)
  python dev.py zoo [CONTROL ...] audit networks whose answer is known, and print how often the audit is wrong
"""
import argparse, base64, html, io, os, re, shutil, subprocess, sys, tempfile, time
from concurrent.futures import ProcessPoolExecutor, as_completed
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent
WIDTH = 120  # of a line of code
HUB, BOOK = 'https://github.com/cprl-nb/cprl_nb', 'https://cprl-nb.github.io/cprl_nb'
COLAB = 'https://colab.research.google.com'
BADGES = f'''
[![tests]({HUB}/actions/workflows/test.yml/badge.svg)]({HUB}/actions/workflows/test.yml)
[![docs]({HUB}/actions/workflows/docs.yml/badge.svg)]({BOOK})
[![Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/cprl-nb/cprl_nb/blob/main/nbs/00_quick_start.ipynb)
[![licence: Apache-2.0](https://img.shields.io/badge/licence-Apache--2.0-blue)]({HUB}/blob/main/LICENSE)
'''  # for README only: the pages ask nothing of other servers
os.environ.update({'MPLBACKEND': 'agg', 'MATPLOTLIBRC': str(ROOT/'nbs'/'matplotlibrc'), 'TQDM_MININTERVAL': '1'})


def notebooks(names):
    "The notebooks whose name contains one of `names` (all if none is given), in reading order"
    hidden = lambda p: any(d[0] in '._' for d in p.relative_to(ROOT/'nbs').parts)
    found = sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if not hidden(p))
    if not names: return found
    for n in names:
        if any(n in p.stem for p in found): continue
        sys.exit(f"no notebook is called {n!r}; there are: {', '.join(p.stem for p in found)}")
    return [p for p in found if any(n in p.stem for n in names)]


def skip_flags(flags):
    from nbdev.config import get_config
    return set(get_config(path=ROOT).tst_flags.split()) - set(flags)


def test_one(path, skip, threads):
    "Run one notebook as a test: its path, whether it passed, its seconds, what it said on failing, torch's threads"
    import contextlib
    import torch
    from nbdev.test import test_nb
    if threads: torch.set_num_threads(threads)
    said = io.StringIO()
    start = time.time()
    with contextlib.redirect_stderr(said): passed, _ = test_nb(path, skip_flags=skip, basepath=ROOT)
    return path, passed, time.time() - start, said.getvalue(), torch.get_num_threads()


def test(names, flags, threads=1):
    paths, skip = notebooks(names), sorted(skip_flags(flags))
    n_failed = 0
    workers = min(2 if threads == 1 else 1, len(paths))
    fresh = dict(max_tasks_per_child=1) if sys.version_info >= (3, 11) else {}  # a process for each notebook
    with ProcessPoolExecutor(workers, **fresh) as pool:
        for job in as_completed([pool.submit(test_one, p, skip, threads) for p in paths]):
            path, passed, seconds, said, used = job.result()
            n_failed += not passed
            word = 'passed' if passed else 'FAILED'
            name = path.relative_to(ROOT/'nbs')
            print(f"{word}  {name}  {seconds:.0f} s" + (f", {used} threads" if threads != 1 else ''), flush=True)
            if not passed: print(said, flush=True)
    print(f"{len(paths) - n_failed} passed, {n_failed} failed")
    return n_failed


def is_noise(output):
    "Progress bars and other things on standard error do not belong into a committed notebook"
    return output.get('name') == 'stderr' or 'application/vnd.jupyter.widget-view+json' in output.get('data', {})


def lighten(output, limit=150_000):
    "Store a picture that weighs much as PNG, as photographs do, as a JPEG of the same size where that is smaller"
    from PIL import Image
    png = output.get('data', {}).get('image/png', '')
    if len(png) < limit: return
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB').save(jpeg, 'JPEG', quality=90, subsampling=0)
    text = base64.b64encode(jpeg.getvalue()).decode()
    if len(text) > len(png)/2: return
    for d, value in ((output['data'], text), (output['metadata'], output['metadata'].get('image/png'))):
        if d.pop('image/png', None) is not None: d['image/jpeg'] = value


def run(names, flags):
    import matplotlib
    from execnb.nbio import read_nb, write_nb
    from execnb.shell import CaptureShell
    from nbdev.clean import clean_nb
    from nbdev.process import NBProcessor
    skip = skip_flags(flags)
    for path in notebooks(names):
        directives = {c.id: getattr(c, 'directives_', {}) for c in NBProcessor(path, process=True).nb.cells}
        nb = read_nb(path)
        def skipped(c):
            said = directives[c.id] if c.cell_type == 'code' else {}
            return c.cell_type != 'code' or skip & said.keys() or said.get('eval:') == ['false']
        for c in nb.cells:
            if not skipped(c): c.outputs = []  # a cell that shows nothing any more would keep what it showed
        os.chdir(path.parent)
        start = time.time()
        shell = CaptureShell(path)
        with matplotlib.rc_context(fname=ROOT/'nbs'/'matplotlibrc'):  # what a notebook changes stays in it
            shell.run_all(nb, exc_stop=True, preproc=skipped)
        for c in nb.cells:
            if c.cell_type != 'code': continue
            c.outputs = [o for o in c.get('outputs', []) if not is_noise(o)]
            for o in c.outputs: lighten(o)
        clean_nb(nb, clean_ids=True)
        write_nb(nb, path)
        print(f"{path.relative_to(ROOT/'nbs')}  {time.time() - start:.0f} s", flush=True)
    return 0


def chapters():
    "Section -> its notebooks, as nbs/sidebar.yml lists them"
    import yaml
    book = yaml.safe_load((ROOT/'nbs'/'sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar']['contents']
    return {part['section']: [ROOT/'nbs'/name for name in part['contents']] for part in book if isinstance(part, dict)}


def about(path):
    "Title and subtitle of a notebook, and its name"
    from execnb.nbio import read_nb
    lines = read_nb(path).cells[0].source.split('\n')
    title, subtitle = (next((l.removeprefix(mark) for l in lines if l.startswith(mark)), '') for mark in ('# ', '> '))
    return title, subtitle, path.name


def table_of_chapters():
    rows = ['| chapter | question |', '|---|---|']
    for section, paths in chapters().items():
        rows.append(f'| **{section}** | |')
        rows += [f'| [{title}]({name}) | {subtitle} |' for title, subtitle, name in map(about, paths)]
    return '\n'.join(rows)


def contents():
    "Write what follows from the order of chapters: `Next` and Colab links, and the table in nbs/index.ipynb"
    from execnb.nbio import read_nb, write_nb
    order = [p for paths in chapters().values() for p in paths]
    if not all(p.exists() for p in order): return 0  # `check` says which is not there
    for path, following in zip(order, [*order[1:], None]):
        nb = read_nb(path)
        last = [c for c in nb.cells if c.cell_type == 'markdown'][-1]
        link = '' if following is None else 'Next: [{}]({})'.format(*about(following)[::2])
        text = re.sub(r'\n*^Next: \[.*\Z', '', last.source, flags=re.M | re.S) + f'\n\n{link}'.rstrip()
        colab = next(c for c in nb.cells if 'colab.research.google.com' in c.source)
        here = re.sub(r'(blob/main/nbs/)\w+\.ipynb', rf'\g<1>{path.name}', colab.source)
        if (text, here) != (last.source, colab.source):
            last.source, colab.source = text, here
            write_nb(nb, path)
    nb = read_nb(ROOT/'nbs'/'index.ipynb')
    cell = next(c for c in nb.cells if c.source.startswith('| chapter |'))
    if cell.source != table_of_chapters():
        cell.source = table_of_chapters()
        write_nb(nb, ROOT/'nbs'/'index.ipynb')
    return 0


LINK = re.compile(r'(?<=\]\()(?:\d+[a-z]*_)?(\w+)\.(?:html|ipynb)(?=[)#])')  # as people write them

def targets():
    "What a link to a chapter is called -> the notebook's name"
    return {re.sub(r'^\d+[a-z]*_', '', p.stem): p.name for p in notebooks([])}


def links():
    "Let links between chapters name the notebook by its number of today, so that they work in Jupyter and on GitHub"
    from execnb.nbio import read_nb, write_nb
    names = targets()
    for path in notebooks([]):
        nb, found = read_nb(path), 0
        for c in nb.cells:
            if c.cell_type != 'markdown': continue
            text = LINK.sub(lambda m: names.get(m[1], m[0]), c.source)
            found += text != c.source
            c.source = text
        if found: write_nb(nb, path)
    return 0


def stray_links():
    "Links between chapters that name a page, a notebook by another number, or none"
    from execnb.nbio import read_nb
    names = targets()
    found = ((p, m) for p in notebooks([]) for c in read_nb(p).cells if c.cell_type == 'markdown'
             for m in LINK.finditer(c.source))
    return [f"{p.name}: a link to {m[0]}, not {names.get(m[1], 'to a notebook of the book')}"
            for p, m in found if m[0] != names.get(m[1])]


def renumber():
    "Give each notebook the number of its place in nbs/sidebar.yml, wherever its file is named"
    order = [p for paths in chapters().values() for p in paths]
    names = {p.name: f"{k:02}_{re.sub(r'^[0-9]+[a-z]?_', '', p.name)}" for k, p in enumerate(order)}
    names = {old: new for old, new in names.items() if old != new and (ROOT/'nbs'/old).exists()}
    if not names: return
    said = re.compile('|'.join(rf'\b{re.escape(old)}' for old in names))
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True)
    for path in (ROOT/name for name in listed.stdout.splitlines()):
        if path.suffix not in ('.ipynb', '.md', '.yml', '.py', '.toml', '.ini') or not path.is_file(): continue
        old = path.read_text(encoding='utf-8')
        text = said.sub(lambda m: names[m[0]], old)
        if text != old: path.write_text(text, encoding='utf-8')
    for old in names: (ROOT/'nbs'/old).rename(ROOT/'nbs'/f'.{old}')
    for old, new in names.items(): (ROOT/'nbs'/f'.{old}').rename(ROOT/'nbs'/new)


def disorder():
    "Where file numbers, sidebar, `Next` links and the table of chapters tell different orders"
    from execnb.nbio import read_nb
    order = [p for paths in chapters().values() for p in paths]
    found = [p for p in notebooks([]) if p.stem != 'index']
    wrong = [f"{p.name}: in no section of nbs/sidebar.yml" for p in found if p not in order]
    wrong += [f"{p.name}: in nbs/sidebar.yml, but not in nbs/" for p in order if p not in found]
    wrong += [f"{p.name}: twice in nbs/sidebar.yml" for p in set(order) if order.count(p) > 1]
    if wrong: return wrong
    for k, (path, following) in enumerate(zip(order, [*order[1:], None])):
        if not path.name.startswith(f'{k:02}_'): wrong.append(f"{path.name}: number {k} in nbs/sidebar.yml")
        prose = [c.source for c in read_nb(path).cells if c.cell_type == 'markdown']
        links = [line for text in prose for line in text.split('\n') if line.startswith('Next: ')]
        right = [] if following is None else ['Next: [{}]({})'.format(*about(following)[::2])]
        if links != right or (right and not prose[-1].endswith(right[0])):
            wrong.append(f"{path.name}: its last line is not {right[0]!r}" if right else
                         f"{path.name}: the last chapter has a Next link")
    if not any(c.source == table_of_chapters() for c in read_nb(ROOT/'nbs'/'index.ipynb').cells):
        wrong.append("index.ipynb: the table of chapters is another one")
    return wrong


def anchored_twice():
    "The equations whose anchor stands in the book more than once, so that a link to it may lead to either place"
    places = {}
    for p in notebooks([]):
        for name in re.findall(r'id=\\?"(eq-[\w-]+)', p.read_text(encoding='utf-8')):
            places.setdefault(name, []).append(p.name)
    return [f"{name}: anchored {len(where)} times, in {', '.join(where)}"
            for name, where in places.items() if len(where) > 1]


def orphans():
    "The modules that no notebook exports any more"
    wrong = []
    for p in sorted((ROOT/'cprl_nb').glob('*.py')):
        source = re.search(r'File to edit: (\S+\.ipynb)', p.read_text(encoding='utf-8'))
        if source and not (p.parent/source[1]).exists():
            wrong.append(f"cprl_nb/{p.name}: no notebook exports it, {source[1]} is gone; delete it")
    return wrong


def changed():
    "The notebooks that differ from the last commit, new and renamed ones included; all of them where git cannot say"
    command = ['git', 'status', '--porcelain', '-z', '--no-renames', '--untracked-files=all', '--', 'nbs']
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if said.returncode: return [p.stem for p in notebooks([])]
    top = subprocess.run(['git', 'rev-parse', '--show-prefix'], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    names = {line[3:].removeprefix(top) for line in said.stdout.split('\0') if line}
    return [p.stem for p in notebooks([]) if p.relative_to(ROOT).as_posix() in names]


def prepare():
    "All that a change needs before it is committed; stops at the first thing that only a person can put right"
    renumber()
    for tool in ('nbdev_export', 'nbdev_clean'):
        subprocess.run([Path(sys.executable).with_name(tool)], cwd=ROOT, check=True)
    contents()
    links()
    readme()
    names = changed()
    return check() or (test(names, []) if names else 0)


def readme_text():
    "nbs/index.ipynb as markdown: prose as it is, code in fences, links from the folder above"
    from execnb.nbio import read_nb
    parts = []
    for c in read_nb(ROOT/'nbs'/'index.ipynb').cells:
        if c.cell_type == 'markdown': parts.append(c.source)
        elif c.cell_type == 'code' and not re.match(r'#\s*\|\s*hide', c.source):
            source = re.sub(r'^#\s*\|.*\n', '', c.source, flags=re.M)
            parts.append(f'```python\n{source}\n```')
    parts.insert(1, BADGES)
    text = '\n\n'.join(p.strip() for p in parts)
    names = targets()
    text = LINK.sub(lambda m: f'nbs/{names[m[1]]}' if m[1] in names else m[0], text)
    text = re.sub(r'\]\(images/', '](nbs/images/', text)
    return '<!-- Written from nbs/index.ipynb by `python dev.py readme`; edit it there. -->\n\n' + text + '\n'


def readme():
    part = ROOT/'.README.md.part'
    part.write_text(readme_text(), encoding='utf-8')
    part.replace(ROOT/'README.md')
    return 0


def long_lines():
    "The lines of code, in the notebooks and here, that a reader would have to scroll"
    from execnb.nbio import read_nb
    code = {p: [c.source for c in read_nb(p).cells if c.cell_type == 'code'] for p in notebooks([])}
    code[Path(__file__)] = [Path(__file__).read_text(encoding='utf-8')]
    lines = ((p, line) for p, sources in code.items() for source in sources for line in source.split('\n'))
    wide = ((p, line) for p, line in lines if len(line) > WIDTH and not line.startswith('#|'))
    return [f"{p.name}: {len(line)} characters, at most {WIDTH}: {line.strip()[:60]} …" for p, line in wide]


def mixed_imports():
    "Cells that import and do more: nbdev runs every cell that imports when it renders the site, with all that is in it"
    import ast
    from execnb.nbio import read_nb
    wrong = []
    for p in notebooks([]):
        for c in read_nb(p).cells:
            if c.cell_type != 'code' or re.search(r'^#\s*\|\s*export|^[!%]', c.source, re.M): continue
            imports = [isinstance(n, (ast.Import, ast.ImportFrom)) for n in ast.parse(c.source).body]
            if any(imports) and not all(imports): wrong.append(f"{p.name}: cell {c.id} imports and does more; split it")
    return wrong


def versions():
    "Where the version is another one than in settings.ini"
    from nbdev.config import get_config
    version = get_config(path=ROOT).version
    said = {'CITATION.cff': f'version: {version}', 'nbs/index.ipynb': 'version = {' + version + '}'}
    return [f"{name}: does not have {text!r}" for name, text in said.items()
            if text not in (ROOT/name).read_text(encoding='utf-8').replace('"', '')]


def check():
    "Export a copy of the notebooks and compare: package, clean notebooks, README"
    wrong = []
    with tempfile.TemporaryDirectory() as d:
        copy = Path(d)/'cprl_nb'
        other = shutil.ignore_patterns('.git', '.venv', 'venv', 'runs', 'build', '*.egg-info', '__pycache__')
        shutil.copytree(ROOT, copy, ignore=other, symlinks=True)
        for tool in ('nbdev_export', 'nbdev_clean'):
            subprocess.run([Path(sys.executable).with_name(tool)], cwd=copy, check=True)
        for folder, pattern in (('cprl_nb', '*.py'), ('nbs', '*.ipynb')):
            files = [(r, p) for r in (ROOT, copy) for p in (r/folder).rglob(pattern)]
            names = {p.relative_to(r) for r, p in files if '.ipynb_checkpoints' not in p.parts}
            read = lambda p: p.read_text(encoding='utf-8') if p.exists() else None
            wrong += [str(n) for n in sorted(names) if read(ROOT/n) != read(copy/n)]
    if (ROOT/'README.md').read_text(encoding='utf-8') != readme_text(): wrong.append('README.md')
    for w in wrong: print(f"out of step with the notebooks: {w}")
    print("run python dev.py prepare" if wrong else "notebooks, package and README agree")
    texts = {p: p.read_text(encoding='utf-8') for p in notebooks([])}
    failed = [p for p, text in texts.items() if '"output_type": "error"' in text]
    for p in failed: print(f"{p.name}: an output is an error; mend the cell and run python dev.py run {p.stem}")
    merged = [f"{p.name}: a merge left both sides, between cells <<<<<<< and >>>>>>>" for p, text in texts.items()
              if '"`<<<<<<< ' in text]
    others = merged + disorder() + stray_links() + anchored_twice() + orphans()
    others += versions() + mixed_imports() + long_lines()
    for w in others: print(w)
    return len(wrong) + len(failed) + len(others)


def types():
    "Does pyright pass README's lines of Python, and does it see a setting there that does not exist?"
    pyright = Path(sys.executable).with_name('pyright')
    if not (pyright.exists() and shutil.which('node')):
        print("types not checked: pyright or node is not here (pip install pyright; apt-get install nodejs)")
        return 0
    blocks = re.findall(r'```python\n(.*?)```', (ROOT/'README.md').read_text(encoding='utf-8'), flags=re.S)
    def errors(lines): # that pyright sees, as it says them
        with tempfile.TemporaryDirectory() as d:
            (Path(d)/'script.py').write_text(lines, encoding='utf-8')
            call = [pyright, '--pythonpath', sys.executable, Path(d)/'script.py']
            said = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
        return f'{said.stdout}{said.stderr}' if said.returncode else ''
    if wrong := errors('\n'.join(blocks)): print(f"README.md: its Python does not pass pyright\n{wrong}")
    elif not errors('from cprl_nb.attacks import APGD\nAPGD(restart=5)'):
        wrong = "pyright sees nothing wrong with APGD(restart=5): does it find cprl_nb?"
        print(wrong)
    else: print("README's Python passes pyright")
    return bool(wrong)


class Page(HTMLParser):
    "What the checks need of one page: its anchors, links, pictures' texts, and words"
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.alts, self.words = set(), [], [], []
        self.feed(text)
        self.text = ' '.join(''.join(self.words).split())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if 'id' in attrs: self.ids.add(attrs['id'])
        self.links += [attrs[k] for k in ('href', 'src') if attrs.get(k)]
        if tag == 'img': self.alts.append((attrs.get('alt') or '').strip())

    def handle_data(self, text): self.words.append(text)


def widths():
    "The width that a stored figure is to be shown with, by how its data begins: quarto obeys it, smalldocs does not"
    from execnb.nbio import read_nb
    outputs = [o for p in notebooks([]) for c in read_nb(p).cells for o in c.get('outputs', [])]
    sizes = [(o['data'][kind], size) for o in outputs for kind, size in o.get('metadata', {}).items()
             if kind.startswith('image/')]
    return {data[:900]: size['width'] for data, size in sizes}


def stage(out):
    "Render nbdev's processed notebooks with smalldocs, under the names quarto would give them, with maths as MathML"
    from latex2mathml.converter import convert
    from nbdev.config import get_config
    from nbdev.serve import proc_nbs
    from smalldocs.config import load
    from smalldocs.site import Site
    os.environ['PYTHONWARNINGS'] = 'ignore'  # nbdev warns of cells with imports and other code
    os.chdir(ROOT)
    try: processed = proc_nbs(force=True, n_workers=2)
    except Exception as e:
        sys.exit(f"{e}\n\nnot rendered: nbdev runs each cell that imports; give imports a cell of their own")
    book = Site(load(processed), quiet=True)
    book.out = out
    book.build()
    by_quarto = lambda p: p.out.with_name(p.front.get('output-file', p.out.name)).as_posix()
    names = {p.out.as_posix(): by_quarto(p) for p in book.pages.values()}
    old = re.compile('|'.join(rf'(?<=["/]){re.escape(Path(a).name)}' for a in names))
    new = {Path(a).name: Path(b).name for a, b in names.items()}
    config = get_config()
    home = f'href="{config.doc_host}{config.doc_baseurl}/'
    def mathml(m):
        shape = 'block' if m[1] == 'display' else 'inline'
        return f'<span class="math {m[1]}">' + convert(html.unescape(m[2]), display=shape) + '</span>'
    stored = widths()
    def sized(m): return f'<img width="{stored[m[1]]}" ' if stored.get(m[1]) else m[0]
    for a, b in names.items():
        text = (out/a).read_text(encoding='utf-8')
        text = re.sub(r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', mathml, text, flags=re.S)
        text = re.sub(r'<(link|script)[^>]*cdn\.jsdelivr\.net/npm/katex[^>]*>(</script>)?', '', text)
        text = old.sub(lambda m: new[m[0]], text).replace(home, 'href="' + '../'*b.count('/'))
        text = re.sub(r'<img (?=[^>]*src="data:image/\w+;base64,([^"]{900})[^>]*>)', sized, text)
        (out/a).unlink()
        (out/b).write_text(text, encoding='utf-8')
    for theme in (out/'site_libs'/'themes').glob('*.css'):  # no fonts from outside
        text = re.sub(r'@import url\(https?:[^)]*\);?', '', theme.read_text(encoding='utf-8'))
        theme.write_text(text, encoding='utf-8')
    for other in (out/'search.json', out/'sitemap.xml'):
        other.write_text(old.sub(lambda m: new[m[0]], other.read_text(encoding='utf-8')), encoding='utf-8')
    return {(ROOT/'nbs'/p.src): out/names[p.out.as_posix()] for p in book.pages.values()}


def site(out, names=(), pictures=None):
    "Render the book to a folder and say what is wrong with its pages; `pictures` not None: look at them, too"
    if sys.version_info < (3, 11):
        print("pages not rendered: smalldocs needs Python 3.11")
        return 0
    out = (ROOT/out).resolve()
    wrong = flaws(out, stage(out))
    if pictures is not None:
        sys.path.insert(0, str(ROOT/'.ci'))
        from look import look
        wrong += look([p for p in sorted(out.glob('*.html')) if not names or p.stem in names], pictures)
    for w in wrong: print(w)
    print(f"{len(list(out.rglob('*.html')))} pages in {out}, {len(wrong)} things to mend")
    return len(wrong)


def flaws(out, rendered):
    "What is wrong with the pages in `out`; `rendered` says which page each notebook became"
    texts = {p: p.read_text(encoding='utf-8') for p in sorted(out.rglob('*.html'))}
    pages = {p: Page(t) for p, t in texts.items()}
    wrong = [f"{nb.relative_to(ROOT)}: no page" for nb in notebooks([]) if rendered.get(nb) not in pages]
    wrong += headed_outputs()
    for path, page in pages.items():
        name = path.relative_to(out)
        if 'class="cell-output cell-output-error"' in texts[path]: wrong.append(f"{name}: an output is an error")
        for text in re.findall(r'\[?<a [^>]*><code>[^<]*</code></a>\]\([^)]*\)', texts[path]):
            shown = re.sub(r'<[^>]*>', '', text)
            wrong.append(f"{name}: a link in a link, {shown}: write the bare backticks, or <code> for them")
        unresolved = re.findall(r'(?<![\w.])@(?:eq|fig|tbl|sec)-[\w-]+', page.text)
        wrong += [f"{name}: {m} is not resolved" for m in unresolved]
        wrong += [f"{name}: picture {i} has no alternative text" for i, alt in enumerate(page.alts, 1) if not alt]
        for link in page.links:
            url = urlsplit(link)
            target = (path.parent/unquote(url.path)).resolve() if url.path else path
            if url.scheme or url.netloc or link == '#': continue
            if not target.is_file(): wrong.append(f"{name}: {link} leads nowhere")
            elif url.fragment and not (target in pages and unquote(url.fragment) in pages[target].ids):
                wrong.append(f"{name}: no such place as {link}")
    return list(dict.fromkeys(wrong + undocumented(out, pages)))


def headed_outputs():
    "Printed reports whose headings would stand in the page's table of contents, as if they were the chapter's"
    from execnb.nbio import read_nb
    outputs = [(p, o.get('data', {}).get('text/markdown', '')) for p in notebooks([]) for c in read_nb(p).cells
               for o in c.get('outputs', [])]
    heads = [(p, re.search(r'^#{1,4} .*$', ''.join(text), flags=re.M)) for p, text in outputs]
    return [f"{p.name}: an output has a heading, {head[0]!r}, which stands in the page's table of contents"
            for p, head in heads if head]


def undocumented(out, pages):
    "Exported functions and classes without a signature on their page, or a parameter without a comment there"
    from importlib import import_module
    from inspect import isfunction, signature
    from cprl_nb._modidx import d
    from fastcore.docments import docments
    wrong = []
    for module, names in d['syms'].items():
        for name, (link, _) in ((n.removeprefix(module + '.'), link) for n, link in names.items()):
            if '.' in name or name.startswith('_'): continue
            page, anchor = link.split('#')
            here = pages.get(out/page) or Page('')
            if anchor not in here.ids or not re.search(rf'(def|class) {name}\b', here.text):
                wrong.append(f"{page}: {name} has no signature there")
            obj = getattr(import_module(module), name)
            told = docments(obj)
            comments = [' '.join(c.split()) for c in told.values() if isinstance(c, str)]
            wrong += [f"{page}: {name} without the comment {c!r}" for c in comments if c not in here.text]
            for k, p in signature(obj).parameters.items() if isfunction(obj) else ():
                told_there = told.get(k) is not None or type(p.annotation).__name__ == 'Param'
                if told_there or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD): continue
                wrong.append(f"{page}: {name} says nothing of its parameter {k}")
    return wrong


def zoo(names):
    from cprl_nb.zoo import print_zoo
    return print_zoo(names)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('chore', choices=('test', 'run', 'prepare', 'readme', 'check', 'types', 'site', 'zoo'))
    parser.add_argument('names', nargs='*')
    parser.add_argument('--flags', default='', help='flags of cells to run that are skipped otherwise, as in slow,gpu')
    parser.add_argument('--threads', default='1', help='of torch, for test: 0 or default for as many as it takes')
    parser.add_argument('--look', nargs='?', const='', metavar='FOLDER', help='site: look at the pages in a browser')
    parser.add_argument('--out', default='_docs_local', help='folder of the local site')
    args = parser.parse_args()
    flags = [f for f in args.flags.split(',') if f]
    threads = 0 if args.threads == 'default' else int(args.threads)
    chores = {'test': lambda: test(args.names, flags, threads), 'run': lambda: run(args.names, flags),
              'prepare': prepare, 'readme': readme, 'check': check, 'types': types,
              'site': lambda: site(args.out, args.names, args.look), 'zoo': lambda: zoo(args.names)}
    sys.exit(chores[args.chore]() > 0)
