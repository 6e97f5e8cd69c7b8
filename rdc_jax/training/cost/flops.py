"""Counts the arithmetic of a function from its jaxpr: convolutions and matrix products only.

That is what "model FLOPs" means in a utilisation figure (Chowdhery et al. 2022, appendix B):
multiplications and additions that the mathematics asks for, without recomputation.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import jax
from jax.extend import core


def count(function: Callable, *arguments: Any) -> float:
    """Floating-point operations of function(*arguments); arguments may be ShapeDtypeStructs."""
    return of_jaxpr(jax.make_jaxpr(function)(*arguments).jaxpr)


def of_jaxpr(jaxpr: core.Jaxpr) -> float:
    """Sum over the equations, inner functions included; the dearer branch of a condition."""
    total = 0.0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            total += of_dot(equation)
        elif name == "conv_general_dilated":
            total += of_convolution(equation)
        elif name == "cond":
            total += max(of_jaxpr(branch.jaxpr) for branch in equation.params["branches"])
        else:
            inner = sum(of_jaxpr(sub) for sub in core.jaxprs_in_params(equation.params))
            total += inner * (equation.params["length"] if name == "scan" else 1)
    return total


def of_dot(equation: core.JaxprEqn) -> float:
    """Two operations for each pair of factors."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return 2.0 * prod(equation.outvars[0].aval.shape) * prod(left[i] for i in contracted)


def of_convolution(equation: core.JaxprEqn) -> float:
    """Two for each output and kernel tap; inserted zeros (transposed strides) are not counted."""
    numbers = equation.params["dimension_numbers"]
    kernel = equation.invars[1].aval.shape
    _, features, *taps = (kernel[i] for i in numbers.rhs_spec)
    inserted = prod(equation.params["lhs_dilation"])
    return 2.0 * prod(equation.outvars[0].aval.shape) * features * prod(taps) / inserted
