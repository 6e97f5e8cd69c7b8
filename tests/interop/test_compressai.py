"""Imported weights against CompressAI itself. Skipped without torch or compressai."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.cli import main
from rdc_jax.codec import codec as codecs
from rdc_jax.errors import RdcError
from rdc_jax.interop import compressai as interop
from rdc_jax.models.gdn import GDN
from rdc_jax.models.networks import Networks

torch = pytest.importorskip("torch")
N, M = 8, 12
SIDE = 320  # one tile of the codec: no continued edges, no cross-fading


@pytest.fixture(scope="module")
def reference():
    """A MeanScaleHyperprior with random weights in every layer that float16 can represent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # A torchvision made for another torch misses these; compressai only imports it.
            library = torch.library.Library("torchvision", "FRAGMENT")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        except RuntimeError:
            pass  # defined already
        models = pytest.importorskip("compressai.models", exc_type=ImportError)
    torch.manual_seed(0)
    model = models.MeanScaleHyperprior(N, M).eval()
    generator = torch.Generator().manual_seed(0)

    def draw(key, value):
        noise = torch.randn(value.shape, generator=generator)
        if key.endswith("weight"):
            transposed = key.startswith("g_s") or key in ("h_s.0.weight", "h_s.2.weight")
            fan_in = value.shape[0] / 4 if transposed else value.shape[1]
            return noise * 1.2 / (fan_in * value.shape[2] * value.shape[3]) ** 0.5
        if key.endswith("bias"):
            return 0.3 * noise
        if key.endswith(("beta", "gamma")):
            return value + 0.1 * noise.abs()
        if key.endswith("quantiles"):
            return value + noise
        return value + 0.1 * noise if "entropy_bottleneck.matrices" in key else value

    state = {k: draw(k, v) if v.is_floating_point() else v for k, v in model.state_dict().items()}
    state["g_a.6.weight"] *= 15
    state["h_a.4.weight"] *= 3
    state["h_s.4.bias"][:M] += 25.0
    halves = {k: v.half().float() for k, v in state.items() if not interop.BUFFERS.fullmatch(k)}
    model.load_state_dict(state | halves)
    return model


@pytest.fixture(scope="module")
def state(reference):
    return {key: value.numpy() for key, value in reference.state_dict().items()}


@pytest.fixture(scope="module")
def imported(state):
    params = interop.from_state_dict(state)
    return Networks.from_config(interop.model_section(params)), params


@pytest.fixture(scope="module")
def codec(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported")
    torch.save({"state_dict": reference.state_dict()}, folder / "weights.pth.tar")
    arguments = ["import", "--from", "compressai", str(folder / "weights.pth.tar")]
    assert main.main([*arguments, str(folder / "model")]) == 0
    return codecs.load(folder / "model")


def nchw(x):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(x), -1, 1)))


