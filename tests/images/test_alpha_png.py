"""Alpha planes as PNG files: which are read and which refused. Node.js runs the same table."""

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.images import alpha_png
from tests.images.alpha_files import CASES, HEIGHT, PLANE, WIDTH


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_read_or_refused(case):
    if case.refused is None:
        np.testing.assert_array_equal(alpha_png.decode(case.data, HEIGHT, WIDTH), PLANE)
        return
    with pytest.raises(RdcError) as caught:
        alpha_png.decode(case.data, HEIGHT, WIDTH)
    assert str(caught.value) == case.refused
