"""The module's three losses: what each trains, what holds at the start, who learns from whom."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import fusion as fusion_config
from rdc_jax.diffusion import residual
from rdc_jax.model_folder import codec_model
from rdc_jax.models import lpips_weights as perceptual_weights
from rdc_jax.models.fusion import GRAIN_AT_START, Fusion
from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks import codec_losses, end_to_end_loss, fusion_losses, fusion_task
from rdc_jax.training.tasks import looks as looks_of
from rdc_jax.training.tasks.looks import Looks, Views
from rdc_jax.training.tasks.task import split_parameters

BATCH = 4
NOTHING = dict(
    looks=Looks(Views(), Views(), max_offset=0, pattern=0.0, colour=0.0),
    pixel_weight=0.0, adversarial_weight=0.0, diffusion_weight=0.0,
)  # fmt: skip


def lpips_weights():
    """Random weights in the layout of AlexNet, four channels a stage."""
    rng = np.random.default_rng(0)
    convolutions, channels = [], 3
    for side, _ in perceptual_weights.CONVOLUTIONS["alexnet"]:
        kernel = rng.normal(0, (2 / (side**2 * channels)) ** 0.5, (side, side, channels, 4))
        convolutions.append((jnp.asarray(kernel, jnp.float32), jnp.zeros(4)))
        channels = 4
    return {"conv": convolutions, "heads": [jnp.full(4, 0.25) for _ in convolutions]}


def draw(tree, seed):
    """Random values for a tree of shapes, the zero-initialised ones too."""
    rng = np.random.default_rng(seed)

    def leaf(x):
        scale = 0.1 if x.ndim == 1 else 0.5 * np.prod(x.shape[:-1]) ** -0.5
        return jnp.asarray(rng.normal(0, scale, x.shape), jnp.float32)

    return jax.tree.map(leaf, tree)


@pytest.fixture(scope="module")
def system(smoke_model):
    """(networks, fusion, parameters of a fresh module on the smoke model), U-Nets of one level."""
    base = codec_model.load(smoke_model)
    unet = base.config["unet"] | {"channels": (16,), "heads": (0,)}
    networks = Networks.from_config(base.config | {"unet": unet})
    section = fusion_config.get_config("smoke").fusion
    section.from_base = False
    section.transform.update(channels=(16,), heads=(0,))
    section.auxiliary.update(width=8)
    section.discriminator.update(width=4, levels=2)
    fusion = Fusion.from_config(section.to_dict(), networks)
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    params = base.params | {"unet": draw(shapes["unet"], 1)}
    params |= fusion.start(jax.jit(fusion.init)(jax.random.key(1)), params)
    params["perceptual"] = {"alexnet": looks_of.as_parameters(lpips_weights())}
    return networks, fusion, jax.tree.map(jnp.asarray, params)


@pytest.fixture(scope="module")
def learnt(system):
    """A module in which nothing is zero."""
    _, fusion, params = system
    return params | draw(jax.eval_shape(fusion.init, jax.random.key(0)), 2)


@pytest.fixture(scope="module")
def recipe():
    base = codec_losses.Recipe(
        num_levels=8, timestep_range=(200, 700), timestep_gap=300, uniform_map_share=0.5,
        distortion_weight=0.1, latent_weight=0.1, balance=0.5, later_clock_share=0.0,
    )  # fmt: skip
    return fusion_losses.FusionRecipe(
        base, Looks(Views(whole=1.0), Views(), max_offset=0, pattern=0.1, colour=0.01),
        pixel_weight=0.5, adversarial_weight=0.1, pull_weight=0.01, diffusion_weight=0.05,
        two_step_share=0.5, realism_weight=0.7,
    )  # fmt: skip


@pytest.fixture(scope="module")
def batch():
    """Smooth pictures of 32 x 32 pixels, half of them with a map."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:32, 0:32]
    waves = [np.sin(x / rng.uniform(3, 9) + y / rng.uniform(3, 9)) for _ in range(BATCH * 3)]
    image = 128 + 90 * np.stack(waves).reshape(BATCH, 3, 32, 32).transpose(0, 2, 3, 1)
    importance = np.full((BATCH, 2, 2), 7, np.uint8)
    importance[::2, :, 0] = 0
    return {"image": jnp.asarray(image, jnp.uint8), "importance": jnp.asarray(importance)}


