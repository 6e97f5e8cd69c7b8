"""Worker processes of the training pipeline: the same batches, and a clean end."""

import multiprocessing
import os
import pickle
import signal

import numpy as np
import pytest
from PIL import Image

from rdc_jax.data import worker
from rdc_jax.data.mixing import Part
from rdc_jax.data.pipeline import training_iterator
from rdc_jax.data.prepare import prepare
from rdc_jax.data.sources import ArrayRecordSource, FolderSource, SyntheticSource
from rdc_jax.errors import RdcError

SIZES = {"batch_size": 4, "crop_size": 64, "seed": 5, "prefetch": 2}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Five photos of noise and a damaged file."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(5):
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), np.uint8)).save(folder / f"{i}.png")
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:-200])
    return folder


def take(source, count, **options):
    iterator = training_iterator(source, **(SIZES | options))
    try:
        return [next(iterator) for _ in range(count)]
    finally:
        iterator.close()


def assert_same(left, right):
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers(photos, workers):
    source = FolderSource(photos)
    mix = [Part(SyntheticSource(3, 80), 0.3)]
    options = dict(rows=[3, 0, 2], start=3, mix=mix, exclude=[1])
    expected = take(source, 5, num_threads=0, **options)
    assert sum(batch["replaced"].sum() for batch in expected) > 0  # counted across processes
    assert_same(expected, take(source, 5, num_workers=workers, num_threads=2, **options))
    assert not multiprocessing.active_children()


def test_shards_are_read_by_workers(photos, tmp_path):
    prepare(photos, tmp_path / "out", shards=2, workers=1, progress=False)
    source = ArrayRecordSource(tmp_path / "out")
    source[0]  # an open shard
    assert_same(take(source, 3), take(source, 3, num_workers=2))


def test_errors_of_workers_are_one_line(photos, tmp_path):
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(RdcError, match=r"data\.path: none of the 1 images") as error:
        take(FolderSource(tmp_path), 1, num_workers=1)
    assert "\n" not in str(error.value)


def test_a_pickled_source_has_a_lock_of_its_own_and_an_empty_cache(photos):
    source = FolderSource(photos)
    images = [source[i]["image"] for i in range(len(source))]
    again = pickle.loads(pickle.dumps(source))
    assert again.skipped == source.skipped and len(again.skipped) == 1
    assert len(pickle.dumps(source)) < images[0].nbytes
    for i, image in enumerate(images):
        np.testing.assert_array_equal(again[i]["image"], image)
    assert source.subset([0]).skipped is source.skipped


def test_a_worker_leaves_signals_to_the_run(monkeypatch):
    handled, started = {}, []
    monkeypatch.setattr(signal, "signal", handled.__setitem__)
    monkeypatch.setattr(worker.threading.Thread, "start", lambda self: started.append(self))
    worker.start_worker(0, 2)
    assert handled == {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}
    assert len(started) == 1 and started[0].daemon


def _child_with_worker(pipe):
    """Starts a process that would never end by itself, and is then killed."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_wait_for_ever, args=(pipe,))
    process.start()
    process.join()


def _wait_for_ever(pipe):
    worker.start_worker(0, 1)
    pipe.send("ready")
    signal.pause()


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_worker_ends_when_its_parent_is_killed():
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    parent = context.Process(target=_child_with_worker, args=(theirs,))
    parent.start()
    theirs.close()
    assert ours.poll(60) and ours.recv() == "ready"
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    assert ours.poll(60)
    with pytest.raises(EOFError):  # the pipe closes when the last process that holds it has ended
        ours.recv()
