"""The same training on any mesh: one device and eight end with the same parameters.

The quick tests take a U-Net of five residual blocks and a transformer, and the slow ones the smoke
configs. Everything is in float32; what is left between meshes is rounding.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import sd21, tiny
from rdc_jax.models.networks import Networks
from rdc_jax.training import program
from rdc_jax.training.checkpoints import Checkpoints
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.step import mean_gradient
from rdc_jax.training.tasks.selection import task_for
from rdc_jax.training.tasks.task import split_parameters

ONE = {"data": 1}
FSDP = {"data": 2, "fsdp": 4}
TENSOR = {"data": 2, "fsdp": 2, "tensor": 2}
STEPS = 5
ROUNDING = 1e-5  # of a parameter, after STEPS steps
MOVED = 1e-3  # what training changes at least


@pytest.fixture(scope="module", autouse=True)
def split_small_leaves():
    """The small models' leaves are split like the large ones' of a real model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitioning, "FSDP_MIN_SIZE", 64)
        yield


def smoke_config(module, **changes):
    config = module.get_config("smoke")
    config.training.compute_dtype = "float32"
    config.training.total_steps = 100
    config.training.adam_learning_rate = 1e-3
    config.update_from_flattened_dict(changes)
    return config


def small_config(**changes):
    """Encoded latents of 4 x 4, and the smallest U-Net with all its kinds of layers."""
    unet = {"channels": (8,), "heads": (0,), "mid_heads": 2, "groups": 4}
    small = {"data.kind": "latents", "data.crop_size": 32}
    small |= {f"model.unet.{name}": value for name, value in unet.items()}
    return smoke_config(sd21, **small, **changes)


def random_parameters(config):
    """All layers alive, also those that start at zero."""
    networks = Networks.from_config(config.model.to_dict())
    rng = np.random.default_rng(0)

    def draw(leaf):
        scale = 0.1 if leaf.ndim < 2 else 1 / np.sqrt(np.prod(leaf.shape[:-1]))
        return rng.normal(0, scale, leaf.shape).astype(np.float32)

    return jax.tree.map(draw, jax.eval_shape(networks.init, jax.random.key(0)))


def random_batch(config, entries):
    rng = np.random.default_rng(1)
    draw = {
        "image": lambda shape: rng.integers(0, 256, shape),
        "importance": lambda shape: rng.integers(0, config.model.num_levels, shape),
        "latent": lambda shape: rng.normal(0, 1, shape),
        "stop": lambda shape: np.zeros(shape),
        "replaced": lambda shape: np.zeros(shape),
    }
    return {name: draw[name](like.shape).astype(like.dtype) for name, like in entries.items()}


@dataclasses.dataclass
class Run:
    """A compiled program on a mesh of the first devices, with what it trains on."""

    config: object
    sizes: dict

    def __post_init__(self):
        count = int(np.prod(list(self.sizes.values())))
        mesh = partitioning.make_mesh(self.sizes, jax.devices()[:count])
        params = random_parameters(self.config)
        task = task_for(self.config)
        self.program = program.build(task, mesh, params)
        self.trained, frozen = split_parameters(task.trained, params)
        self.frozen = partitioning.place(frozen, self.program.frozen)
        rows = partitioning.batch_rows(mesh, self.config.data.batch_size)
        local = random_batch(self.config, self.program.batch)
        self.batch = partitioning.global_batch(local, self.program.batch, rows)

    def start(self):
        return self.program.create_state(
            partitioning.place(self.trained, self.program.state.params)
        )

    def steps(self, state, numbers):
        """The state after the steps of these numbers, and their losses."""
        losses = []
        for number in numbers:
            key = jax.random.fold_in(jax.random.key(0), number)
            state, metrics = self.program.step(state, self.frozen, self.batch, key)
            losses.append(float(metrics["loss"]))
        return state, losses

    def straight(self):
        state, losses = self.steps(self.start(), range(STEPS))
        return partitioning.gather(state.params), losses

    def axes(self):
        """Names of the axes over which some leaf of the state is split."""
        specs = [leaf.sharding.spec for leaf in jax.tree.leaves(self.start())]
        return {axis for spec in specs for axis in spec if axis}


def largest_difference(ours, theirs):
    return max(jax.tree.leaves(jax.tree.map(lambda a, b: np.max(np.abs(a - b)), ours, theirs)))


def assert_equal_training(run, reference):
    params, losses = run.straight()
    expected, expected_losses = reference.straight()
    assert largest_difference(expected, reference.trained) > MOVED
    difference = largest_difference(params, expected)
    print(f"{run.sizes}: largest difference {difference:.1e}")
    assert difference < ROUNDING
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)


@pytest.fixture(scope="module")
def one_device():
    return Run(small_config(), ONE)


@pytest.fixture(scope="module")
def two_by_four():
    return Run(small_config(), FSDP)


def test_parameters_split_over_fsdp_train_as_on_one_device(two_by_four, one_device):
    assert two_by_four.axes() == {"fsdp"}
    assert_equal_training(two_by_four, one_device)


def test_channels_and_rows_split_over_tensor_train_as_on_one_device(one_device):
    run = Run(small_config(**{"training.split_rows": True}), TENSOR)
    assert run.axes() == {"fsdp", "tensor"}
    assert run.batch["latent"].sharding.shard_shape((8, 4, 4, 4)) == (2, 2, 4, 4)
    assert_equal_training(run, one_device)


