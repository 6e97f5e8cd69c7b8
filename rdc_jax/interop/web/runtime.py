"""onnxruntime-web, the WebAssembly runtime of the page: a pinned version of the npm package.

npm fetches the package when a folder is exported. Without a network, a copy of the package serves:
the file of `npm pack onnxruntime-web@VERSION`, or a folder such as node_modules/onnxruntime-web.
The files must have the pinned hashes, wherever they come from.
"""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from rdc_jax.errors import RdcError

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
SHA256 = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
}
LICENCE = Path(__file__).with_name("onnxruntime_LICENSE.txt")  # the npm package holds no copy
ROOM = "dist/"  # of these files in the package
SECONDS = 600


def files(source: Path | None = None) -> dict[str, bytes]:
    """Returns the files of the runtime and its licence, contents by name.

    Args:
        source: The package's .tgz file or its folder. None: npm fetches it.

    Raises:
        RdcError: There is no such package, or its files are not those of the pinned version.
    """
    if source is not None:
        return _checked(_reader(source), str(source))
    npm = shutil.which("npm")
    if npm is None:
        raise RdcError(
            f"npm, which fetches {PACKAGE}, is not installed; install Node.js, or name a copy of "
            "the package with --runtime"
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise RdcError(f"npm did not fetch {PACKAGE} within {SECONDS} seconds") from None
        packages = list(Path(folder).glob("*.tgz"))
        if done.returncode or not packages:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise RdcError(
                f"npm cannot fetch {PACKAGE} ({lines[0]}); name a copy of the package with "
                "--runtime"
            )
        return _checked(_reader(packages[0]), PACKAGE)


def _reader(source: Path) -> Callable[[str], bytes]:
    """Returns a function that reads a file of the package by its name in `dist`."""
    if source.is_dir():
        return lambda name: (source / ROOM / name).read_bytes()

    def read(name: str) -> bytes:
        with tarfile.open(source) as package:
            member = package.extractfile(f"package/{ROOM}{name}")
            assert member is not None  # extractfile raises KeyError for a missing name
            return member.read()

    return read


def _checked(read: Callable[[str], bytes], source: str) -> dict[str, bytes]:
    contents = {}
    for name, expected in SHA256.items():
        try:
            contents[name] = read(name)
        except (OSError, KeyError, tarfile.TarError) as error:
            raise RdcError(f"{source} holds no {ROOM}{name}; it must be {PACKAGE}") from error
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise RdcError(f"{name} of {source} is not that of {PACKAGE}; get that version")
    return contents | {"LICENSE.txt": LICENCE.read_bytes()}
