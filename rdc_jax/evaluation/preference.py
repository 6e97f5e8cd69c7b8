"""A two-alternative forced-choice study: which of two images of equal bytes is closer?

    study = pairs(results["points"], seed=0)
    preference_server.serve(study, "results", "answers.csv", port=8000)
    for row in summary("answers.csv"): print(row)

Every answer is appended to the CSV at once. An undone answer stays, followed by a line "undo".
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from rdc_jax.errors import RdcError, reason

CHOICES = ("left", "right", "skip")
COLUMNS = ("time", "pair", "image", "left", "left_setting", "left_bytes", "right", "right_setting",
           "right_bytes", "choice")  # fmt: skip
Z = 1.959963984540054  # the normal quantile of a two-sided 95 % interval


class Pair(NamedTuple):
    """Two decoded versions of one image.

    Attributes:
        key: Identity of the pair; it does not depend on the sides.
        image: Name of the original.
        left: A point of the results.
        right: Another point.
        original: Path of the original, relative like those of the points.
    """

    key: str
    image: str
    left: dict[str, Any]
    right: dict[str, Any]
    original: str


class Preference(NamedTuple):
    """How often `first` was preferred to `second`.

    Attributes:
        first: Name of a codec.
        second: Name of another one.
        answers: Number of answers that chose one of them.
        skipped: Number of skipped answers.
        share: Share of the answers for `first`; None when all were skipped.
        low: Lower end of the share's 95 % Wilson interval.
        high: Upper end.
    """

    first: str
    second: str
    answers: int
    skipped: int
    share: float | None
    low: float
    high: float


def pairs(
    points: Sequence[dict[str, Any]],
    seed: int,
    tolerance: float = 0.05,
    originals: Mapping[str, str] | None = None,
) -> list[Pair]:
    """All pairs of two codecs at equal bytes on the same image, in random order.

    Each point of a codec is paired with the other codec's point nearest in bytes. Every codec is on
    the left as often as on the right, up to one.

    Args:
        points: The points of results.json; those without a decoded image are ignored.
        seed: Seed of the order and of the sides.
        tolerance: The larger file may be larger by this share of the smaller one.
        originals: Paths by name of the image; by default where `rdc eval` writes originals.
    """
    by_image: dict[str, dict[str, list[dict]]] = {}
    for point in points:
        if point.get("picture") and point["bytes"] > 0:
            by_image.setdefault(point["image"], {}).setdefault(point["codec"], []).append(point)
    found: dict[tuple[str, str], list[tuple[str, dict, dict]]] = {}
    for image, codecs in by_image.items():
        for first, second in combinations(sorted(codecs), 2):
            for a in codecs[first]:
                b = min(codecs[second], key=lambda p: abs(math.log(p["bytes"] / a["bytes"])))
                small, large = sorted((a["bytes"], b["bytes"]))
                if large <= small * (1.0 + tolerance):
                    found.setdefault((first, second), []).append((image, a, b))
    generator = np.random.default_rng(seed)
    drawn = []
    for matches in found.values():
        flips = (np.arange(len(matches)) + generator.integers(2)) % 2
        for (image, a, b), flip in zip(matches, generator.permutation(flips), strict=True):
            stem = PurePosixPath(image).stem
            original = (originals or {}).get(image, f"pictures/original/0/{stem}.png")
            left, right = (b, a) if flip else (a, b)
            drawn.append(Pair(_key(image, a, b), image, left, right, original))
    return [drawn[n] for n in generator.permutation(len(drawn))]


def summary(path: str | Path) -> list[Preference]:
    """The preferences in a CSV of answers, one row per pair of codecs, sorted by name.

    Raises RdcError when there is no such file or it contains no answers of a study.
    """
    if not Path(path).exists():
        raise RdcError(f"no answers: there is no file '{path}'")
    counts: dict[tuple[str, str], list[int]] = {}
    for row in _answers(Path(path)):
        first, second = sorted((row["left"], row["right"]))
        tally = counts.setdefault((first, second), [0, 0, 0])
        tally[2 if row["choice"] == "skip" else int(row[row["choice"]] == second)] += 1
    rows = []
    for (first, second), (wins, losses, skipped) in sorted(counts.items()):
        count = wins + losses
        share = wins / count if count else None
        rows.append(Preference(first, second, count, skipped, share, *wilson(wins, count)))
    return rows


def wilson(wins: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, 1927), within [0,1]; (0,1) without answers."""
    if count == 0:
        return 0.0, 1.0
    share, weight = wins / count, Z * Z / count
    middle = (share + weight / 2) / (1 + weight)
    half = Z / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


