"""A static host for tests, and the exported page in a headless Chromium."""

import base64
import functools
import http.server
import json
import shutil
import threading
import time

from tests.evaluation.report.browser import NO_GPU, Browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
PATIENCE = 180  # seconds
DROP = """(async () => {
  const bytes = Uint8Array.from(atob(%s), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], %s));
  document.getElementById("first").image = null;
  document.getElementById("error").hidden = true;
  document.body.dispatchEvent(
    new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
})()"""
ERROR = """(() => {
  const line = document.getElementById("error");
  return line.hidden ? null : line.textContent;
})()"""
PIXELS = """(() => {
  const { width, height, data } = document.getElementById("first").image;
  let text = "";
  for (let i = 0; i < data.length; i += 8192) {
    text += String.fromCharCode(...data.subarray(i, i + 8192));
  }
  return [width, height, btoa(text)];
})()"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """What `python -m http.server` does; paths go to a list in place of the log."""

    def do_GET(self):
        self.server.paths.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


class OpenHandler(Handler):
    """The same for pages of any host."""

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


class Host:
    """Serves a folder at `address`; anyone: whether pages of other hosts may use it."""

    def __init__(self, folder, anyone=False):
        serve = functools.partial(OpenHandler if anyone else Handler, directory=folder)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
        self.server.paths = self.paths = []  # of all requests so far
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Page:
    """What a user does on the page."""

    def __init__(self, program, profile, address, flags=NO_GPU):
        self.browser, self.address = Browser(program, profile, flags), address

    def open(self, query="", **how):
        self.browser.open(self.address + query, **how)

    def wait(self, condition, patience=PATIENCE):
        """Waits until a JavaScript expression is true; the page may reload meanwhile."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                if self.browser.value(f"Boolean({condition})"):
                    return
            except AssertionError:  # between two documents
                pass
            time.sleep(0.1)
        raise AssertionError(f"not within {patience} s: {condition}")

    def settled(self):
        """Waits until an image or an error is shown."""
        self.wait(
            "!document.getElementById('error').hidden || (document.getElementById('first').image"
            " && document.getElementById('first').complete)"
        )

    def drop(self, name, data):
        text = json.dumps(base64.b64encode(data).decode())
        self.browser.value(DROP % (text, json.dumps(name)))
        self.settled()

    def error(self):
        return self.browser.value(ERROR)

    def pixels(self):
        """(width, height, RGBA bytes) of the image shown."""
        width, height, text = self.browser.value(PIXELS)
        return width, height, base64.b64decode(text)

    def close(self):
        self.browser.close()