@pytest.fixture(scope="module")
def gradient(system):
    """(stage, recipe, parameters, batch) -> (loss, metrics, gradients); compiled once for each."""
    networks, fusion, _ = system
    compiled = {}

    def run(stage, recipe, params, batch, seed=0):
        if (stage, recipe) not in compiled:
            loss = fusion_task.LOSSES[stage](networks, fusion, recipe)
            compiled[stage, recipe] = jax.jit(jax.value_and_grad(loss, has_aux=True))
        trained, frozen = split_parameters(fusion_task.TRAINED[stage], params)
        arguments = trained, frozen, batch, jax.random.key(seed)
        (value, metrics), grads = compiled[stage, recipe](*arguments)
        return value, metrics, grads

    return run


PICTURE = {"mse", "mse_ratio", "score", "lpips_alexnet", "pattern", "colour"}
METRICS = {
    "auxiliary": PICTURE | {"pull"},
    "transform": {"prediction_error"},
    "realism": PICTURE | {"prediction_error", "generator", "discriminator"},
    "end_to_end": {f"{name}_tau_1" for name in PICTURE}
    | {"bpp", "bpp_y", "bpp_z", "mse_pixel", "mse_latent", "distortion"}
    | {"generator", "discriminator"},
}


@pytest.mark.parametrize("stage", fusion_task.TRAINED)
def test_each_loss_trains_its_parts_and_no_other(gradient, recipe, system, learnt, batch, stage):
    value, metrics, grads = gradient(stage, recipe, learnt, batch)
    assert np.isfinite(value) and set(metrics) == METRICS[stage]
    assert all(np.isfinite(v) for v in metrics.values())
    assert set(grads) == set(fusion_task.TRAINED[stage])
    for path, leaf in jax.tree.leaves_with_path(grads):
        name = jax.tree_util.keystr(path)
        assert np.all(np.isfinite(leaf)), name
        # The two hinges pull the judge's last bias to opposite sides.
        assert np.any(leaf) or name == "['discriminator']['conv_out']['bias']", name
    _, frozen = split_parameters(fusion_task.TRAINED[stage], learnt)
    base = {"autoencoder", "hyperprior", "unet", "step_profile"}
    assert base <= set(grads if stage in fusion_task.WITH_BASE else frozen)
    assert not set(frozen) & set(grads)


@pytest.mark.parametrize("stage", fusion_task.TRAINED)
def test_each_loss_starts_with_finite_gradients(gradient, recipe, system, batch, stage):
    value, _, grads = gradient(stage, recipe, system[2], batch)
    assert np.isfinite(value)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(grads))
    for part in grads.keys() & {"transform", "auxiliary", "discriminator"}:
        assert np.any(grads[part]["conv_out"]["kernel"])  # starts at zero, moves


def test_the_mean_of_the_metrics_is_the_loss(gradient, recipe, learnt, batch):
    value, found, _ = gradient("realism", recipe, learnt, batch)
    expected = 0.5 * found["mse_ratio"] + found["score"] + 0.05 * found["prediction_error"]
    expected += 0.1 * found["generator"] + found["discriminator"]
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    value, found, _ = gradient("auxiliary", recipe, learnt, batch)
    expected = 0.5 * found["mse_ratio"] + found["score"] + 0.01 * found["pull"]
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.fixture(scope="module")
def parts_of(system, recipe, learnt, batch):
    """Changes of the recipe, without a discriminator -> parts of the loss end_to_end, metrics."""
    networks, fusion, _ = system

    def run(**changes):
        changed = dataclasses.replace(recipe, **{"adversarial_weight": 0.0, **changes})
        compute = end_to_end_loss.end_to_end_parts(networks, fusion, changed)
        trained, frozen = split_parameters(fusion_task.TRAINED["end_to_end"], learnt)
        return jax.jit(compute)(trained, frozen, batch, jax.random.key(0))

    return run


def test_end_to_end_adds_looks_to_rate_and_distortion(gradient, recipe, learnt, batch, parts_of):
    """The loss is the sum of its parts; a doubled weight doubles the looks and nothing else."""
    value, _, _ = gradient("end_to_end", recipe, learnt, batch)
    played, _ = parts_of(adversarial_weight=recipe.adversarial_weight)
    np.testing.assert_allclose(value, sum(played.values()), rtol=1e-5)
    parts, _ = parts_of()
    assert set(parts) == {"rate", "distortion", "looks"} == set(played) - {"game"}
    doubled, found = parts_of(
        realism_weight=2 * recipe.realism_weight,
        base=dataclasses.replace(recipe.base, balance=0.0),
    )
    np.testing.assert_allclose(doubled["rate"], found["bpp"], rtol=1e-5)
    np.testing.assert_allclose(doubled["distortion"], found["distortion"], rtol=1e-5)
    even, _ = parts_of(base=dataclasses.replace(recipe.base, balance=0.0))
    np.testing.assert_allclose(doubled["looks"], 2 * even["looks"], rtol=1e-5)


