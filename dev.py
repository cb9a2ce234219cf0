#!/usr/bin/env python3
"""Chores of this repository.

  python dev.py test [NAME ...]   run the notebooks as tests, two at a time (NAME: e.g. 05 or attacks;
                                  --flags slow,gpu runs those cells too)
  python dev.py run NAME ...      run notebooks and save their outputs (progress bars dropped), except cells
                                  that `test` skips, too
  python dev.py prepare           the one to remember: export, clean, links and table of chapters, README, check,
                                  and the tests of the notebooks that differ from the last commit
  python dev.py readme            write README.md from nbs/index.ipynb
  python dev.py check             do notebooks, package and README agree? No output an error, no line too long?
  python dev.py site              render the notebooks to a local site without quarto, _docs_local/index.html,
                                  and check its pages (Python 3.11 on)
"""
import argparse, html, os, re, subprocess, sys, tempfile, time
from concurrent.futures import ProcessPoolExecutor, as_completed
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent
WIDTH = 120  # of a line of code
os.environ.update({'MPLBACKEND': 'agg', 'TQDM_MININTERVAL': '1'})


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


def test_one(path, skip):
    "Run one notebook as a test; returns its path, whether it passed, its time in seconds and what it said on failing"
    import contextlib, io
    import torch
    from nbdev.test import test_nb
    torch.set_num_threads(1)
    said = io.StringIO()
    start = time.time()
    with contextlib.redirect_stderr(said): passed, _ = test_nb(path, skip_flags=skip, basepath=ROOT)
    return path, passed, time.time() - start, said.getvalue()


def test(names, flags):
    paths, skip = notebooks(names), sorted(skip_flags(flags))
    n_failed = 0
    fresh = dict(max_tasks_per_child=1) if sys.version_info >= (3, 11) else {}  # a process for each notebook
    with ProcessPoolExecutor(min(2, len(paths)), **fresh) as pool:
        for job in as_completed([pool.submit(test_one, p, skip) for p in paths]):
            path, passed, seconds, said = job.result()
            n_failed += not passed
            print(f"{'passed' if passed else 'FAILED'}  {path.relative_to(ROOT/'nbs')}  {seconds:.0f} s", flush=True)
            if not passed: print(said, flush=True)
    print(f"{len(paths) - n_failed} passed, {n_failed} failed")
    return n_failed


def is_noise(output):
    "Progress bars and other things on standard error do not belong into a committed notebook"
    return output.get('name') == 'stderr' or 'application/vnd.jupyter.widget-view+json' in output.get('data', {})


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
        with matplotlib.rc_context():  # a size of figures stays in its notebook
            shell.run_all(nb, exc_stop=True, preproc=skipped)
        for c in nb.cells:
            if c.cell_type == 'code': c.outputs = [o for o in c.get('outputs', []) if not is_noise(o)]
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
    "Title and subtitle of a notebook, and the name of its page"
    from execnb.nbio import read_nb
    lines = read_nb(path).cells[0].source.split('\n')
    title, subtitle = (next((l.removeprefix(mark) for l in lines if l.startswith(mark)), '') for mark in ('# ', '> '))
    return title, subtitle, re.sub(r'^\d+_', '', path.stem) + '.html'


def table_of_chapters():
    rows = ['| chapter | question |', '|---|---|']
    for section, paths in chapters().items():
        rows.append(f'| **{section}** | |')
        rows += [f'| [{title}]({page}) | {subtitle} |' for title, subtitle, page in map(about, paths)]
    return '\n'.join(rows)


def contents():
    "Write what follows from the order of chapters: the `Next` links, and the table in nbs/index.ipynb"
    from execnb.nbio import read_nb, write_nb
    order = [p for paths in chapters().values() for p in paths]
    for path, following in zip(order, [*order[1:], None]):
        nb = read_nb(path)
        last = [c for c in nb.cells if c.cell_type == 'markdown'][-1]
        link = '' if following is None else 'Next: [{}]({})'.format(*about(following)[::2])
        text = re.sub(r'\n*^Next: \[.*\Z', '', last.source, flags=re.M | re.S) + f'\n\n{link}'.rstrip()
        if text != last.source:
            last.source = text
            write_nb(nb, path)
    nb = read_nb(ROOT/'nbs'/'index.ipynb')
    cell = next(c for c in nb.cells if c.source.startswith('| chapter |'))
    if cell.source != table_of_chapters():
        cell.source = table_of_chapters()
        write_nb(nb, ROOT/'nbs'/'index.ipynb')
    return 0


def disorder():
    "Where file numbers, sidebar, `Next` links and the table of chapters tell different orders"
    from execnb.nbio import read_nb
    order = [p for paths in chapters().values() for p in paths]
    found = [p for p in notebooks([]) if p.stem != 'index']
    wrong = [f"{p.name}: not in nbs/sidebar.yml" for p in found if p not in order]
    wrong += [f"{p.name}: in nbs/sidebar.yml, but not in nbs/" for p in order if p not in found]
    if wrong: return wrong
    for k, path in enumerate(order):
        if path.name[:2] != f'{k:02}': wrong.append(f"{path.name}: number {k} in nbs/sidebar.yml")
        last = [c.source for c in read_nb(path).cells if c.cell_type == 'markdown'][-1]
        link = 'Next: [{}]({})'.format(*about(order[k + 1])[::2]) if k + 1 < len(order) else ''
        if not last.endswith(link) or (not link and 'Next: [' in last):
            wrong.append(f"{path.name}: its last line is not {link!r}")
    if not any(c.source == table_of_chapters() for c in read_nb(ROOT/'nbs'/'index.ipynb').cells):
        wrong.append("index.ipynb: the table of chapters is another one")
    return wrong


