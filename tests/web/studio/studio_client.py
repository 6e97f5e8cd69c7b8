"""A studio in a thread, a client that speaks to it as its page does, pictures as they travel."""

import base64
import http.client
import io
import json
import threading
import time

import numpy as np
from PIL import Image

from rdc_jax.web import serving
from rdc_jax.web.studio import server


def as_png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def from_png(data):
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def url_pixels(url):
    return from_png(base64.b64decode(url.removeprefix("data:image/png;base64,")))


class Counting:
    """A codec that counts, notices two callers at once, and can be held in the middle."""

    def __init__(self, codec):
        self._codec, self.calls, self.inside, self.most = codec, [], 0, 0
        self.held, self.share = set(), 0.42  # calls that stop there until they are let go

    def __getattr__(self, name):
        found = getattr(self._codec, name)
        if name == "entropy":  # asked for by whoever decodes symbols
            self.calls.append(name)
        if name not in ("encode", "reconstruct"):
            return found

        def counted(*args, **kwargs):
            self.calls.append(name)
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                while name in self.held:
                    time.sleep(0.02)
                    kwargs["progress"](self.share)
                return found(*args, **kwargs)
            finally:
                self.inside -= 1

        return counted


class Client:
    """Speaks to a studio in a thread as its page does."""

    def __init__(self, bench, host="127.0.0.1"):
        self.server = server.make_server(bench, host, 0)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def ask(self, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        kind = server.BYTES if isinstance(body, bytes) else serving.JSON
        given = {} if body is None else {"Content-Type": kind}
        if isinstance(body, dict):
            body = json.dumps(body)
        connection.request("GET" if body is None else "POST", path, body, given | headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, answer.headers

    def json(self, path, body=None):
        status, content, _ = self.ask(path, body)
        assert status == 200, content
        return json.loads(content)

    def refused(self, path, body=None, status=422):
        """The one line of an error."""
        found, content, _ = self.ask(path, body)
        assert found == status, (found, content)
        line = json.loads(content)["error"]
        assert line and "\n" not in line and "Traceback" not in line
        return line

    def decoded(self, **asked):
        status, content, headers = self.ask("/decode", {"tau": 0, "steps": 1} | asked)
        assert status == 200, content
        return from_png(content), json.loads(headers["Rdc-Figures"])

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def sent_mask(values):
    data = base64.b64encode(values.astype(np.uint8).tobytes()).decode()
    return {"width": values.shape[1], "height": values.shape[0], "data": data}


def left_half():
    mask = np.zeros((36, 50))
    mask[:, :25] = 255
    return sent_mask(mask)
