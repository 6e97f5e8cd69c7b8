"""A headless Chromium for the tests of the report."""

import base64
import fcntl
import itertools
import json
import os
import select
import subprocess

PATIENCE = 120  # seconds
NO_GPU = ("--disable-gpu",)


class Browser:
    """A headless Chromium spoken to over two pipes in its debugging protocol."""

    def __init__(self, program, folder, flags=NO_GPU):
        pairs = os.pipe(), os.pipe()
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (pairs[0][0], pairs[1][1])]
        for fd in (pairs[0][0], pairs[1][1]):
            os.close(fd)
        self.to, self.back = os.fdopen(pairs[0][1], "wb"), os.fdopen(pairs[1][0], "rb", 0)
        self.unread = b""
        command = [program, "--headless", "--no-sandbox", *flags, "--hide-scrollbars",
                   f"--user-data-dir={folder}", "--remote-debugging-pipe"]  # fmt: skip
        script = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command], pass_fds=theirs, stderr=subprocess.DEVNULL
        )
        for fd in theirs:
            os.close(fd)
        self.numbers, self.session, self.requests = itertools.count(1), None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        self.complaints = []

    def ask(self, method, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self):
        while b"\0" not in self.unread:
            assert select.select([self.back], [], [], PATIENCE)[0], "the browser is silent"
            more = self.back.read(1 << 20)
            assert more, "the browser has gone"
            self.unread += more
        raw, _, self.unread = self.unread.partition(b"\0")
        message = json.loads(raw)
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if method in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(params)
        self.last = method
        return message

    def open(self, url, width=1280, height=900, dark=False):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=url)
        while self.last != "Page.loadEventFired":
            self._read()

    def value(self, expression):
        asked = self.ask("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True)  # fmt: skip
        assert "exceptionDetails" not in asked, asked
        return asked["result"].get("value")

    def key(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                     windowsVirtualKeyCode=code)  # fmt: skip

    def mouse(self, kind, x, y):
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1,
                 buttons=0 if kind == "mouseReleased" else 1)  # fmt: skip

    def screenshot(self, whole=True):
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.to.close()
        self.back.close()
