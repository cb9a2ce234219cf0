"""Use cprl_app as a person would, in a headless browser: drop a photo, move the slider, change the network, drop a file
that is no photo, turn to a phone. `python .ci/try_app.py [MODEL ...] [--pictures FOLDER]`; without MODEL, two networks
whose scores are known.
"""
import argparse, sys, tempfile, threading, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT/'.ci')]
NETS = '''
import torch
class Bright(torch.nn.Module):
    def forward(self, x): return x.mean((1, 2, 3))
    def spread(self, x): return x.std((1, 2, 3))
class Red(torch.nn.Module):
    def forward(self, x): return x[:, 0].mean((1, 2))
class Constant(torch.nn.Module):
    def forward(self, x): return 0*x.mean((1, 2, 3)) + .5
'''


class Visitor:
    "A browser on the page, and what was wrong there"
    def __init__(self, browser, url, folder):
        self.browser, self.folder, self.wrong = browser, folder, []
        browser('Network.setBlockedURLs', urls=[])
        browser('DOM.enable')
        browser.size(1280, False)
        browser.goto(url)

    def value(self, script): return self.browser.run(f'(() => {script})')

    def text(self, id): return self.value(f"document.getElementById('{id}').textContent")

    def drop(self, path): # as the file dialogue does
        root = self.browser('DOM.getDocument')['root']['nodeId']
        node = self.browser('DOM.querySelector', nodeId=root, selector='#file')['nodeId']
        self.browser('DOM.setFileInputFiles', nodeId=node, files=[str(path)])

    def choose(self, id, value): # a slider or a menu
        self.value(f"{{ const e = document.getElementById('{id}'); e.value = '{value}'; "
                   "e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')) }")

    def waits_for(self, what, seconds=120): # a line of status that has this in it
        until = time.time() + seconds
        while what not in (said := self.text('status')):
            if time.time() > until: raise TimeoutError(f"waited for {what!r}; the page says {said!r}")
            time.sleep(.1)
        return said

    def expect(self, what, seen): # what should be true, and whether it is
        print(f"{'ok  ' if seen else 'FAIL'} {what}", flush=True)
        if not seen: self.wrong.append(what)

    def picture(self, name):
        if self.folder: self.browser.picture(self.folder/f'app_{name}.png')


def visit(v, photo, no_photo, known):
    number = lambda id: float(v.text(id))
    v.picture('empty')
    v.drop(photo)
    v.waits_for('attacked in')
    v.expect('the photo has a score, and the attacked photo a lower one', number('after') < number('score'))
    v.expect('the band begins at the lowest score', v.text('reach').startswith(f"from {v.text('after')} to"))
    before = number('after')
    v.picture('desktop')
    v.choose('eps', 8)
    v.waits_for('8/255')
    v.waits_for('attacked in')
    v.expect('eight levels go further than one', number('after') < before)
    if known: v.expect('as far as the pixels allow', abs(number('score') - number('after') - 8/255) < .002)
    v.value("document.querySelector('[value=high]').click()")
    v.expect('the other direction raises the score', number('after') > number('score'))
    v.picture('raised')
    names = v.value("[...document.getElementById('network').options].map(o => o.value)")
    v.choose('network', names[1])
    v.waits_for(names[1])
    v.waits_for('attacked in')
    v.expect(f'{names[1]} has its own score in the table', v.value("document.querySelectorAll('tr.chosen').length") == 1
             and v.value("document.querySelector('tr.chosen td').textContent") == names[1])
    if known:
        v.choose('network', names[2])
        v.expect('a network without a gradient is not called robust', 'no robustness' in v.waits_for('could not move'))
        v.choose('network', names[1])
        v.waits_for('attacked in')
    v.browser.size(390, True)
    v.expect('a phone has nothing to scroll sideways', v.value('document.documentElement.scrollWidth') <= 390)
    v.picture('phone')
    v.drop(no_photo)
    v.waits_for('not an image that Pillow can identify')
    v.expect('a file that is no photo hides the last result', v.value("document.getElementById('result').hidden"))
    v.picture('no_photo')
    refused = v.value("""new Promise(done => {
      document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective))
      fetch('http://example.invalid/').then(() => done('sent'), () => 0)
    })""")
    v.expect('the page is refused any other address', refused == 'connect-src')


def main():
    import shutil
    from look import BROWSERS, Browser
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('models', nargs='*', default=[])
    parser.add_argument('--pictures', type=Path, help='folder for screenshots')
    args = parser.parse_args()
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        print("page not tried: no browser is here (apt-get install chromium)")
        return 0
    from cprl_nb.app import Desk, serve
    from cprl_nb.synthetic import load_scene
    if args.pictures: args.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        home = Path(home)
        (home/'known_nets.py').write_text(NETS)
        sys.path.insert(0, str(home))
        load_scene('chelsea').save(home/'chelsea.png')
        (home/'notes.txt').write_text('not an image')
        desk = Desk(args.models or [f'known_nets:{n}' for n in ('Bright', 'Red', 'Constant')])
        with serve(desk, 0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser = Browser(program, home/'browser')
            try:
                v = Visitor(browser, f'http://127.0.0.1:{server.server_port}/', args.pictures)
                visit(v, home/'chelsea.png', home/'notes.txt', not args.models)
            finally:
                browser.process.terminate()
                browser.process.wait()
                server.shutdown()
    print(f"the page in a browser: {len(v.wrong)} things to mend")
    return len(v.wrong)


if __name__ == '__main__': sys.exit(main() > 0)
