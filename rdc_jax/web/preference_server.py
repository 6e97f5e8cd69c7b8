"""The page of a study of preferences, and its server on this machine.

    serve(pairs(results["points"], seed=0), "results", "answers.csv", port=8000)

The page does not know which codec is on which side. It shows images pixel by pixel, unscaled.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from http.server import ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.preference import CHOICES, Journal, Pair
from rdc_jax.images import formats
from rdc_jax.web import serving

LONGEST_REQUEST = 1000  # bytes


def serve(
    study: Sequence[Pair],
    directory: str | Path,
    out_csv: str | Path,
    port: int,
    announce: Callable[[str], None] = print,
) -> None:
    """Shows the pairs on a page at http://127.0.0.1:port until Ctrl-C.

    Args:
        study: The pairs, in order.
        directory: The folder of `rdc eval`.
        out_csv: The CSV that answers are appended to.
        port: The port; 0 takes a free one.
        announce: Receives the line with the address.

    Raises:
        RdcError: As `make_server`.
    """
    serving.run(
        make_server(study, directory, out_csv, port),
        lambda address: announce(f"{address}  (Ctrl-C ends; answers: {out_csv})"),
    )


def make_server(
    study: Sequence[Pair], directory: str | Path, out_csv: str | Path, port: int
) -> ThreadingHTTPServer:
    """The server of a study, bound to 127.0.0.1 and not yet running.

    It serves only the images of the study, by number, never by a path from a request.

    Args:
        study: The pairs, in order.
        directory: The folder of `rdc eval`.
        out_csv: The CSV that answers are appended to.
        port: The port; 0 takes a free one.

    Raises:
        RdcError: There are no pairs, an image is missing or outside `directory`, the CSV is another
            kind of file, or the port is taken.
    """
    if not study:
        raise RdcError("no two codecs have images at equal bytes; raise the tolerance")
    files = [_files(pair, Path(directory)) for pair in study]
    journal = Journal(study, Path(out_csv))
    page, policy = _page()
    fields = {"files": files, "journal": journal, "page": page, "policy": policy}
    return serving.listen(_Handler, "127.0.0.1", port, **fields)


class _Handler(serving.Handler):
    files: list[dict[str, Path]]
    journal: Journal
    page: bytes

    def get(self) -> None:
        if self.path == "/":
            return self.send(200, self.page, "text/html; charset=utf-8")
        if self.path == "/state":
            return self._send_state(self.journal.state())
        parts = self.path.split("/")  # "", "picture", number, side
        if (
            len(parts) == 4
            and parts[1] == "picture"
            and parts[2] in map(str, range(len(self.files)))
        ):
            file = self.files[int(parts[2])].get(parts[3])
            if file is not None:
                media_type = "image/" + formats.of_extension(file.suffix).name.lower()
                return self.send(200, _read(file), media_type)
        return self.fail(404, "no such page")

    def post(self) -> None:
        if self.path != "/answer":
            return self.fail(404, "no such page")
        asked = self.json_body(LONGEST_REQUEST)
        if asked is None:
            return None
        key, choice = asked.get("key"), asked.get("choice")
        if choice not in (*CHOICES, "undo"):
            return self.fail(400, "not an answer")
        undo = choice == "undo"
        return self._send_state(self.journal.undo() if undo else self.journal.answer(key, choice))

    def _send_state(self, state: dict[str, Any]) -> None:
        number = state["pair"]
        shown = number is not None and "original" in self.files[number]
        self.send_json(state | {"original": shown})


def _files(pair: Pair, directory: Path) -> dict[str, Path]:
    """The image files of a pair by side; "original" only if it exists."""
    root = directory.resolve()
    paths = {"left": pair.left["picture"], "right": pair.right["picture"]}
    found = {}
    for side, path in (paths | {"original": pair.original}).items():
        file = (root / path).resolve()
        if not file.is_relative_to(root) or file.suffix.lower() not in formats.COMMON:
            raise RdcError(f"'{path}' is not an image below '{directory}'; check the results file")
        if file.is_file():
            found[side] = file
        elif side != "original":
            raise RdcError(f"there is no image '{path}' in '{directory}'; run rdc eval again")
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:  # without the name, which would reveal the codec
        raise RdcError(f"an image cannot be read ({error.strerror}); run rdc eval again") from None


def _page() -> tuple[bytes, str]:
    """The page, and the policy that allows its own script and nothing else."""
    page = resources.files(__package__).joinpath("preference_page.html").read_text("utf-8")
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    policy = (
        "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"
    )
    return page.encode("utf-8"), policy
