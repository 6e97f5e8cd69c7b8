"""Parameters of a larger network around those of a smaller one."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.models.growth import grown

FRESH = {"a": {"kernel": np.zeros((1, 2)), "bias": np.zeros(2)}, "b": {"kernel": np.zeros(3)}}


def test_stored_arrays_are_taken_over_and_the_rest_stays_fresh():
    stored = {"a": {"kernel": np.array([[1.0, 2.0]])}}
    result = grown(FRESH, stored)
    np.testing.assert_array_equal(result["a"]["kernel"], [[1, 2]])
    assert result["a"]["bias"] is FRESH["a"]["bias"] and result["b"] is FRESH["b"]
    assert not FRESH["a"]["kernel"].any()  # the argument is left alone


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"a": {"kernel": np.zeros((1, 3))}}, r"'a/kernel' has shape \(1, 3\)"),
        ({"a": {"gain": np.zeros(1)}}, "have 'a/gain'"),
        ({"c": {}}, "have 'c'"),
        ({"a": np.zeros(2)}, "'a' is a layer"),
        ({"a": {"bias": {}}}, "'a/bias' is a layer"),
    ],
)
def test_what_has_no_place_is_refused(stored, message):
    with pytest.raises(RdcError, match=message):
        grown(FRESH, stored)
