"""The page of a study of preferences, and its server on this machine.

    serve(pairs(results["points"], seed=0), "results", "answers.csv", port=8000)

The page does not know which codec is on which side, and shows pixels one for one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.preference import CHOICES, Journal, Pair
from rdc_jax.pictures import formats

LONGEST_REQUEST = 1000  # bytes


def serve(
    study: Sequence[Pair],
    directory: str | Path,
    out_csv: str | Path,
    port: int,
    announce: Callable[[str], None] = print,
) -> None:
    """Asks the pairs on a page at http://127.0.0.1:port until Ctrl-C; see `make_server`."""
    with make_server(study, directory, out_csv, port) as server:
        announce(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends; answers: {out_csv})")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


def make_server(
    study: Sequence[Pair], directory: str | Path, out_csv: str | Path, port: int
) -> ThreadingHTTPServer:
    """The server of a study, bound to 127.0.0.1 and not yet running; port 0 takes a free one.

    Only the pictures of the study are served, by number, never by a path from a request.

    Raises:
      RdcError: no pairs, a picture is missing or outside `directory`, the CSV is another kind of
        file, or the port is taken.
    """
    if not study:
        raise RdcError("no two codecs have pictures at equal bytes; raise the tolerance")
    files = [_files(pair, Path(directory)) for pair in study]
    journal = Journal(study, Path(out_csv))
    page = _page()

    class Handler(_Handler):
        pass

    Handler.files, Handler.journal, Handler.page = files, journal, page
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise RdcError(f"cannot listen at port {port} ({error}); choose another") from None
    Handler.hosts = {f"{name}:{server.server_port}" for name in ("127.0.0.1", "localhost")}
    return server


class _Handler(BaseHTTPRequestHandler):
    files: list[dict[str, Path]]
    journal: Journal
    page: tuple[bytes, str]
    hosts: set[str]

    def do_GET(self) -> None:
        if not self._is_from_here():
            return self._send(403, b"only for this machine")
        if self.path == "/":
            return self._send(200, self.page[0], "text/html; charset=utf-8")
        if self.path == "/state":
            return self._send_json(self.journal.state())
        parts = self.path.split("/")  # "", "picture", number, side
        if (
            len(parts) == 4
            and parts[1] == "picture"
            and parts[2] in map(str, range(len(self.files)))
        ):
            file = self.files[int(parts[2])].get(parts[3])
            if file is not None:
                media_type = "image/" + formats.of_extension(file.suffix).name.lower()
                return self._send(200, file.read_bytes(), media_type)
        return self._send(404, b"no such page")

    def do_POST(self) -> None:
        kind, length = self.headers.get("Content-Type"), self.headers.get("Content-Length", "")
        if not self._is_from_here() or kind != "application/json":
            return self._send(403, b"only for this page")
        if not length.isdecimal() or int(length) > LONGEST_REQUEST:
            return self._send(413, b"too long")
        try:
            asked = json.loads(self.rfile.read(int(length)))
            key, choice = asked.get("key"), asked["choice"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return self._send(400, b"not an answer")
        if self.path != "/answer" or choice not in (*CHOICES, "undo"):
            return self._send(404, b"no such page")
        undo = choice == "undo"
        return self._send_json(self.journal.undo() if undo else self.journal.answer(key, choice))

    def _is_from_here(self) -> bool:
        """Whether the request names this machine, and comes from our page if from any."""
        host, origin = self.headers.get("Host"), self.headers.get("Origin")
        return host in self.hosts and origin in (None, f"http://{host}")

    def _send_json(self, state: dict[str, Any]) -> None:
        number = state["pair"]
        shown = number is not None and "original" in self.files[number]
        self._send(200, json.dumps(state | {"original": shown}).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": self.page[1],
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the terminal shows the address only."""


def _files(pair: Pair, directory: Path) -> dict[str, Path]:
    """The picture files of a pair by side; "original" only where there is one."""
    root = directory.resolve()
    paths = {"left": pair.left["picture"], "right": pair.right["picture"]}
    found = {}
    for side, path in (paths | {"original": pair.original}).items():
        file = (root / path).resolve()
        if not file.is_relative_to(root) or file.suffix.lower() not in formats.COMMON:
            raise RdcError(f"'{path}' is no picture below '{directory}'; check the results file")
        if file.is_file():
            found[side] = file
        elif side != "original":
            raise RdcError(f"there is no picture '{path}' in '{directory}'; run rdc eval again")
    return found


def _page() -> tuple[bytes, str]:
    """The page and the policy that lets it run its own script and nothing else."""
    page = resources.files(__package__).joinpath("preference_page.html").read_text("utf-8")
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    policy = (
        "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"
    )
    return page.encode("utf-8"), policy
