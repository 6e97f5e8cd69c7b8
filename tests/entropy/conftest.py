"""The bank of tables, built once for all tests of this room."""

import pytest

from rdc_jax.entropy.tables import TableBank, build_table_bank


@pytest.fixture(scope="session")
def bank() -> TableBank:
    return build_table_bank()
