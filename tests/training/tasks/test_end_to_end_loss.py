"""The loss of stage end_to_end: rate, distortion and looks, and each part's share."""

import dataclasses

import jax
import numpy as np
import pytest

from rdc_jax.training.tasks import end_to_end_loss, fusion_task
from rdc_jax.training.tasks.task import split_parameters


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
