"""Two processes whose workdirs are not the same folder, and a start that hangs."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rdc_jax.errors import RdcError
from rdc_jax.training.cluster import interrupts, shared_workdir

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 240
JOINS = """
import sys, time
from rdc_jax.training.cluster import distributed
distributed.initialize()
print("joined", flush=True)
time.sleep(600)
"""
TRAINS = """
import sys
from rdc_jax.cli import main
from rdc_jax.training.cluster import shared_workdir
shared_workdir.SECONDS = 3.0
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.fixture
def start(user_environment, tmp_path):
    """Function (number, source, arguments) -> one process of two, in a folder of its own."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
    with contextlib.ExitStack() as stack:

        def begin(number, source, *arguments):
            folder = tmp_path / f"host_{number}"
            folder.mkdir()
            joining = {
                "RDC_COORDINATOR": address, "RDC_NUM_PROCESSES": "2", "RDC_PROCESS_ID": str(number),
                "RDC_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT),
            }  # fmt: skip
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", source, *arguments], cwd=folder, text=True,
                    env=user_environment | joining, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                )
            )  # fmt: skip
            stack.callback(process.kill)
            return process

        yield begin


def rdc_train(workdir):
    return ["train", "--config", f"{ROOT}/configs/tiny.py:smoke", f"workdir={workdir}"]


def said(errors):
    """Standard error without the lines of Gloo and of JAX's logger."""
    return [line for line in errors.splitlines() if line.startswith("rdc")]


def test_processes_with_workdirs_of_their_own_end_with_one_line(start):
    """`workdir=runs/a` on two TPU VMs: the same words, two folders."""
    processes = [start(number, TRAINS, *rdc_train("runs/a")) for number in (0, 1)]
    for process in processes:
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2, errors
        (line,) = said(errors)
        assert line.startswith("rdc: error: workdir runs/a is not shared: process 1 does not see")
        assert "gs://BUCKET/FOLDER" in line


def test_sigterm_ends_a_start_that_waits_for_another_process(start, tmp_path):
    """The other has joined and does nothing more; this one waits inside JAX."""
    waiting, other = start(0, TRAINS, *rdc_train(tmp_path / "run")), start(1, JOINS)
    assert "joined\n" in iter(other.stdout.readline, "")
    limit = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("run/.rdc-start-*")) and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(1.0)  # it has written its file, and now waits
    waiting.terminate()
    before = time.monotonic()
    _, errors = waiting.communicate(timeout=PATIENCE)
    assert time.monotonic() - before < 30
    assert waiting.returncode == interrupts.TRY_AGAIN, errors
    assert said(errors) == ["rdc: terminated at the start; run the same command again"]


def test_one_process_leaves_nothing_behind(tmp_path):
    shared_workdir.check(tmp_path / "new" / "run")
    assert not list((tmp_path / "new" / "run").iterdir())


def test_a_workdir_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RdcError, match=r"^cannot write to workdir .*file/run: Not a directory"):
        shared_workdir.check(tmp_path / "file" / "run")


def test_after_the_first_step_a_signal_is_not_the_end():
    left, before = [], signal.getsignal(signal.SIGTERM)
    with interrupts.starting(left.append) as started, interrupts.noted_signals() as asked:
        signal.raise_signal(signal.SIGTERM)
        limit = time.monotonic() + 60
        while not left and time.monotonic() < limit:
            time.sleep(0.01)
        assert left == [interrupts.TRY_AGAIN]
        started()
        signal.raise_signal(signal.SIGTERM)
        assert asked() == interrupts.TERMINATED
        time.sleep(0.1)
    assert left == [interrupts.TRY_AGAIN]
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1
