"""The studio's page and its server.

    serve(Workbench(rdc_jax.load), "127.0.0.1", 8047)

GET gives the page's own files, a fixed list, and photos by key; POST takes a photo or a file as
bytes and everything else as JSON. No request names a path on this machine.
"""

import json
import socket
import sys
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any

from rdc_jax.errors import RdcError
from rdc_jax.studio import addresses
from rdc_jax.studio.workbench import Workbench

BYTES, JSON = "application/octet-stream", "application/json"
MAX_UPLOAD, MAX_JSON = 64 * 2**20, 8 * 2**20  # bytes of a photo or file; of a mask with settings
PAGE = {
    "/": ("studio.html", "text/html"),
    "/studio.css": ("studio.css", "text/css"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript")
        for name in ("app", "calls", "figures", "newest", "painting", "slider", "view")
    },
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def serve(bench: Workbench, host: str, port: int, announce: Callable[[str], None] = print) -> None:
    """Serves the page until Ctrl-C; announce gets its address. Raises RdcError as `make_server`."""
    with make_server(bench, host, port) as server:
        shown = "127.0.0.1" if host in addresses.WILDCARDS else host
        try:
            announce(f"http://{addresses.bracketed(shown)}:{server.server_port}/")
            server.serve_forever()
        except KeyboardInterrupt:
            pass


def make_server(bench: Workbench, host: str, port: int) -> ThreadingHTTPServer:
    """The server, bound and not yet running; port 0 takes a free one.

    Raises RdcError when the address cannot be had.
    """

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, request, client_address):
            if not isinstance(sys.exception(), OSError):  # a client that went away is no error
                super().handle_error(request, client_address)

    class Handler(_Handler):
        pass

    Handler.bench, Handler.bound = bench, host
    folder = resources.files(__package__).joinpath("page")
    Handler.page = {
        path: (folder.joinpath(name).read_bytes(), kind) for path, (name, kind) in PAGE.items()
    }
    try:
        return Server((host, port), Handler)
    except (OSError, OverflowError, TypeError, UnicodeError) as error:
        raise RdcError(
            f"cannot listen at {host} port {port} ({error}); choose another --host or --port"
        ) from None


class _Handler(BaseHTTPRequestHandler):
    bench: Workbench
    bound: str
    page: dict[str, tuple[bytes, str]]
    timeout = 60  # seconds that a client may be silent

    def do_GET(self) -> None:
        if not addresses.is_own(self.headers, self.bound, self.server.server_port):
            return self._fail(403, "only for the studio's own page")
        if self.path in self.page:
            body, kind = self.page[self.path]
            return self._send(200, body, f"{kind}; charset=utf-8")
        if self.path == "/state":
            return self._answer(lambda: self._send_json(self.bench.state()))
        if self.path.startswith("/photo/"):
            key = self.path.removeprefix("/photo/")
            return self._answer(lambda: self._send(200, self.bench.photo_png(key), "image/png"))
        return self._fail(404, "no such page")

    def do_POST(self) -> None:
        if not addresses.is_own(self.headers, self.bound, self.server.server_port):
            return self._fail(403, "only for the studio's own page")
        of_bytes = {"/photo": self._photo, "/open": self._open}
        of_json = {
            "/demo": self._demo,
            "/mask": self._mask,
            "/encode": self._encode,
            "/decode": self._decode,
            "/file": self._file,
        }
        if self.path in of_bytes:
            kind, limit = BYTES, MAX_UPLOAD
        elif self.path in of_json:
            kind, limit = JSON, MAX_JSON
        else:
            return self._fail(404, "no such page")
        if self.headers.get("Content-Type") != kind:  # a foreign form cannot send these
            return self._fail(415, f"{self.path} takes {kind}")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            return self._fail(411, "the request does not say how long it is")
        if len(length) > 12 or int(length) > limit:
            return self._fail(413, f"the upload is larger than {limit // 2**20} MiB")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return self._fail(400, "the request ended early")
        if kind == BYTES:
            return self._answer(lambda: of_bytes[self.path](body))
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict):
            return self._fail(400, "the request is not a JSON object")
        return self._answer(lambda: of_json[self.path](asked))

    def _photo(self, body: bytes) -> None:
        self._send_json(self.bench.add_photo(body))

    def _open(self, body: bytes) -> None:
        self._send_json(self.bench.open_file(body))

    def _demo(self, asked: dict[str, Any]) -> None:
        self._send_json(self.bench.demo_photo())

    def _mask(self, asked: dict[str, Any]) -> None:
        mask, figures = self.bench.suggested_mask(asked)
        self._send(200, mask, BYTES, {"Rdc-Figures": json.dumps(figures)})

    def _encode(self, asked: dict[str, Any]) -> None:
        self._send_json(self.bench.encode(asked))

    def _decode(self, asked: dict[str, Any]) -> None:
        picture, figures = self.bench.decode(asked)
        self._send(200, picture, "image/png", {"Rdc-Figures": json.dumps(figures)})

    def _file(self, asked: dict[str, Any]) -> None:
        self._send(200, self.bench.file_bytes(asked), BYTES)

    def _answer(self, work: Callable[[], None]) -> None:
        """Runs `work`; what the user can mend becomes one line, a bug also a traceback here."""
        try:
            work()
        except RdcError as error:
            self._fail(422, " ".join(str(error).split()))
        except OSError:  # the page has gone
            self.close_connection = True
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self._fail(500, f"the codec failed ({type(error).__name__}); see the terminal")

    def _fail(self, status: int, line: str) -> None:
        self.close_connection = True
        self._send(status, json.dumps({"error": line}).encode(), JSON)

    def _send_json(self, content: dict[str, Any]) -> None:
        self._send(200, json.dumps(content).encode(), JSON)

    def _send(
        self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in (headers | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the terminal shows the address only."""
