"""Checkpoints on their own: what a kill leaves behind, full disks, other configs."""

import errno
import os
import re
import resource
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from rdc_jax.errors import RdcError
from rdc_jax.training import checkpoints as checkpoints_module
from rdc_jax.training.checkpoints import Checkpoints


def state(step, size=10):
    return {"params": {"w": step + jnp.arange(size, dtype=jnp.float32)}, "step": jnp.int32(step)}


def like(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)


def saved_steps(workdir):
    return sorted(path.name for path in (workdir / "checkpoints").iterdir())


@pytest.fixture
def workdir(tmp_path):
    """Of a run that has saved steps 1 to 4, and kept three."""
    checkpoints = Checkpoints(tmp_path, keep=3)
    assert checkpoints.latest_step() is None
    for step in range(1, 5):
        checkpoints.save(step, state(step), {"examples": 8 * step})
    checkpoints.close()
    return tmp_path


def assert_restores(workdir, step):
    """And can be saved to and restored again."""
    checkpoints = Checkpoints(workdir, keep=3)
    found, restored, data = checkpoints.restore(like(state(0)))
    assert found == checkpoints.latest_step() == step and data == {"examples": 8 * step}
    np.testing.assert_array_equal(restored["params"]["w"], state(step)["params"]["w"])
    checkpoints.save(step + 1, state(step + 1), {"examples": 8 * (step + 1)})
    checkpoints.close()
    assert str(step + 1) in saved_steps(workdir)


def test_the_newest_few_are_kept_and_the_newest_is_restored(workdir):
    assert saved_steps(workdir) == ["2", "3", "4"]
    assert_restores(workdir, 4)
    assert saved_steps(workdir) == ["3", "4", "5"]


def test_a_step_is_saved_once(workdir):
    checkpoints = Checkpoints(workdir, keep=3)
    checkpoints.save(4, state(9), {"examples": 9})
    checkpoints.close()
    assert_restores(workdir, 4)


def test_what_a_kill_left_of_a_save_is_no_checkpoint_and_is_removed(workdir):
    half = workdir / "checkpoints" / "5.orbax-checkpoint-tmp"
    shutil.copytree(workdir / "checkpoints" / "4", half)
    (half / "_CHECKPOINT_METADATA").unlink()
    assert_restores(workdir, 4)
    assert saved_steps(workdir) == ["3", "4", "5"]


