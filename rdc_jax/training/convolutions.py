"""Faster gradients of convolutions on CPUs, by matrix products.

    loss = rewritten(loss, "products")

On a CPU, XLA computes most convolutions and their gradients by the image at the speed of a matrix
product. It is many times slower at the gradient by the kernel and at images of few pixels. Here
they are matrix products, in float32 like XLA's: patches of the image times the kernel, and

    dK_ij = sum over pixels p              x(p + (i,j))^T dy(p)

CPUs with AMX are faster still where factors are bfloat16 and sums float32, as on TPUs. For them,
all convolutions are products:

    y(p)  = sum over rows i of the kernel  [x(p + (i,0)) ... x(p + (i,l-1))] K_i

Only what training differentiates is rewritten. Validation, encoders and decoders keep XLA's
convolutions.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

KINDS = ("xla", "products", "bfloat16_products")
"""Values of training.convolutions. "products" are in float32."""

SMALL = 64
"""Pixels of an image, up to which a product with patches is faster than XLA's convolution."""

Padding = tuple[tuple[int, int], tuple[int, int]]
"""Rows above and below, columns left and right."""

NHWC = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))  # of images, kernels, results


def rewritten(function: Callable, kind: str) -> Callable:
    """The same function with other convolutions of stride 1.

    Other convolutions stay as they are, and so do those inside loops and rematerialised blocks.

    Args:
        function: Takes and returns trees of arrays. May be differentiated afterwards.
        kind: One of KINDS.
    """
    if kind == "xla":
        return function
    convolution = {"products": convolve, "bfloat16_products": convolve_rounded}[kind]

    @functools.wraps(function)
    def new(*arguments):
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        leaves = jax.tree.leaves(arguments)
        outputs = _evaluate(closed.jaxpr, closed.consts, leaves, convolution)
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    return new


