"""Files of the shipped model, decoded in PyTorch by a process that cannot import JAX."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rdc_jax.codec import codec as codecs
from rdc_jax.errors import RdcError

ROOT = Path(__file__).resolve().parents[2]
TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not TORCH, reason="PyTorch is not installed")

JAX = ("jax", "jaxlib", "flax", "optax", "orbax")

DECODE = """
import json
from pathlib import Path
import numpy as np
from rdc_jax.interop.torch import decoder as torch_decoding

folder = Path(sys.argv[1])
decoders = {}
for job in json.loads((folder / "jobs.json").read_text()):
    chosen = (job["model"], job["fusion"])
    if chosen not in decoders:
        decoders[chosen] = torch_decoding.load(*chosen)
    data = (folder / job["file"]).read_bytes()
    picture = torch_decoding.decode(data, decoders[chosen], tau=job["tau"], steps=job["steps"])
    assert str(picture.dtype) == "torch.uint8"
    np.save(folder / f"{job['name']}.npy", picture.numpy())
    print(decoders[chosen].decode_latent(data)[1].symbol_hash)
assert not {"jax", "jaxlib", "flax"} & set(sys.modules)
"""


def photograph(height, width):
    """An image with edges, ramps and noise."""
    rng = np.random.default_rng(height)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin(x / rng.uniform(9, 40) + y / rng.uniform(9, 40)) for _ in range(3)]
    planes = np.stack(planes, axis=-1) + rng.normal(0, 6, (height, width, 3))
    planes[height // 3 : height // 2, width // 4 : width // 2] = (240, 30, 60)
    return np.clip(planes, 0, 255).astype(np.uint8)


def ellipse(height, width):
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return x**2 + y**2 < 0.4


@pytest.fixture(scope="module")
def smoke_codec(smoke_model):
    return codecs.load(smoke_model)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, smoke_codec, smoke_model):
    """Files, options to decode them, hashes of their symbols, and the images of `rdc decode`."""
    folder, found = tmp_path_factory.mktemp("files"), []
    shipped = codecs.load()

    def add(codec, model, fusion, picture, settings, ways):
        name = f"{len(found)}"
        data, report = codec.encode(picture, return_report=True, **settings)
        (folder / f"{name}.rdc").write_bytes(data)
        for tau, steps in ways:
            job = dict(model=model, fusion=fusion, file=f"{name}.rdc", name=f"{len(found)}",
                       tau=tau, steps=steps)  # fmt: skip
            found.append((job, report.symbol_hash, codec.decode(data, tau=tau, steps=steps)))

    picture = photograph(77, 131)
    decodes = [(0, None), (0.5, None), (1, 1), ("roi", None), (None, 2)]
    add(shipped, None, None, picture, dict(quality=45, importance=ellipse(77, 131)), decodes)
    add(shipped, None, None, photograph(9, 330), dict(quality=80, seed=7), [(None, None)])
    grey = photograph(41, 23)[..., 0]
    add(shipped, None, None, grey, dict(quality=5, roi_gain=0), [(1, None)])
    base = dict(quality=50, importance=ellipse(40, 49))
    add(smoke_codec, str(smoke_model), "none", photograph(40, 49), base, [(0.7, 3)])
    (folder / "jobs.json").write_text(json.dumps([job for job, *_ in found]))
    return folder, found


def in_a_process(source, environment, *arguments):
    return subprocess.run(
        [sys.executable, "-c", source, *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@needs_torch
def test_files_decode_without_jax(jobs, refusing, user_environment):
    folder, found = jobs
    done = in_a_process(refusing(*JAX) + DECODE, user_environment, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [symbol_hash for _, symbol_hash, _ in found]
    for job, _, expected in found:
        picture = np.load(folder / f"{job['name']}.npy")
        assert picture.shape == expected.shape and picture.dtype == np.uint8
        difference = np.abs(picture.astype(int) - expected)
        assert (difference <= 1).mean() >= 0.999, job
        assert (difference == 0).mean() >= 0.99, job  # found: .9999


def test_the_refusal_works(refusing, user_environment):
    done = in_a_process(refusing(*JAX) + "import jax", user_environment)
    assert done.returncode == 1 and "jax is not here" in done.stderr


@pytest.mark.parametrize(
    ("missing", "source", "message"),
    [
        ("torch", "from rdc_jax.interop.torch import decoder", "needs torch: pip install"),
        (
            "diffusers",
            "from rdc_jax.interop.torch import diffusers_networks as d; d.KLAutoencoder()",
            "this model needs diffusers: pip install",
        ),
    ],
)
def test_a_missing_extra_is_one_line(missing, source, message, refusing, user_environment):
    if missing != "torch" and not TORCH:
        pytest.skip("PyTorch is not installed")
    done = in_a_process(refusing(missing) + source, user_environment)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("rdc_jax.errors.RdcError: ") and message in last


@needs_torch
def test_errors_are_one_line(jobs, smoke_model, smoke_codec, tmp_path):
    from rdc_jax.interop.torch import decoder as torch_decoding

    folder, _ = jobs
    data = (folder / "0.rdc").read_bytes()
    decoder = torch_decoding.load(smoke_model)
    good = smoke_codec.encode(photograph(24, 24))

    def message(call):
        with pytest.raises(RdcError) as caught:
            call()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "the file needs model" in message(lambda: decoder.decode(data))
    damaged = good[:-9] + bytes([good[-9] ^ 1]) + good[-8:]
    assert "damaged" in message(lambda: torch_decoding.decode(damaged, decoder))
    assert message(lambda: decoder.decode(good[: len(good) // 2]))
    assert "the file needs model" in message(lambda: decoder.decode(folder / "0.rdc"))
    assert "give the bytes of an .rdc file" in message(lambda: decoder.decode(None))
    assert "no model 'nothing'" in message(lambda: torch_decoding.decode(good, "nothing"))
    assert "tau 1.5" in message(lambda: decoder.decode(good, tau=1.5))
    assert "steps 0" in message(lambda: decoder.decode(good, steps=0))
    assert "no fusion module in" in message(lambda: torch_decoding.load(smoke_model, tmp_path))


@needs_torch
@pytest.mark.parametrize(
    ("part", "change", "expected"),
    [
        ("unet", dict(channels=[16]), "weights do not fit their config: networks.unet."),
        ("unet", dict(norm="batch"), "does not describe a model: norm must be"),
        ("autoencoder", dict(width=17), "weights do not fit their config: networks.autoencoder."),
        ("autoencoder", dict(kind="flow"), "does not describe a model: 'flow'"),
    ],
)
def test_a_config_that_is_not_the_weights(smoke_model, tmp_path, part, change, expected):
    from rdc_jax.interop.torch import decoder as torch_decoding
    from rdc_jax.model_folder import codec_model

    model = codec_model.load(smoke_model)
    config = {**model.config, part: {**model.config[part], **change}}
    codec_model.save(tmp_path / "other", "other", config, model.params, model.entropy)
    with pytest.raises(RdcError) as caught:
        torch_decoding.load(tmp_path / "other")
    assert expected in str(caught.value) and "\n" not in str(caught.value)
