"""LPIPS against a second implementation in PyTorch, and its properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.models.lpips import lpips, lpips_features, lpips_map, lpips_of_features, measure_lpips

BACKBONES = ["alexnet", "vgg16"]


# One compilation for a network instead of one for each operation.
jitted_lpips = jax.jit(lpips, static_argnames="layers")


jitted_map = jax.jit(lpips_map, static_argnames="layers")


jitted_features = jax.jit(lpips_features, static_argnames="layers")


@pytest.fixture(scope="module", params=BACKBONES)
def weights(request, published_weights):
    """Without the package nothing here can be compared with anything."""
    return published_weights(request.param)


def torch_distances(weights, x, y):
    """Per stage [1,1,h,w], written from the paper and torchvision's layer tables."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    alexnet = "C4P2 | M3 C1P2 | M3 C1P1 | C1P1 | C1P1"
    vgg16 = "C1P1 C1P1 | M2 C1P1 C1P1 | M2 C1P1 C1P1 C1P1 | M2 C1P1 C1P1 C1P1 | M2 C1P1 C1P1 C1P1"
    layout = alexnet if len(weights["conv"]) == 5 else vgg16
    shift = torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[None, :, None, None]

    def stages(image):
        image = (torch.from_numpy(np.array(image)).permute(0, 3, 1, 2) - shift) / scale
        convolutions = iter(weights["conv"])
        for stage in layout.split("|"):
            for layer in stage.split():
                if layer[0] == "M":
                    image = functional.max_pool2d(image, int(layer[1]), 2)
                    continue
                kernel, bias = (torch.from_numpy(np.array(a)) for a in next(convolutions))
                image = functional.conv2d(
                    image, kernel.permute(3, 2, 0, 1), bias, int(layer[1]), int(layer[3])
                ).relu()
            yield image / (image.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)

    heads = [torch.from_numpy(np.array(head))[None, :, None, None] for head in weights["heads"]]
    both = zip(stages(x), stages(y), heads, strict=True)
    return [functional.conv2d((a - b) ** 2, head) for a, b, head in both]


@pytest.mark.parametrize("size", [(40, 45), (67, 33)])
def test_agrees_with_torch(pair, weights, size):
    x, y = pair(*size)
    expected = [float(d.mean()) for d in torch_distances(weights, x, y)]
    for layers in (3, 5):
        value = float(jitted_lpips(weights, x, y, layers)[0])
        assert value == pytest.approx(sum(expected[:layers]), abs=1e-5)


def test_the_map_agrees_with_torch(pair, weights):
    x, y = pair()
    resize = pytest.importorskip("torch").nn.functional.interpolate
    stages = torch_distances(weights, x, y)
    expected = sum(
        resize(d, size=x.shape[1:3], mode="bilinear", align_corners=False) for d in stages
    )
    found = jitted_map(weights, x, y)
    assert found.shape == x.shape[:3]
    np.testing.assert_allclose(found, expected[:, 0].numpy(), atol=1e-5)


def test_known_values(two_waves, weights):
    """Of this file's pictures, by the PyTorch implementation above: for a run without it."""
    known = {5: 0.034748, 13: 0.144142}[len(weights["conv"])]
    assert measure_lpips(weights, *two_waves()) == pytest.approx(known, abs=1e-5)


def test_equal_images_are_at_zero_and_order_does_not_matter(pair, weights):
    x, y = pair(32, 32)
    there, back, same = jitted_lpips(
        weights, jnp.concatenate([x, y, x]), jnp.concatenate([y, x, x]), layers=3
    )
    assert same == 0.0
    assert there > 0.01
    assert float(there) == pytest.approx(float(back), rel=1e-5)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_fewer_layers_are_the_first_ones_and_compute_no_more(random_weights, pair, backbone):
    full = random_weights(backbone)
    x, y = pair(32, 32)
    features = [jitted_features(full, image) for image in (x, y)]
    convolutions = {"alexnet": 3, "vgg16": 7}[backbone]
    truncated = {"conv": full["conv"][:convolutions], "heads": full["heads"][:3]}
    value = jitted_lpips(truncated, x, y, layers=3)
    np.testing.assert_allclose(
        value, lpips_of_features(full, *[f[:3] for f in features]), rtol=1e-5
    )
    assert value < lpips_of_features(full, *features)
    program = str(jax.make_jaxpr(lambda x: lpips_features(full, x, 3))(x))
    assert program.count("conv_general_dilated[") == convolutions


@pytest.mark.parametrize("backbone", BACKBONES)
def test_gradient_is_finite_and_points_downhill(random_weights, pair, backbone):
    weights = random_weights(backbone)
    x, y = pair(32, 32)
    target = jitted_features(weights, y, 3)

    @jax.jit
    @jax.value_and_grad
    def loss(x):
        return lpips_of_features(weights, lpips_features(weights, x, 3), target).sum()

    value, gradient = loss(x)
    assert np.isfinite(gradient).all()
    assert loss(x - 0.01 * gradient / jnp.abs(gradient).max())[0] < value
    assert np.isfinite(loss(y)[1]).all()  # at the minimum


def test_gradient_is_finite_where_all_features_are_zero(random_weights, pair):
    weights = random_weights("alexnet")
    weights["conv"] = [(kernel, bias - 100.0) for kernel, bias in weights["conv"]]
    x, y = pair(32, 32)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: lpips(weights, x, y).sum()))(x)
    assert value == 0.0
    assert not np.any(gradient)


def test_low_precision_images_are_compared_in_float32(random_weights, pair):
    weights = random_weights("alexnet")
    x, y = (image.astype(jnp.bfloat16) for image in pair(32, 32))
    features, distance = jax.eval_shape(
        lambda x, y: (lpips_features(weights, x), lpips(weights, x, y)), x, y
    )
    assert all(f.dtype == jnp.float32 for f in [*features, distance])


def test_the_map_shows_where(random_weights, pair):
    found = jitted_map(random_weights("alexnet"), *pair(96, 96), layers=2)[0]
    assert found[:16, :16].mean() > 100 * found[48:, 48:].mean()


@pytest.mark.parametrize(
    ("x", "y", "layers", "message"),
    [
        (np.zeros((1, 31, 40, 3), np.float32), None, None, "32 pixels or more .*, not 31x40"),
        (np.zeros((1, 40, 40, 3), np.uint8), None, None, "needs float"),
        (np.zeros((40, 40, 3), np.float32), None, None, "needs float"),
        (np.zeros((1, 40, 40, 3), np.float32), np.zeros((1, 40, 41, 3)), None, "differ in shape"),
        (np.zeros((1, 40, 40, 3), np.float32), None, 6, "1 to 5 layers, not 6"),
        (np.zeros((1, 40, 40, 3), np.float32), None, 0, "1 to 5 layers, not 0"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(random_weights, x, y, layers, message):
    with pytest.raises(RdcError, match=message):
        lpips(random_weights("alexnet"), x, x if y is None else y, layers)


def test_only_8_bit_images_are_measured(random_weights, two_waves):
    weights, picture = random_weights("alexnet"), two_waves()[0]
    assert measure_lpips(weights, picture, picture) == 0.0
    with pytest.raises(RdcError, match="uint8"):
        measure_lpips(weights, picture, picture.astype(np.float32))