def convolve(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """Convolution of stride 1. Products compute what XLA is slow at.

    Args:
        x: [B,h,w,c], zero outside.
        kernel: [k,l,c,o], of the same dtype.
        padding: Less than the kernel's sides.

    Returns:
        [B,h',w',o], of the same dtype.
    """
    rows, columns, c, o = kernel.shape
    height, width = (
        size + sum(zeros) - side + 1
        for size, zeros, side in zip(x.shape[1:3], padding, kernel.shape, strict=False)
    )
    if height * width > SMALL:
        return convolve_by_xla(x, kernel, padding)
    patches = _beside(_beside(_padded(x, padding), columns, axis=2), rows, axis=1)
    products = jnp.dot(patches.reshape(-1, rows * columns * c), kernel.reshape(-1, o))
    return products.reshape(-1, height, width, o)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve_by_xla(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """XLA's convolution, whose gradient by the kernel is a matrix product."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=jax.lax.ConvDimensionNumbers(*NHWC)
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve_rounded(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """`convolve` with all factors rounded to bfloat16 and sums in float32, all matrix products."""
    rows, columns, c, o = kernel.shape
    wide = _beside(_padded(_as_integers(x), padding), columns, axis=2)
    batch, all_rows, width, _ = wide.shape
    kernel = _as_integers(jnp.moveaxis(kernel, 0, 2)).reshape(columns * c, rows * o)
    products = _product(wide.reshape(-1, columns * c), kernel)
    products = products.reshape(batch, all_rows, width, rows * o)
    height = all_rows - rows + 1
    parts = [products[:, i : i + height, :, i * o : (i + 1) * o] for i in range(rows)]
    return sum(parts).astype(x.dtype)


def _forward(convolution, x, kernel, padding):
    return convolution(x, kernel, padding), (x, kernel)


def _backward(convolution, factors, padding, saved, gradient):
    x, kernel = saved
    rows, columns = kernel.shape[:2]
    opposite = tuple(
        (side - 1 - before, side - 1 - after)
        for side, (before, after) in zip((rows, columns), padding, strict=True)
    )
    turned = jnp.swapaxes(jnp.flip(kernel, (0, 1)), 2, 3)
    by_x = convolution(gradient, turned, opposite)
    by_kernel = kernel_gradient(factors(x), factors(gradient), (rows, columns), padding)
    return by_x, by_kernel.astype(kernel.dtype)


def kernel_gradient(
    x: jax.Array, gradient: jax.Array, sides: tuple[int, int], padding: Padding
) -> jax.Array:
    """Gradient of a convolution by its kernel, float32 [k,l,c,o].

    Args:
        x: [B,h,w,c], of floats or of the bits of bfloat16.
        gradient: By the result, [B,h',w',o], of the same kind.
        sides: k and l.
        padding: As for `convolve`.
    """
    (rows, columns), c, o = sides, x.shape[-1], gradient.shape[-1]
    wide = _beside(_padded(x, padding), columns, axis=2)
    tall = _beside(_padded(gradient, ((rows - 1, rows - 1), (0, 0))), rows, axis=1)
    products = _product(wide.reshape(-1, columns * c).T, tall.reshape(-1, rows * o))
    taps = products.reshape(columns, c, rows, o)
    return jnp.flip(jnp.transpose(taps, (2, 0, 1, 3)), 0)


def _padded(x: jax.Array, padding: Padding) -> jax.Array:
    return jnp.pad(x, ((0, 0), *padding, (0, 0)))


def _beside(x: jax.Array, count: int, axis: int) -> jax.Array:
    """The channels of `count` neighbours along an axis, which loses count - 1 positions."""
    size = x.shape[axis] - count + 1
    parts = [jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(count)]
    return jnp.concatenate(parts, axis=-1)


def _as_integers(x: jax.Array) -> jax.Array:
    """The bits of bfloat16 as uint16: XLA moves bfloat16 numbers on a CPU as float32."""
    return jax.lax.bitcast_convert_type(x.astype(jnp.bfloat16), jnp.uint16)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    if a.dtype == jnp.uint16:
        a, b = (jax.lax.bitcast_convert_type(x, jnp.bfloat16) for x in (a, b))
    return jnp.dot(a, b, preferred_element_type=jnp.float32)


for _convolution, _factors in ((convolve_by_xla, jnp.asarray), (convolve_rounded, _as_integers)):
    _convolution.defvjp(
        functools.partial(_forward, _convolution),
        functools.partial(_backward, _convolution, _factors),
    )


def _evaluate(
    jaxpr: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any], convolution: Callable
) -> list[Any]:
    """Outputs of a jaxpr, with `convolution` wherever it can take the place of XLA's."""
    values: dict[Var, Any] = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= zip(jaxpr.invars, arguments, strict=True)

    def value(atom):
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        operands = [value(atom) for atom in equation.invars]
        values |= zip(equation.outvars, _results(equation, operands, convolution), strict=True)
    return [value(atom) for atom in jaxpr.outvars]


def _results(equation: JaxprEqn, operands: list[Any], convolution: Callable) -> list[Any]:
    primitive, parameters = equation.primitive, equation.params
    if primitive.name == "jit":
        inner = parameters["jaxpr"]
        return _evaluate(inner.jaxpr, inner.consts, operands, convolution)
    if primitive.name == "conv_general_dilated" and _is_plain(equation):
        return [convolution(*operands, tuple(map(tuple, parameters["padding"])))]
    results = primitive.bind(*operands, **primitive.get_bind_params(parameters))
    return results if primitive.multiple_results else [results]


def _is_plain(equation: JaxprEqn) -> bool:
    """Whether `convolve` computes this convolution: one of images, without stride or dilation."""
    parameters, kernel = equation.params, equation.invars[1].aval.shape
    dtypes = {variable.aval.dtype for variable in (*equation.invars, *equation.outvars)}
    strides = (*parameters["window_strides"], *parameters["lhs_dilation"])
    strides += (*parameters["rhs_dilation"], parameters["feature_group_count"])
    return (
        tuple(parameters["dimension_numbers"]) == NHWC
        and {*strides, parameters["batch_group_count"]} == {1}
        and len(dtypes) == 1
        and all(
            0 <= zeros < side
            for side, both in zip(kernel[:2], parameters["padding"], strict=True)
            for zeros in both
        )
    )
