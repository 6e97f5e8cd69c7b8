"""ICC profiles for colour spaces that files describe by numbers: primaries, white and a tone curve.

The profiles are version 4 matrix profiles, as in ICC.1:2022, and have about 500 bytes.
"""

import struct
from dataclasses import dataclass

import numpy as np

_D50 = np.array([0.9642, 1.0, 0.8249])  # XYZ of the white of ICC profiles
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_VERSION = 0x04400000
_DATE = (2026, 1, 1, 0, 0, 0)  # fixed, so that equal colours give equal bytes


@dataclass(frozen=True)
class Curve:
    """From values 0..1 to light 0..1: (a x + b) ** gamma from `knee` on, c x below, or a table.

    Attributes:
        gamma: Exponent.
        a: Factor before the exponent.
        b: Offset before the exponent.
        c: Slope below the knee.
        knee: Where the straight part ends; 0 for no straight part.
        table: Light at equal steps, instead of all others; empty for none.
    """

    gamma: float = 1.0
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    knee: float = 0.0
    table: tuple[float, ...] = ()


@dataclass(frozen=True)
class Colours:
    """A colour space of additive primaries.

    Attributes:
        name: Name for people.
        red: CIE xy of the red primary.
        green: CIE xy of the green primary.
        blue: CIE xy of the blue primary.
        white: CIE xy of white.
        curves: The tone curve, or one for each of red, green and blue.
    """

    name: str
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    curves: tuple[Curve, ...]

    def to_xyz(self) -> np.ndarray:
        """Returns the matrix [3,3] from linear RGB to XYZ under D50.

        Raises ValueError if the numbers describe no colour space.
        """
        corners = np.array([_xyz(*xy) for xy in (self.red, self.green, self.blue)]).T
        white = np.array(_xyz(*self.white))
        if abs(np.linalg.det(corners)) < 1e-4:
            raise ValueError("the primaries lie on a line")
        matrix = corners * np.linalg.solve(corners, white)
        if (matrix[1] <= 0).any():  # white is outside the triangle
            raise ValueError("white is not a mixture of the primaries")
        return adaptation(self.white) @ matrix


def adaptation(white: tuple[float, float]) -> np.ndarray:
    """Returns the Bradford matrix [3,3] from XYZ under a white, given by CIE xy, to D50."""
    scale = (_BRADFORD @ _D50) / (_BRADFORD @ np.array(_xyz(*white)))
    return np.linalg.inv(_BRADFORD) @ (scale[:, None] * _BRADFORD)


def profile(colours: Colours, grey: bool) -> bytes:
    """Returns an ICC profile.

    Args:
        colours: The colour space.
        grey: True for the profile of a grey image, which needs no primaries.

    Raises:
        ValueError: the numbers describe no colour space.
    """
    tags = {b"desc": _text(colours.name), b"cprt": _text("No copyright"), b"wtpt": _xyz_tag(_D50)}
    tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(*adaptation(colours.white).ravel())
    matrix = colours.to_xyz()
    curves = [_curve(curve) for curve in (colours.curves * 3)[:3]]
    if grey:
        tags[b"kTRC"] = curves[1]
    else:
        for number, letter in enumerate(b"rgb"):
            tags[bytes([letter]) + b"XYZ"] = _xyz_tag(matrix[:, number])
            tags[bytes([letter]) + b"TRC"] = curves[number]
    return _joined(tags, b"GRAY" if grey else b"RGB ")


def _joined(tags: dict[bytes, bytes], space: bytes) -> bytes:
    """Returns header, table and tags. Equal contents are stored once."""
    start = 128 + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    body = b""
    for content in tags.values():
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
    table = b"".join(
        struct.pack(">4sII", tag, places[content], len(content)) for tag, content in tags.items()
    )
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"", _VERSION, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H", *_DATE) + b"acsp" + bytes(28) + _fixed(*_D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(x: float, y: float) -> tuple[float, float, float]:
    if not (0 < y <= 1 and -0.5 <= x <= 1.5):
        raise ValueError("a chromaticity is out of range")
    return x / y, 1.0, (1 - x - y) / y


def _xyz_tag(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _curve(curve: Curve) -> bytes:
    if curve.table:
        steps = np.rint(65535 * np.clip(curve.table, 0, 1)).astype(">u2")
        return b"curv\0\0\0\0" + struct.pack(">I", len(steps)) + steps.tobytes()
    if curve.knee == 0 and (curve.a, curve.b) == (1, 0):
        return b"para\0\0\0\0" + struct.pack(">HH", 0, 0) + _fixed(curve.gamma)
    numbers = curve.gamma, curve.a, curve.b, curve.c, curve.knee
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed(*numbers)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(65536 * float(value))) for value in values)