class Journal:
    """The answers of one study, in a CSV that only grows. Its methods are thread-safe."""

    def __init__(self, study: Sequence[Pair], path: Path):
        self._study, self._path, self._lock = study, path, threading.Lock()
        known = {pair.key for pair in study}
        rows = _answers(path) if path.exists() else []
        self._done = [row["pair"] for row in rows if row["pair"] in known]
        self._numbers = {pair.key: number for number, pair in enumerate(study)}

    def state(self) -> dict[str, Any]:
        """The number of answered pairs, and the next pair's number and key; None after the last."""
        with self._lock:
            return self._state()

    def answer(self, key: Any, choice: Any) -> dict[str, Any]:
        """Writes an answer to the current pair. Others, such as repeats, are ignored."""
        with self._lock:
            state = self._state()
            if choice in CHOICES and state["pair"] is not None and state["key"] == key:
                self._append(self._study[state["pair"]], choice)
                self._done.append(key)
            return self._state()

    def undo(self) -> dict[str, Any]:
        """Takes back the last answer, if there is one."""
        with self._lock:
            if self._done:
                self._append(self._study[self._numbers[self._done[-1]]], "undo")
                self._done.pop()
            return self._state()

    def _state(self) -> dict[str, Any]:
        done = set(self._done)
        number = next((n for n, pair in enumerate(self._study) if pair.key not in done), None)
        key = None if number is None else self._study[number].key
        return {"done": len(done), "total": len(self._numbers), "pair": number, "key": key}

    def _append(self, pair: Pair, choice: str) -> None:
        sides = [
            value
            for point in (pair.left, pair.right)
            for value in (point["codec"], point.get("setting"), point["bytes"])
        ]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self._write([now, pair.key, pair.image, *sides, choice])
        except OSError as error:
            raise RdcError(f"cannot write '{self._path}': {error.strerror}; answer again") from None

    def _write(self, cells: list[Any]) -> None:
        with open(self._path, "a+b") as file:
            empty, torn = file.tell() == 0, False
            if not empty:
                file.seek(-1, os.SEEK_END)
                torn = file.read(1) != b"\n"
            lines = [*([COLUMNS] if empty else []), cells]
            text = ("\n" if torn else "") + "".join(map(_csv_line, lines))
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())


def _key(image: str, a: dict[str, Any], b: dict[str, Any]) -> str:
    """A pair's identity, the same in every run and for both orders of the sides."""
    sides = sorted(json.dumps([p["codec"], p.get("setting"), p["picture"]]) for p in (a, b))
    return hashlib.sha256(json.dumps([image, *sides]).encode("utf-8")).hexdigest()[:16]


def _answers(path: Path) -> list[dict[str, str]]:
    """The valid answers in order, without undone ones and without truncated lines."""
    try:
        lines = path.read_bytes().decode("utf-8", "replace").split("\n")
    except OSError as error:
        raise RdcError(f"cannot read '{path}': {reason(error)}") from None
    if lines == [""]:
        return []
    if lines[0].rstrip("\r") != ",".join(COLUMNS):
        raise RdcError(f"'{path}' contains no answers of a study; name another file")
    rows: list[dict[str, str]] = []
    for line in lines[
        1:
    ]:  # one by one: an open quote in a truncated line must not swallow the next
        cells = next(csv.reader([line.rstrip("\r")]), [])
        if len(cells) != len(COLUMNS):
            continue
        row = dict(zip(COLUMNS, cells, strict=True))
        if row["choice"] in CHOICES:
            rows.append(row)
        elif row["choice"] == "undo":
            last = [n for n, earlier in enumerate(rows) if earlier["pair"] == row["pair"]][-1:]
            rows = [earlier for n, earlier in enumerate(rows) if n not in last]
    return rows


def _csv_line(cells: Sequence[Any]) -> str:
    """One line; line ends inside a cell become spaces."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(
        " ".join(str(cell).replace("\0", "").splitlines()) for cell in cells
    )
    return line.getvalue() + "\n"