def nhwc(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_transforms_agree(reference, imported, rng):
    networks, params = imported
    image = rng.uniform(-1, 1, (2, 64, 48, 3)).astype(np.float32)
    latent = nhwc(reference.g_a(nchw((image + 1) / 2)))
    assert latent.std() > 0.5
    assert_close(jax.jit(networks.encode)(params, jnp.asarray(image)), latent)
    decoded = jax.jit(networks.decode)(params, jnp.asarray(latent))
    assert_close(decoded / 2 + 0.5, nhwc(reference.g_s(nchw(latent))))


def test_hyper_transforms_agree(reference, imported, rng):
    networks, params = imported
    apply = jax.jit(networks.hyperprior.apply, static_argnames="method")
    variables = {"params": params["hyperprior"]}
    latent = rng.normal(0, 3, (1, 8, 12, M)).astype(np.float32)
    median = reference.entropy_bottleneck.quantiles[:, 0, 1].detach().numpy()
    z = nhwc(reference.h_a(nchw(latent))) - median
    assert_close(apply(variables, jnp.asarray(latent), None, method="hyper_analysis"), z)
    scale, mean = np.split(nhwc(reference.h_s(nchw(np.rint(z) + median))), 2, axis=-1)
    ours = apply(variables, jnp.rint(jnp.asarray(z)), None, None, None, method="parameters_given")
    assert_close(ours[0], mean)
    assert_close(np.exp2(ours[1]), np.maximum(scale, 0.11))


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_agrees(reference, rng, inverse):
    theirs = reference.g_s[1] if inverse else reference.g_a[1]
    x = rng.normal(0, 2, (1, 5, 6, N)).astype(np.float32)
    params = {name: getattr(theirs, name).detach().numpy() for name in ("beta", "gamma")}
    assert_close(GDN(inverse=inverse).apply({"params": params}, jnp.asarray(x)),
                 nhwc(theirs(nchw(x))))  # fmt: skip


def test_a_file_holds_the_values_that_compressai_rounds_to(reference, codec):
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    waves = [np.sin(x / a + y / b) for a, b in ((9, 17), (23, 8), (5, 40))]
    pixels = (128 + 100 * np.stack(waves, -1)).astype(np.uint8)
    data, report = codec.encode(pixels, quality=50, return_report=True)
    assert report.timesteps == (500, 500) and codec.entropy.step_fixed[500, 0] == 2**20
    _, coded, _ = codec.decode_latent(data)

    with torch.no_grad():
        latent = reference.g_a(nchw(pixels[None].astype(np.float32) / 255))
        z = reference.h_a(latent)
        median = reference.entropy_bottleneck._get_medians().reshape(1, -1, 1, 1)
        parameters = reference.h_s(torch.round(z - median) + median)
        scale, mean = parameters.chunk(2, 1)
        yhat = reference.gaussian_conditional.quantize(latent, "dequantize", mean)
        likelihood = reference.gaussian_conditional(latent, scale, means=mean)[1]
        decoded = nhwc(reference.g_s(nchw(coded.yhat[None])))[0]
    np.testing.assert_allclose(coded.mean, nhwc(mean)[0], atol=0.01)
    same = np.abs(coded.yhat - nhwc(yhat)[0]) < 0.02
    assert same.mean() > 0.99  # the others lie on the edge between two symbols
    assert len(np.unique(np.rint(coded.yhat - coded.mean))) > 5
    likelihood = nhwc(likelihood)[0]
    usual = likelihood.min(-1) > 1e-7  # CompressAI counts no less than 1e-9
    assert usual.mean() > 0.1
    bits = -np.log2(likelihood[usual]).sum()
    assert report.bits_map[usual].sum() == pytest.approx(bits, rel=0.01)
    ours = codec.decode(data).astype(np.float64)
    np.testing.assert_allclose(ours, np.clip(255 * decoded, 0, 255), atol=1)


def test_the_gaussians_follow_the_factorised_prior(reference, state):
    k = torch.arange(-60.0, 61.0)
    median = reference.entropy_bottleneck._get_medians()
    with torch.no_grad():
        likelihood = reference.entropy_bottleneck._likelihood(median + k)[0][:, 0].numpy()
    ours = interop.bottleneck_probabilities(state)
    np.testing.assert_allclose(ours[:, 1024 - 60 : 1024 + 61], likelihood, atol=2e-6)
    mean, deviation = interop.channel_gaussians(state)
    assert np.abs(mean).max() < 20 and deviation.min() > 1
    cost = interop.gaussian_cost(state)
    assert cost.min() >= 0 and cost.max() < 0.5


def test_older_names_are_supported(state):
    old = {}
    for key, value in state.items():
        for new, name in (("matrices.", "_matrix"), ("biases.", "_bias"), ("factors.", "_factor")):
            key = key.replace(f"entropy_bottleneck.{new}", f"entropy_bottleneck.{name}")
        old[key] = value
    assert old.keys() != state.keys()
    one, other = interop.from_state_dict(old), interop.from_state_dict(state)
    np.testing.assert_array_equal(
        one["hyperprior"]["z_prior"]["log2_scale"], other["hyperprior"]["z_prior"]["log2_scale"]
    )


def test_other_weights_are_refused(state):
    missing = {k: v for k, v in state.items() if k != "h_s.2.bias"}
    wrong = state | {"h_a.2.weight": np.zeros((N, N, 3, 3), np.float32)}
    for changed, words in (
        (missing, "h_s.2.bias is missing"),
        (
            state | {"context_prediction.weight": np.zeros(3)},
            "context_prediction.weight is unknown",
        ),
        (wrong, "h_a.2.weight has shape"),
        (state | {"g_s.0.bias": np.full(N, np.nan, np.float32)}, "not finite"),
        ({}, "not weights of mbt2018-mean"),
    ):
        with pytest.raises(RdcError, match=words):
            interop.from_state_dict(changed)


def test_files_of_another_kind_are_refused(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"no pickle")
    torch.save({"weights": [print]}, tmp_path / "b.pth")  # a function: refused by weights_only
    torch.save({"a": 1}, tmp_path / "c.pth")
    (tmp_path / "d.safetensors").write_bytes(b"short")
    for name in ("a.pth", "b.pth", "c.pth", "d.safetensors", "missing.pth"):
        with pytest.raises(RdcError, match=name):
            interop.read_state(tmp_path / name)
