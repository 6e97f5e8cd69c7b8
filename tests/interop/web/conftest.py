"""Node.js and an exported page; tests that want them are skipped where they are missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OLDEST = 20  # major version of Node.js


@pytest.fixture(scope="session")
def node():
    """Function (script, *arguments, test) -> standard output of Node.js, which must succeed."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs Node.js")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if int(re.match(r"v(\d+)", version.stdout)[1]) < OLDEST:
        pytest.skip(f"needs Node.js {OLDEST} or newer, found {version.stdout.strip()}")

    def run(script, *arguments, test=False):
        environment = os.environ | {"RDC_TEST_FOLDER": str(arguments[0])} if test else None
        options = ["--test", "--test-reporter=tap"] if test else []
        done = subprocess.run(
            [program, *options, HERE / script, *map(str, () if test else arguments)],
            env=environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The page of the shipped model. npm fetches its runtime, unless RDC_ORT_WEB names a copy."""
    return _exported(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def webgpu_site(tmp_path_factory):
    """The same with the runtime for WebGPU."""
    return _exported(tmp_path_factory.mktemp("webgpu_site"), webgpu=True)


def _exported(out, webgpu=False):
    pytest.importorskip("onnx")
    from rdc_jax.errors import RdcError
    from rdc_jax.interop import export_folder
    from rdc_jax.interop.web import folder, runtime
    from rdc_jax.model_folder import codec_model

    copy = os.environ.get("RDC_ORT_WEB")
    source = Path(copy) if copy else None
    try:
        runtime.files(source, webgpu=webgpu)
    except RdcError as error:
        pytest.skip(f"needs {runtime.PACKAGE}: {error}")
    model = codec_model.load("tiny")
    contents = folder.files(model, source, webgpu=webgpu)
    export_folder.write(out, model, contents.items())
    return out


@pytest.fixture(scope="session")
def files():
    """Files of the shipped model: small, with a profile, tiled with alpha, and damaged."""
    import numpy as np
    from PIL import ImageCms

    from rdc_jax.bitstream.file_reader import FileReader
    from rdc_jax.bitstream.sections import SectionType
    from rdc_jax.codec import codec as codecs
    from rdc_jax.codec.metadata_sections import extras_of
    from rdc_jax.images import LoadedImage

    rng, codec = np.random.default_rng(3), codecs.load("tiny")
    y, x = np.mgrid[0:300, 0:340]
    waves = 128 + 80 * np.sin(x[..., None] / [23, 31, 17] + y[..., None] / [19, 27, 37])
    pixels = np.clip(waves + rng.normal(0, 5, waves.shape), 0, 255).astype(np.uint8)
    alpha = np.clip(y + x - 100, 0, 255).astype(np.uint8)
    image = LoadedImage(pixels=pixels, grey=False, alpha=alpha, icc=None, exif=None, xmp=None)
    small = codec.encode(pixels[:90, :120], quality=50, importance=x[:90, :120] > 60)
    tiled = codec.encode(pixels, quality=50, tile=256, extras=extras_of(image))
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tagged = LoadedImage(
        pixels=pixels[:90, :120], grey=False, alpha=None, icc=icc, exif=None, xmp=None
    )
    profile = codec.encode(tagged.pixels, quality=50, extras=extras_of(tagged))
    damaged = bytearray(tiled)
    damaged[FileReader(tiled).places[SectionType.TILES].end - 20] ^= 1  # within the last tile
    return {
        "small.rdc": small,
        "profile.rdc": profile,
        "tiled.rdc": tiled,
        "damaged.rdc": bytes(damaged),
    }