@pytest.mark.parametrize("first", ["one_device", "two_by_four"])
def test_a_run_goes_on_on_another_mesh(request, tmp_path, first):
    before, after = (
        request.getfixturevalue(name)
        for name in (first, {"one_device": "two_by_four", "two_by_four": "one_device"}[first])
    )
    checkpoints = Checkpoints(tmp_path, keep=1)
    state, _ = before.steps(before.start(), range(2))
    checkpoints.save(2, state, {"examples": 16})
    checkpoints.close()
    step, state, data = Checkpoints(tmp_path, keep=1).restore(after.program.state)
    assert step == 2 and data == {"examples": 16}
    for leaf, like in zip(
        jax.tree.leaves(state), jax.tree.leaves(after.program.state), strict=True
    ):
        assert leaf.sharding.is_equivalent_to(like.sharding, leaf.ndim)
    state, _ = after.steps(state, range(2, STEPS))
    straight, _ = after.straight()
    difference = largest_difference(partitioning.gather(state.params), straight)
    assert difference < ROUNDING


def test_parts_of_a_batch_give_the_average_of_their_gradients():
    def loss(params, frozen, batch, key):
        noise = jax.random.normal(key, batch["x"].shape)
        error = jnp.mean(jnp.square((batch["x"] + noise) @ params["w"] - frozen))
        return error, {"error": error}

    rng = np.random.default_rng(0)
    params = {"w": jnp.asarray(rng.normal(size=3), jnp.float32)}
    batch = {"x": jnp.asarray(rng.normal(size=(8, 3)), jnp.float32)}
    key, target = jax.random.key(5), jnp.asarray(0.5)
    value, metrics, grads = mean_gradient(loss, params, target, batch, key, accumulate=2)
    parts = [
        mean_gradient(
            loss, params, target, {"x": batch["x"][part::2]}, jax.random.fold_in(key, part), 1
        )
        for part in range(2)
    ]
    expected = jax.tree.map(lambda a, b: (a + b) / 2, *parts)
    for ours, theirs in zip(
        jax.tree.leaves((value, metrics, grads)), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert np.any(parts[0][2]["w"] != parts[1][2]["w"])


def loss_and_gradient(changes):
    config = small_config(**changes)
    mesh = partitioning.make_mesh(ONE, jax.devices()[:1])
    params = random_parameters(config)
    task = task_for(config)
    trained, frozen = split_parameters(task.trained, params)
    batch = random_batch(config, program.build(task, mesh, params).batch)
    del batch["stop"]
    loss = task.build_loss(program.training_networks(config.training, task.networks, mesh))
    gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, _), grads = gradient(trained, frozen, batch, jax.random.key(0))
    return float(value), jax.device_get(grads)


@pytest.mark.slow
def test_rematerialisation_changes_no_gradient_and_bfloat16_little():
    value, grads = loss_and_gradient({"training.remat": "none"})
    assert max(np.max(np.abs(leaf)) for leaf in jax.tree.leaves(grads)) > 1e-3
    for remat in ("dots", "blocks"):
        same, others = loss_and_gradient({"training.remat": remat})
        assert same == pytest.approx(value, rel=1e-6)
        assert largest_difference(grads, others) < 1e-6
    with jax.numpy_dtype_promotion("standard"):  # for flax's norms
        half, others = loss_and_gradient({"training.compute_dtype": "bfloat16"})
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(others))
    assert half != value and half == pytest.approx(value, rel=0.03)
    squares = [np.sum(np.square(leaf)) for leaf in jax.tree.leaves(grads)]
    apart = jax.tree.map(lambda a, b: np.sum(np.square(a - b)), grads, others)
    assert sum(jax.tree.leaves(apart)) < 0.1**2 * sum(squares)


@pytest.mark.slow
@pytest.mark.parametrize("module", [tiny, sd21])  # Muon and Adam, Adam
def test_the_smoke_configs_train_on_every_mesh_as_on_one_device(module):
    # Adam's first step of a parameter is its rate, whatever the gradient. Where that is about as
    # small as its rounding, a sum in another order moves the parameter elsewhere: at a rate of
    # 1e-3 one of 10752 elements of a kernel ended 1.8e-5 apart, and no other by more than 1e-6.
    changes = {"training.adam_learning_rate": 3e-4}
    reference = Run(smoke_config(module, **changes), ONE)
    for sizes in (FSDP, TENSOR):
        run = Run(smoke_config(module, **changes), sizes)
        assert run.axes() == {axis for axis in sizes if axis != "data"}
        assert_equal_training(run, reference)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "sizes"),
    [(tiny, TENSOR), (sd21, TENSOR), (sd21, {"fsdp": 2, "tensor": 4}), (sd21, {"tensor": 4})],
)
def test_images_split_by_rows_train_as_on_one_device(module, sizes):
    changes = {"training.adam_learning_rate": 3e-4, "data.crop_size": 32 * sizes["tensor"] * 2}
    if module is sd21:
        changes |= {"model.unet.channels": (16, 32), "model.unet.heads": (2, 0)}
        changes["data.crop_size"] = 16 * sizes["tensor"] * 2
    reference = Run(smoke_config(module, **changes), ONE)
    changes["training.split_rows"] = True
    assert_equal_training(Run(smoke_config(module, **changes), sizes), reference)


@pytest.mark.slow
def test_a_batch_worked_through_in_parts_trains_the_same_on_every_mesh():
    changes = {"training.accumulate": 2}
    reference = Run(small_config(**changes), ONE)
    assert_equal_training(Run(small_config(**changes), {"data": 2, "fsdp": 2}), reference)