@pytest.mark.parametrize("gone", ["state", "_CHECKPOINT_METADATA", "state/_METADATA", "*"])
def test_a_kill_while_an_old_checkpoint_is_deleted_does_no_harm(workdir, gone):
    oldest = workdir / "checkpoints" / "2"
    for path in oldest.glob(gone):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert_restores(workdir, 4)
    assert saved_steps(workdir) == ["3", "4", "5"]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"w": jnp.zeros(11)}, "params/w has the shape (10,), not (11,)"),
        ({"w": jnp.zeros(10), "b": jnp.zeros(1)}, "it has no params/b"),
        ({}, "it has params/w, which is not trained"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused_by_name(workdir, params, reason):
    message = f"{workdir}/checkpoints/4 does not fit this config ({reason}); name another workdir"
    with pytest.raises(RdcError, match=re.escape(message)):
        Checkpoints(workdir, keep=3).restore(like({"params": params, "step": jnp.int32(0)}))


@pytest.mark.parametrize("damaged", ["state/manifest.ocdbt", "state/_METADATA", "state"])
def test_a_damaged_checkpoint_is_named(workdir, damaged):
    path = workdir / "checkpoints" / "4" / damaged
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(RdcError, match=f"{workdir}/checkpoints/4 "):
        Checkpoints(workdir, keep=3).restore(like(state(0)))


@pytest.fixture
def small_disk():
    """Files of more than 20 KB cannot be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("seen_by", ["save", "close"])
def test_a_save_that_fails_in_the_background_is_told_and_harms_no_other(
    workdir, small_disk, seen_by
):
    checkpoints = Checkpoints(workdir, keep=3)
    rng = np.random.default_rng(0)  # does not compress
    large = {"params": {"w": jnp.asarray(rng.normal(size=50_000))}, "step": jnp.int32(5)}
    checkpoints.save(5, large, {"examples": 40})
    message = f"^cannot write a checkpoint to workdir {workdir}: {os.strerror(errno.EFBIG)}; make"
    with pytest.raises(RdcError, match=message):
        if seen_by == "save":
            checkpoints.save(6, large, {"examples": 48})
        else:
            checkpoints.close()
    assert_restores(workdir, 4)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), os.strerror(errno.ENOSPC)),
        (ValueError("FAILED: x [os_error_code='28']\nmore"), os.strerror(errno.ENOSPC)),
        (RuntimeError("the bucket is gone\nmore"), "the bucket is gone"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_save_that_fails_at_once_is_told_in_the_system_s_words(
    workdir, monkeypatch, error, reason
):
    def fail(*arguments, **options):
        raise error

    checkpoints = Checkpoints(workdir, keep=3)
    with monkeypatch.context() as patch:
        patch.setattr(ocp.training.Checkpointer, "save_checkpointables_async", fail)
        with pytest.raises(RdcError, match=f"{workdir}: {reason}; make room"):
            checkpoints.save(5, state(5), {})
    checkpoints.close()
    assert_restores(workdir, 4)


def test_a_workdir_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RdcError, match="cannot write a checkpoint to workdir"):
        Checkpoints(tmp_path / "file", keep=1)


# Several processes


@pytest.fixture
def second_process(monkeypatch):
    """This process believes to be the second of two; the list holds what the first one sends."""
    answers = []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", lambda _: answers.pop(0))
    return answers


@pytest.fixture
def as_second(second_process, monkeypatch):
    """Function (workdir, answers) -> checkpoints of the second process, without JAX's barriers."""

    def open_with(workdir, answers):
        second_process.extend(np.int32(answer) for answer in answers)
        with monkeypatch.context() as patch:
            patch.setattr(jax, "process_count", lambda: 1)  # orbax opens as one process
            patch.setattr(checkpoints_module.jax, "process_count", lambda: 1)
            opened = Checkpoints(workdir, keep=3)
        return opened

    return open_with


def test_an_old_listing_does_not_part_the_processes(tmp_path, as_second, monkeypatch):
    """The first process sees step 3; this one has listed the folder before that was written."""
    monkeypatch.setattr(checkpoints_module, "LISTING_SECONDS", 5.0)
    late = as_second(tmp_path, [3, 3])
    assert not late._checkpointer.checkpoints
    with monkeypatch.context() as patch:
        patch.setattr(jax, "process_count", lambda: 1)
        writer = Checkpoints(tmp_path, keep=3)
        writer.save(3, state(3), {"examples": 24})
        writer.close()
    assert late.latest_step() == 3
    real = late._checkpointer.load_checkpointables

    def load_as_one(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(jax, "process_count", lambda: 1)
            return real(*arguments)

    monkeypatch.setattr(late._checkpointer, "load_checkpointables", load_as_one)
    step, restored, data = late.restore(like(state(0)))
    assert step == 3 and data == {"examples": 24}
    np.testing.assert_array_equal(restored["params"]["w"], state(3)["params"]["w"])


def test_a_process_that_never_sees_the_checkpoint_says_so(tmp_path, as_second, monkeypatch):
    monkeypatch.setattr(checkpoints_module, "LISTING_SECONDS", 0.3)
    late = as_second(tmp_path, [7])
    with pytest.raises(RdcError, match=r"the first process restores .*/7, and this one does not"):
        late.restore(like(state(0)))


def test_this_process_keeps_a_checkpoint_that_the_first_does_not_have(workdir, as_second):
    """Then the run starts from the beginning, everywhere."""
    assert as_second(workdir, [-1]).latest_step() is None


@pytest.mark.parametrize("workdir", ["s3://bucket/run", "hf://user/run"])
def test_checkpoints_go_to_folders_and_to_gs(workdir):
    with pytest.raises(RdcError, match=rf"^workdir={workdir}: checkpoints are written to .* gs://"):
        Checkpoints(workdir, keep=1)
