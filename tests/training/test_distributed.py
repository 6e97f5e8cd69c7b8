"""Joining processes: only the settings; launch/ is tested in tests/test_launch.py."""

import jax
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.training import distributed

EXPLICIT = {"RDC_COORDINATOR": "localhost:1", "RDC_NUM_PROCESSES": "2", "RDC_PROCESS_ID": "1"}


@pytest.fixture
def calls(monkeypatch):
    made = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda **arguments: made.append(arguments))
    return made


def test_a_run_of_one_process_joins_nobody(calls):
    distributed.initialize({})
    assert not calls


def test_explicit_settings_reach_jax(calls):
    distributed.initialize(EXPLICIT)
    expected = {"coordinator_address": "localhost:1", "num_processes": 2, "process_id": 1}
    assert expected.items() <= calls[0].items()


def test_auto_leaves_the_search_to_jax(calls):
    distributed.initialize({"RDC_DISTRIBUTED": "auto"})
    assert set(calls[0]) == {"initialization_timeout"}


@pytest.mark.parametrize(
    "change", [{"RDC_PROCESS_ID": "2"}, {"RDC_NUM_PROCESSES": ""}, {"RDC_COORDINATOR": ""}]
)
def test_incomplete_settings_are_refused(calls, change):
    with pytest.raises(RdcError, match="RDC_"):
        distributed.initialize(EXPLICIT | change)
    assert not calls


def test_peers_that_do_not_answer_end_the_run_with_a_message(monkeypatch):
    def fail(**arguments):
        raise RuntimeError("deadline exceeded\nmore")

    monkeypatch.setattr(jax.distributed, "initialize", fail)
    with pytest.raises(RdcError, match=r"deadline exceeded$"):
        distributed.initialize(EXPLICIT)
