"""Counted arithmetic against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import sd21
from rdc_jax.training import program
from rdc_jax.training.cost import flops, hardware
from rdc_jax.training.tasks.selection import task_for


def zeros(*shape):
    return jax.ShapeDtypeStruct(shape, np.float32)


def convolve(image, kernel, stride=1):
    return jax.lax.conv_general_dilated(
        image, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def test_a_dense_layer():
    assert flops.count(lambda x, w: x @ w, zeros(5, 7), zeros(7, 11)) == 2 * 5 * 7 * 11


def test_attention_is_two_products():
    shapes = zeros(2, 16, 3, 8), zeros(2, 10, 3, 8), zeros(2, 10, 3, 8)
    assert flops.count(jax.nn.dot_product_attention, *shapes) == 2 * (2 * 2 * 3 * 16 * 10 * 8)


def test_a_convolution():
    assert flops.count(convolve, zeros(2, 8, 6, 3), zeros(3, 3, 3, 5)) == (
        2 * (2 * 8 * 6 * 5) * (3 * 3 * 3)
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_a_gradient_costs_twice_what_the_layer_does(stride):
    def layer(image, kernel):
        return convolve(image, kernel, stride)

    shapes = zeros(2, 8, 8, 4), zeros(3, 3, 4, 6)
    forward = flops.count(layer, *shapes)
    assert forward == 2 * (2 * 64 / stride**2 * 6) * (9 * 4)
    both = flops.count(jax.grad(lambda *x: jnp.sum(layer(*x) ** 2), argnums=(0, 1)), *shapes)
    assert both == 3 * forward  # zeros that a stride inserts are no work


def test_a_scan_counts_its_turns_and_a_condition_its_dearer_branch():
    def scanned(x, w):
        return jax.lax.scan(lambda c, _: (c @ w, None), x, None, length=6)[0]

    assert flops.count(scanned, zeros(4, 4), zeros(4, 4)) == 6 * 2 * 4**3

    def chosen(flag, x):
        return jax.lax.cond(flag, lambda: x @ x @ x, lambda: x @ x)

    flag = jax.ShapeDtypeStruct((), np.bool_)
    assert flops.count(chosen, flag, zeros(4, 4)) == 2 * 2 * 4**3


def test_inner_functions_count_and_elementwise_work_does_not():
    inner = jax.jit(lambda x: jnp.sin(x) @ x)
    assert flops.count(lambda x: inner(x) + 1.0, zeros(4, 4)) == 2 * 4**3


def test_a_training_image_of_the_large_model_is_2_4_teraflops():
    config = sd21.get_config()
    config.data.kind = "latents"
    task = task_for(config)
    work = program.model_flops(task, task.parameter_shapes()) / config.data.batch_size
    assert work == pytest.approx(2.412e12, rel=1e-3)


def test_peaks_are_known_by_the_names_that_jax_gives():
    assert hardware.peaks_of("TPU v5 lite").flops == 197e12
    assert hardware.peaks_of("cpu") is None
