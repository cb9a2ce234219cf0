"""Look at pages in a headless browser: what would a reader stumble over on a desktop, on a phone, in the dark?

`python dev.py site --look [FOLDER]` calls this; the checks themselves are in look.js beside it.
"""
import base64, json, shutil, subprocess, tempfile, time
from pathlib import Path

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome',
            '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome')
LOOK = Path(__file__).with_suffix('.js').read_text(encoding='utf-8')
DARK = """(async dark => {
  const now = () => !!document.querySelector('.quarto-dark')
  if (now() !== dark) document.querySelector('.quarto-color-scheme-toggle')?.click()
  await new Promise(done => setTimeout(done, 100))
  return now() === dark
})"""


class Browser:
    "A headless browser, spoken to over its DevTools port; requests that would leave this machine are refused"
    def __init__(self, program, home):
        from websocket import create_connection
        quiet = ('headless', 'no-sandbox', 'disable-gpu', 'disable-quic', 'no-first-run', 'disable-sync',
                 'disable-background-networking', 'disable-component-update', 'hide-scrollbars',
                 'remote-debugging-port=0')
        command = [program, *(f'--{q}' for q in quiet), f'--user-data-dir={home}', 'about:blank']
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told, until = Path(home)/'DevToolsActivePort', time.time() + 60
        while not (told.exists() and told.read_text().count('\n')):
            if time.time() > until or self.process.poll() is not None:
                self.process.kill()
                raise OSError(f"{program} did not start")
            time.sleep(.1)
        address = 'ws://127.0.0.1:' + ''.join(told.read_text().split('\n')[:2])
        self.socket, self.n, self.events = create_connection(address, timeout=120, suppress_origin=True), 0, []
        page = self('Target.createTarget', url='about:blank')['targetId']
        self.socket.close()
        address = f"{address.split('/devtools')[0]}/devtools/page/{page}"
        self.socket = create_connection(address, timeout=120, suppress_origin=True)
        for domain in ('Page', 'Network', 'Runtime'): self(f'{domain}.enable')
        self('Network.setBlockedURLs', urls=['http://*', 'https://*'])

    def __call__(self, method, **params):
        "Send a command and wait for its answer; what the browser reports meanwhile is kept in `events`"
        self.n += 1
        self.socket.send(json.dumps(dict(id=self.n, method=method, params=params)))
        while (said := json.loads(self.socket.recv())).get('id') != self.n: self.events.append(said)
        if 'error' in said: raise RuntimeError(f"{method}: {said['error']['message']}")
        return said['result']

    def size(self, width, phone):
        self('Emulation.setDeviceMetricsOverride', width=width, height=900, deviceScaleFactor=1, mobile=phone)

    def open(self, path): self.goto(path.as_uri())

    def goto(self, url):
        self.events = []
        self('Page.navigate', url=url)
        while not any(e['method'] == 'Page.loadEventFired' for e in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def outside(self):
        asked = [e['params']['request']['url'] for e in self.events if e['method'] == 'Network.requestWillBeSent']
        return sorted({url for url in asked if url.startswith('http')})

    def run(self, script, *args):
        call = f"{script}({', '.join(map(json.dumps, args))})"
        said = self('Runtime.evaluate', expression=call, awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in said: raise RuntimeError(said['exceptionDetails']['exception']['description'])
        return said['result'].get('value')

    def picture(self, path):
        size = self('Page.getLayoutMetrics')['cssContentSize']
        clip = dict(x=0, y=0, width=size['width'], height=min(size['height'], 12_000), scale=1)
        said = self('Page.captureScreenshot', captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(said['data']))


def look(pages, pictures):
    "What a reader would stumble over on a desktop, on a phone and in the dark; pictures of it into a folder, if named"
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        print("pages not looked at: no browser is here (apt-get install chromium)")
        return []
    wrong, folder = [], Path(pictures) if pictures else None
    if folder: folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        try: browser = Browser(program, home)
        except OSError as e:
            print(f"pages not looked at: {e}")
            return []
        try:
            for path in pages:
                browser.open(path)
                if outside := browser.outside(): wrong.append(f"{path.name}: asks for {', '.join(outside)}")
                for how, width in (('desktop', 1280), ('phone', 390), ('dark', 1280)):
                    browser.size(width, how == 'phone')
                    if not browser.run(DARK, how == 'dark'): wrong.append(f"{path.name}: cannot be made light or dark")
                    wrong += [f"{path.name}, {how}: {w}" for w in browser.run(LOOK, width, how)]
                    if folder: browser.picture(folder/f'{path.stem}_{how}.png')
        finally:
            browser.process.terminate()
            browser.process.wait()
    return wrong
