"""onnxruntime-web, the WebAssembly runtime of the page: a pinned version of the npm package.

npm fetches the package when a folder is exported. Without a network, a copy of the package serves:
the file of `npm pack onnxruntime-web@VERSION`, or a folder such as node_modules/onnxruntime-web.
The files must have the pinned hashes, wherever they come from.

The build for WebGPU is twice as large, so it is an option, in a folder of its own.
"""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
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
WEBGPU_SHA256 = {
    "ort.webgpu.bundle.min.mjs": "0730816731ce2cdfb06f273da065d4a1c7091eb9d1756a83b2916c8a89d015e2",
    "ort-wasm-simd-threaded.asyncify.wasm": (
        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da"
    ),
}
WEBGPU_FOLDER = "webgpu/"
LICENCE = Path(__file__).with_name("onnxruntime_LICENSE.txt")  # the npm package holds no copy
ROOM = "dist/"  # of these files in the package
SECONDS = 600


def files(source: Path | None = None, *, webgpu: bool = False) -> dict[str, bytes]:
    """Returns the files of the runtime and its licence, contents by name.

    Args:
        source: The package's .tgz file or its folder. None: npm fetches it.
        webgpu: Whether the build for WebGPU is included, in the folder `webgpu`.

    Raises:
        RdcError: There is no such package, or its files are not those of the pinned version.
    """
    if source is not None:
        return _checked(_reader(source), str(source), webgpu)
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
        return _checked(_reader(packages[0]), PACKAGE, webgpu)


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


def _checked(read: Callable[[str], bytes], source: str, webgpu: bool) -> dict[str, bytes]:
    contents = _pinned(SHA256, read, source)
    if webgpu:
        larger = _pinned(WEBGPU_SHA256, read, source)
        contents |= {WEBGPU_FOLDER + name: data for name, data in larger.items()}
    return contents | {"LICENSE.txt": LICENCE.read_bytes()}


def _pinned(
    hashes: Mapping[str, str], read: Callable[[str], bytes], source: str
) -> dict[str, bytes]:
    """Reads files of the package. Raises RdcError if one is missing or has another hash."""
    contents = {}
    for name, expected in hashes.items():
        try:
            contents[name] = read(name)
        except (OSError, KeyError, tarfile.TarError) as error:
            raise RdcError(f"{source} holds no {ROOM}{name}; it must be {PACKAGE}") from error
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise RdcError(f"{name} of {source} is not that of {PACKAGE}; get that version")
    return contents
