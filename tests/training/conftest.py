"""optax's Muon raises floats to integer powers, which the strict rules for our own code refuse."""

import jax
import optax
import pytest

from rdc_jax.training import optimizer


@pytest.fixture(scope="session", autouse=True)
def optax_promotes_types():
    """The optimiser's update, and nothing else, runs under the standard promotion rules."""
    build = optimizer.build

    def lenient_build(training):
        inner = build(training)

        def update(*arguments):
            with jax.numpy_dtype_promotion("standard"):
                return inner.update(*arguments)

        return optax.GradientTransformation(inner.init, update)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimizer, "build", lenient_build)
        yield
