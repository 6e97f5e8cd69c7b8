"""The train-step comparison: both sides have the same network, here with a few channels."""

import importlib.util

import jax
import numpy as np
import pytest

from benchmarks import paired_unet, train_step, train_step_sides

SIZES = {
    "attention": paired_unet.Size((8, 16), 1, (2, 0), 4, 4, 3, 2, 8, (3, 12), 2, "float32"),
    "convolution": paired_unet.Size((8, 16), 1, (0, 0), 0, 4, 3, 2, 8, None, 2, "float32"),
    "one level": paired_unet.Size((8,), 1, (0,), 0, 4, 3, 2, 8, None, 2, "float32"),
}


@pytest.fixture
def both():
    """Builds the two networks with equal weights, and a batch, for a name in SIZES."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def build(name):
        size = SIZES[name]
        batch = paired_unet.make_batch(size, size.batch)
        model = paired_unet.our_network(size, "float32")
        params = paired_unet.random_params(model, batch)
        network = paired_unet.torch_network(size)
        paired_unet.copy_to_torch(params, network)
        return model, params, network, batch

    yield build
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["attention", "convolution"])
def test_losses_and_gradients_agree(both, name):
    model, params, network, batch = both(name)
    loss, gradients = jax.jit(jax.value_and_grad(train_step_sides.our_loss, 1), static_argnums=0)(
        model, params, batch
    )
    tensors = train_step_sides.torch_batch(batch, "cpu", channels_last=False)
    torch_loss = train_step_sides.torch_loss(network, tensors, "float32")
    torch_loss.backward()
    assert float(loss) == pytest.approx(torch_loss.item(), rel=1e-3)
    theirs = {name.replace(".", "_"): p.grad.numpy() for name, p in network.named_parameters()}
    for name, ours in paired_unet.torch_arrays(gradients).items():
        assert np.linalg.norm(ours - theirs[name]) < 1e-3 * np.linalg.norm(theirs[name]), name


def test_the_sides_stay_together_over_steps(both):
    model, params, network, batch = both("one level")
    theirs = train_step_sides.Theirs(network, batch, "float32", "cpu", True, False)
    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        ours = train_step_sides.Ours(model, params, batch)
        for _ in range(2):
            assert ours.step() == pytest.approx(theirs.step(), rel=1e-3)
        assert ours.gradient() == pytest.approx(theirs.gradient(), rel=1e-3)
        ours.optimizer()
        theirs.optimizer()
        assert ours.forward() == pytest.approx(theirs.forward(), rel=1e-3)


def test_another_network_is_refused(both):
    _, params, network, _ = both("one level")
    fewer = {name: value for name, value in params.items() if name != "conv_out"}
    with pytest.raises(ValueError, match="only one side: conv_out_bias, conv_out_weight"):
        paired_unet.copy_to_torch(fewer, network)
    narrower = {**params, "conv_out": jax.tree.map(lambda x: x[..., :1], params["conv_out"])}
    with pytest.raises(ValueError, match=r"conv_out_weight is \(1, 8, 3, 3\) here"):
        paired_unet.copy_to_torch(narrower, network)


def test_a_missing_extra_is_reported_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert train_step.main(["--size", "tiny"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "pip install torch" in said


def test_turns_alternate_and_ratios_pair_them():
    calls = []
    times = train_step.alternate(
        lambda repeats: calls.append("a"), lambda repeats: calls.append("b"), 3, 0.0
    )
    assert "".join(calls) == "ab" * 5  # two warm-ups and three rounds
    assert [len(times["wall"][name]) for name in ("rdc", "torch")] == [3, 3]
    ratio = train_step.ratios({"rdc": [1.0, 2.0, 4.0], "torch": [2.0, 3.0, 4.0]})
    assert ratio == {"median": 1.5, "min": 1.0, "max": 2.0}