def test_the_parts_of_end_to_end_move_the_encoder_by_shares(system, recipe, learnt, batch):
    """Shares add up to 1; a part without a weight has none."""
    networks, fusion, _ = system
    trained, frozen = split_parameters(fusion_task.TRAINED["end_to_end"], learnt)
    for weight in (0.0, 1.0):
        weighed = dataclasses.replace(recipe, realism_weight=weight, adversarial_weight=0.0)
        compute = jax.jit(end_to_end_loss.encoder_shares(networks, fusion, weighed))
        shares = compute(trained, frozen, batch, jax.random.key(0))
        np.testing.assert_allclose(sum(shares.values()), 1.0, rtol=1e-5)
        assert shares["encoder_share_rate"] > 0 < shares["encoder_share_distortion"]
        assert (shares["encoder_share_looks"] > 0) == (weight > 0)


def test_the_same_key_gives_the_same_loss_and_another_another(gradient, recipe, learnt, batch):
    first, again, other = (gradient("transform", recipe, learnt, batch, s)[0] for s in (0, 0, 1))
    assert first == again != other


def test_transform_learns_one_batch_by_heart(gradient, recipe, system, batch):
    params = dict(system[2])
    optimizer = optax.adam(3e-3)
    state, values = optimizer.init({"transform": params["transform"]}), []

    @jax.jit
    def advance(grads, state, transform):
        change, state = optimizer.update(grads, state)
        return optax.apply_updates(transform, change), state

    for _ in range(12):
        value, _, grads = gradient("transform", recipe, params, batch)
        values.append(float(value))
        with jax.numpy_dtype_promotion("standard"):  # optax's own affair
            trained, state = advance(grads, state, {"transform": params["transform"]})
        params |= trained
    assert values[-1] < 0.95 * values[0]
    assert np.all(np.diff(values[-4:]) < 0)


def test_a_fresh_auxiliary_encoder_is_nearer_than_the_base(gradient, recipe, system, batch):
    """It is the clean latent: less error than without it, and a pull of about one deviation."""
    _, metrics, _ = gradient("auxiliary", recipe, system[2], batch)
    assert metrics["mse_ratio"] < 1


@pytest.fixture(scope="module")
def example(system, recipe, batch):
    """The batch as both sides of the base codec see it."""
    networks, _, params = system
    key = jax.random.key(0)
    return jax.jit(lambda p: fusion_losses.code(networks, recipe, p, batch, key))(params)


def test_half_of_a_batch_is_seen_after_one_step_and_half_after_two(system, learnt, example, recipe):
    """A fresh transform adds its grain, in one step or two."""
    networks, fusion, fresh = system
    decoded, key = example.decoded, jax.random.key(0)
    noise = residual.unit_noise(jax.random.key(1), decoded.latent.shape)

    @jax.jit
    def run(params):
        latent = fusion_losses.few_step_latent(fusion, params, decoded, noise, key, 0.5)
        picture = networks.decode(params, latent)
        return latent, fusion_losses.image_terms(recipe, params, example, picture, key)[:2]

    latent, _ = run(fresh)
    moved = np.asarray((latent - decoded.latent) / decoded.deviation)
    np.testing.assert_allclose(moved[::2], GRAIN_AT_START * np.asarray(noise)[::2], atol=1e-2)
    # With v = -g r, a step through the angle a multiplies by cos a + g sin a.
    share = np.sum(moved * noise, (1, 2, 3)) / np.sum(noise**2, (1, 2, 3))
    second = (0.1 + 0.8 * np.asarray(jax.random.uniform(key, (BATCH,)))) * np.pi / 2
    first = np.pi / 2 - second
    expected = (np.cos(first) + GRAIN_AT_START * np.sin(first)) * (
        np.cos(second) + GRAIN_AT_START * np.sin(second)
    )
    np.testing.assert_allclose(share[1::2], expected[1::2], rtol=1e-2)
    latent, (score, ratio) = run(learnt)
    assert np.all(np.isfinite(latent))
    assert np.all(np.abs(ratio - 1) > 1e-4) and np.all(score > 0)


