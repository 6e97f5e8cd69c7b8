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


def failing_run(workdir, writes=()):
    with workdir_lock.empty_folders_removed(str(workdir)), workdir_lock.only_run_in(str(workdir)):
        for name in writes:
            (workdir / name).write_text("")
        raise RdcError("no such model")


@pytest.mark.parametrize("there", ["", "deep", "deep/run"])
def test_a_run_that_fails_before_it_writes_leaves_nothing(tmp_path, there):
    (tmp_path / there).mkdir(exist_ok=True, parents=True)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(RdcError, match="no such model"):
        failing_run(tmp_path / "deep" / "run")
    assert set(tmp_path.rglob("*")) == before


def test_a_run_that_fails_keeps_what_it_wrote(tmp_path):
    with pytest.raises(RdcError, match="no such model"):
        failing_run(tmp_path / "run", ["metrics.jsonl"])
    assert (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_lock_that_was_removed_while_it_was_opened_locks_nothing(tmp_path, monkeypatch):
    """Its owner removed the file between the open and the lock of this process."""
    locked = workdir_lock._locked

    def removed_first(descriptor):
        (tmp_path / workdir_lock.FILE).unlink()
        return locked(descriptor)

    monkeypatch.setattr(workdir_lock, "_locked", removed_first)
    with pytest.raises(RdcError, match="another run"), workdir_lock.only_run_in(str(tmp_path)):
        pass


def test_the_start_after_a_wrong_model_works(tmp_path):
    """Nothing is left of a run whose init_from names no model."""
    config = tiny.get_config("smoke")
    config.workdir, config.stage, config.init_from = str(tmp_path / "a" / "run"), "entropy", "none"
    with pytest.raises(RdcError, match="none"):
        train.train(config)
    assert not list(tmp_path.iterdir())
    with workdir_lock.only_run_in(config.workdir):
        pass
