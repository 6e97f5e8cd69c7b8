"""A workdir serves one run at a time."""

import subprocess
import sys

import pytest

from configs import tiny
from rdc_jax.errors import RdcError
from rdc_jax.training import train, workdir_lock

HOLDS_IT = """
import sys
from rdc_jax.training.workdir_lock import only_run_in
with only_run_in(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_run(tmp_path, user_environment):
    """Another process that holds the lock of tmp_path/run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_IT, str(tmp_path / "run")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=user_environment, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_is_refused_before_it_starts(tmp_path, other_run, monkeypatch):
    monkeypatch.setattr(train, "run_stage", lambda *_: pytest.fail("it trains"))
    config = tiny.get_config("smoke")
    config.workdir = str(tmp_path / "run")
    with pytest.raises(RdcError, match=rf"another run .*\(process {other_run.pid} on ") as error:
        train.train(config)
    assert "\n" not in str(error.value) and "name another workdir" in str(error.value)


def test_a_killed_run_leaves_no_lock(tmp_path, other_run):
    other_run.kill()
    other_run.wait()
    with workdir_lock.only_run_in(str(tmp_path / "run")):
        pass


def test_the_lock_ends_with_the_run(tmp_path):
    for _ in range(2):
        with workdir_lock.only_run_in(str(tmp_path)), pytest.raises(RdcError, match="another run"):
            with workdir_lock.only_run_in(str(tmp_path)):
                pass


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_workdir_that_cannot_be_made_is_named(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(RdcError, match=f"cannot write to workdir .*{place}: ") as error:
        with workdir_lock.only_run_in(str(tmp_path / place)):
            pass
    assert "\n" not in str(error.value)


def test_buckets_have_no_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with workdir_lock.only_run_in("gs://bucket/run"), workdir_lock.only_run_in("gs://bucket/run"):
        pass
    assert not list(tmp_path.iterdir())