def test_the_second_step_costs_nothing_where_no_example_takes_it(system, learnt, example):
    _, fusion, _ = system
    decoded, noise = example.decoded, jnp.zeros_like(example.decoded.latent)

    def operations(share):
        def run(params, key):
            return fusion_losses.few_step_latent(fusion, params, decoded, noise, key, share)

        return str(jax.make_jaxpr(run)(learnt, jax.random.key(0))).count("conv_general_dilated")

    assert operations(0.5) == 2 * operations(0.0) > 0


def only(recipe, **weights):
    return dataclasses.replace(recipe, **(NOTHING | weights))


def test_the_two_players_learn_from_their_own_terms(system, learnt, recipe, example):
    """The picture from the generator's term alone, the judge from the hinges alone."""
    _, fusion, _ = system
    x, faithful, judge = example.noised.x, example.faithful, learnt["discriminator"]
    picture = 0.5 * x

    def game(judge, picture, weight):
        params, now = {"discriminator": judge}, only(recipe, adversarial_weight=weight)
        return fusion_losses.adversarial_terms(now, fusion, params, x, picture, example)[0]

    def logits(judge, picture):
        return fusion.judge({"discriminator": judge}, picture, faithful)

    def hinges(judge):
        real, fake = logits(judge, x), logits(judge, picture)
        return jnp.mean(jax.nn.relu(1 - real)) + jnp.mean(jax.nn.relu(1 + fake))

    gradient = jax.jit(jax.grad(game, (0, 1)), static_argnums=2)
    of_hinges = jax.jit(jax.grad(hinges))(judge)
    fooling = np.asarray(jax.jit(jax.grad(lambda x: -jnp.mean(logits(judge, x))))(picture))
    assert np.any(fooling)
    for weight in (1.0, 4.0):
        of_judge, of_picture = gradient(judge, picture, weight)
        limit = 1e-4 * np.abs(fooling).max()
        np.testing.assert_allclose(of_picture, weight * fooling, rtol=1e-3, atol=limit)
        for a, b in zip(*map(jax.tree.leaves, (of_judge, of_hinges)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
        assert any(np.any(leaf) for leaf in jax.tree.leaves(of_judge))


@pytest.mark.parametrize("weights", [{}, {"diffusion_weight": 1.0}, {"adversarial_weight": 1.0}])
def test_terms_without_a_weight_are_not_computed(system, recipe, learnt, batch, weights):
    networks, fusion, _ = system
    loss = fusion_losses.realism_loss(networks, fusion, only(recipe, **weights))
    trained, frozen = split_parameters(fusion_task.TRAINED["realism"], learnt)
    _, metrics = jax.eval_shape(loss, trained, frozen, batch, jax.random.key(0))
    expected = {"mse", "mse_ratio", "score"}
    expected |= {"prediction_error"} if "diffusion_weight" in weights else set()
    expected |= {"generator", "discriminator"} if "adversarial_weight" in weights else set()
    assert set(metrics) == expected


def test_the_generator_gains_by_what_the_judge_takes_for_real(system, learnt, example, recipe):
    """Signs: hinge losses of two players that cannot both win."""
    _, fusion, _ = system
    recipe, x = only(recipe, adversarial_weight=1.0), example.noised.x
    terms = jax.jit(lambda p: fusion_losses.adversarial_terms(recipe, fusion, p, x, -x, example)[1])
    bias = learnt["discriminator"]["conv_out"]["bias"]

    def shifted(by):
        last = learnt["discriminator"]["conv_out"] | {"bias": bias + by}
        return terms(learnt | {"discriminator": learnt["discriminator"] | {"conv_out": last}})

    kind, harsh = shifted(10.0), shifted(-10.0)
    np.testing.assert_allclose(kind["generator"], harsh["generator"] - 20, rtol=1e-3)
    assert kind["discriminator"] > 5 and harsh["discriminator"] > 5


def test_noise_is_that_of_decoders(system):
    noise = np.asarray(residual.unit_noise(jax.random.key(0), (64, 64, 8)))
    assert np.abs(noise).max() <= np.float32(3**0.5)
    np.testing.assert_allclose(noise.std(), 1, rtol=0.01)
    np.testing.assert_allclose(noise.mean(), 0, atol=0.02)
