"""The studio's page and its server.

    serve(Workbench(rdc_jax.load), "127.0.0.1", 8047)

GET returns the page's own files, a fixed list, and photos by key. POST takes a photo or a file as
bytes and everything else as JSON. No request names a path on this machine.
"""

import json
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import unquote

from rdc_jax.web import serving
from rdc_jax.web.studio.workbench import Workbench

BYTES = "application/octet-stream"
MAX_UPLOAD, MAX_JSON = (
    64 * 2**20,
    8 * 2**20,
)  # bytes of a photo or file; bytes of a mask with settings
LONGEST_NAME = 255
PAGE = {
    "/": ("studio.html", "text/html"),
    "/studio.css": ("studio.css", "text/css"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript")
        for name in (
            *("app", "calls", "controls", "faces", "figures"),
            *("newest", "painting", "slider", "view", "working"),
        )
    },
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def serve(bench: Workbench, host: str, port: int, announce: Callable[[str], None] = print) -> None:
    """Serves the page until Ctrl-C.

    Args:
        bench: Answers the requests.
        host: The address to listen at.
        port: The port; 0 takes a free one.
        announce: Receives the address of the page.

    Raises:
        RdcError: The address is not available.
    """
    serving.run(make_server(bench, host, port), announce)


def make_server(bench: Workbench, host: str, port: int) -> ThreadingHTTPServer:
    """The server, bound and not yet running; arguments and errors as `serve`."""
    folder = resources.files(__package__).joinpath("page")
    page = {path: (folder.joinpath(name).read_bytes(), kind) for path, (name, kind) in PAGE.items()}
    return serving.listen(_Handler, host, port, bench=bench, page=page)


class _Handler(serving.Handler):
    bench: Workbench
    page: dict[str, tuple[bytes, str]]
    policy = POLICY

    def get(self) -> None:
        if self.path in self.page:
            body, kind = self.page[self.path]
            return self.send(200, body, f"{kind}; charset=utf-8")
        if self.path == "/state":
            return self.send_json(self.bench.state())
        if self.path.startswith("/photo/"):
            key = self.path.removeprefix("/photo/")
            return self.send(200, self.bench.photo_png(key), "image/png")
        return self.fail(404, "no such page")

    def post(self) -> None:
        of_bytes = {"/photo": self._photo, "/open": self._open}
        of_json = {
            "/demo": self._demo,
            "/mask": self._mask,
            "/encode": self._encode,
            "/decode": self._decode,
            "/file": self._file,
            "/compare": self._compare,
            "/faces": self._faces,
            "/progress": self._progress,
            "/stop": self._stop,
        }
        if self.path in of_bytes:
            work, sent = of_bytes[self.path], self.body(BYTES, MAX_UPLOAD)
        elif self.path in of_json:
            work, sent = of_json[self.path], self.json_body(MAX_JSON)
        else:
            return self.fail(404, "no such page")
        if sent is not None:
            work(sent)

    def _photo(self, body: bytes) -> None:
        self.send_json(self.bench.add_photo(body, self._name()))

    def _open(self, body: bytes) -> None:
        self.send_json(self.bench.open_file(body, self._name()))

    def _name(self) -> str:
        """The name of the uploaded file, for messages; "" if the page did not send one."""
        return unquote(self.headers.get("Rdc-Name", ""))[:LONGEST_NAME]

    def _demo(self, asked: dict[str, Any]) -> None:
        self.send_json(self.bench.demo_photo())

    def _mask(self, asked: dict[str, Any]) -> None:
        mask, figures = self.bench.suggested_mask(asked)
        self.send(200, mask, BYTES, Rdc_Figures=json.dumps(figures))

    def _encode(self, asked: dict[str, Any]) -> None:
        self.send_json(self.bench.encode(asked))

    def _decode(self, asked: dict[str, Any]) -> None:
        image, figures = self.bench.decode(asked)
        self.send(200, image, "image/png", Rdc_Figures=json.dumps(figures))

    def _compare(self, asked: dict[str, Any]) -> None:
        image, figures = self.bench.compare(asked)
        self.send(200, image, "image/png", Rdc_Figures=json.dumps(figures))

    def _faces(self, asked: dict[str, Any]) -> None:
        self.send_json(self.bench.faces(asked))

    def _progress(self, asked: dict[str, Any]) -> None:
        self.send_json(self.bench.progress(asked))

    def _stop(self, asked: dict[str, Any]) -> None:
        self.send_json(self.bench.stop(asked))

    def _file(self, asked: dict[str, Any]) -> None:
        self.send(200, self.bench.file_bytes(asked), BYTES)