def changed():
    "The notebooks that differ from the last commit"
    said = subprocess.run(['git', 'status', '--porcelain', 'nbs'], cwd=ROOT, capture_output=True, text=True).stdout
    return [p.stem for p in notebooks([]) if p.name in said]


def prepare():
    for tool in ('nbdev_export', 'nbdev_clean'):
        subprocess.run([Path(sys.executable).with_name(tool)], cwd=ROOT, check=True)
    contents()
    readme()
    names = changed()
    return check() or (test(names, []) if names else 0)


def readme_text():
    "nbs/index.ipynb as markdown: prose as it is, code in fences, links to pages made links to the notebooks"
    from execnb.nbio import read_nb
    parts = []
    for c in read_nb(ROOT/'nbs'/'index.ipynb').cells:
        if c.cell_type == 'markdown': parts.append(c.source)
        elif c.cell_type == 'code' and not re.match(r'#\s*\|\s*hide', c.source):
            source = re.sub(r'^#\s*\|.*\n', '', c.source, flags=re.M)
            parts.append(f'```python\n{source}\n```')
    text = '\n\n'.join(p.strip() for p in parts)
    pages = {re.sub(r'^\d+[a-z]*_', '', p.stem): p.relative_to(ROOT) for p in notebooks([])}
    text = re.sub(r'\]\((\w+)\.html', lambda m: f"]({pages[m[1]]}", text)
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


def check():
    "Export a copy of the notebooks and compare: package, clean notebooks, README"
    import shutil
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
    failed = [p.name for p in notebooks([]) if '"output_type": "error"' in p.read_text(encoding='utf-8')]
    for name in failed:
        print(f"{name}: an output is an error; mend the cell and run python dev.py run {name.removesuffix('.ipynb')}")
    others = disorder() + long_lines()
    for w in others: print(w)
    return len(wrong) + len(failed) + len(others)


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


def stage(out):
    "Render nbdev's processed notebooks with smalldocs, under the names quarto would give them, with maths as MathML"
    from latex2mathml.converter import convert
    from nbdev.config import get_config
    from nbdev.serve import proc_nbs
    from smalldocs.config import load
    from smalldocs.site import Site
    os.environ['PYTHONWARNINGS'] = 'ignore'  # nbdev warns of cells with imports and other code
    os.chdir(ROOT)
    book = Site(load(proc_nbs(force=True, n_workers=2)), quiet=True)
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
    for a, b in names.items():
        text = (out/a).read_text(encoding='utf-8')
        text = re.sub(r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', mathml, text, flags=re.S)
        text = re.sub(r'<(link|script)[^>]*cdn\.jsdelivr\.net/npm/katex[^>]*>(</script>)?', '', text)
        text = old.sub(lambda m: new[m[0]], text).replace(home, 'href="' + '../'*b.count('/'))
        (out/a).unlink()
        (out/b).write_text(text, encoding='utf-8')
    for other in (out/'search.json', out/'sitemap.xml'):
        other.write_text(old.sub(lambda m: new[m[0]], other.read_text(encoding='utf-8')), encoding='utf-8')
    return {(ROOT/'nbs'/p.src): out/names[p.out.as_posix()] for p in book.pages.values()}


def site(out):
    "Render the book to a folder and say what is wrong with its pages"
    if sys.version_info < (3, 11):
        print("pages not rendered: smalldocs needs Python 3.11")
        return 0
    out = (ROOT/out).resolve()
    wrong = flaws(out, stage(out))
    for w in wrong: print(w)
    print(f"{len(list(out.rglob('*.html')))} pages in {out}, {len(wrong)} things to mend")
    return len(wrong)


def flaws(out, rendered):
    "What is wrong with the pages in `out`; `rendered` says which page each notebook became"
    texts = {p: p.read_text(encoding='utf-8') for p in sorted(out.rglob('*.html'))}
    pages = {p: Page(t) for p, t in texts.items()}
    wrong = [f"{nb.relative_to(ROOT)}: no page" for nb in notebooks([]) if rendered.get(nb) not in pages]
    for path, page in pages.items():
        name = path.relative_to(out)
        if 'class="cell-output cell-output-error"' in texts[path]: wrong.append(f"{name}: an output is an error")
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


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('chore', choices=('test', 'run', 'prepare', 'readme', 'check', 'site'))
    parser.add_argument('names', nargs='*')
    parser.add_argument('--flags', default='', help='flags of cells to run that are skipped otherwise, as in slow,gpu')
    parser.add_argument('--out', default='_docs_local', help='folder of the local site')
    args = parser.parse_args()
    flags = [f for f in args.flags.split(',') if f]
    chores = {'test': lambda: test(args.names, flags), 'run': lambda: run(args.names, flags),
              'prepare': prepare, 'readme': readme, 'check': check, 'site': lambda: site(args.out)}
    sys.exit(chores[args.chore]() > 0)
