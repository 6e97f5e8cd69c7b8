"""Training by several processes of this machine, for real: the same numbers, and clear ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from configs import tiny
from rdc_jax.training import program
from rdc_jax.training.checkpoints import Checkpoints
from rdc_jax.training.cluster import partitioning
from rdc_jax.training.cluster.distributed import LOST_PEER
from rdc_jax.training.tasks.selection import task_for

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]
LAUNCHER = REPOSITORY / "launch" / "local_processes.sh"
STEPS = 10
CHANGES = {
    "training.total_steps": STEPS,
    "training.checkpoint_every": 5,
    "training.sample_every": STEPS,
    "training.optimizer": "adam",  # compiles in half the time
    "model.unet.channels": (16, 16, 176),  # wide enough for fsdp to split something
}
COMPILES_QUICKLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
PATIENCE = 900
"""Seconds for what takes one minute on two idle cores."""


def settings(workdir, **changes):
    named = {key.replace("__", "."): value for key, value in changes.items()}
    return [
        "--config", str(REPOSITORY / "configs" / "tiny.py:smoke"), f"workdir={workdir}",
        *(f"{key}={value}" for key, value in (CHANGES | named).items()),
    ]  # fmt: skip


@pytest.fixture
def environment(user_environment, tmp_path):
    """Of a user's shell; nothing that one process compiled makes the others wait for theirs."""
    folder = Path(sys.executable).parent
    return user_environment | {
        "PATH": f"{folder}{os.pathsep}{user_environment['PATH']}",
        "XLA_FLAGS": COMPILES_QUICKLY,
        "RDC_CACHE_DIR": str(tmp_path / "cache"),
    }


@pytest.fixture
def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


class Run:
    """A command that runs, and the lines it has written so far, standard error among them."""

    def __init__(self, command, environment):
        self.lines = []
        self._process = subprocess.Popen(
            command, env=environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with self._process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip())

    def wait_for(self, pattern):
        limit = time.monotonic() + PATIENCE
        while not any(re.search(pattern, line) for line in self.lines):
            ended = self._process.poll() is not None and not self._reader.is_alive()
            if ended or time.monotonic() > limit:
                self.kill()
                raise AssertionError("\n".join([f"no line like {pattern!r} in", *self.lines]))
            time.sleep(0.05)

    def finish(self):
        """(exit code, lines)"""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._reader.join()
        return code, self.lines

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()


def launch(environment, processes, port, workdir, **changes):
    """The run by launch/local_processes.sh, or by `rdc train` alone."""
    command = ["rdc", "train"] if processes == 1 else [LAUNCHER]
    return Run(
        [*command, *settings(workdir, **changes)],
        environment | {"PROCESSES": str(processes), "PORT": port},
    )


def start_by_hand(environment, port, index, workdir, **changes):
    """One process of two, that no launcher watches over."""
    explicit = {
        "RDC_COORDINATOR": f"127.0.0.1:{port}",
        "RDC_NUM_PROCESSES": "2",
        "RDC_PROCESS_ID": str(index),
    }
    return Run(["rdc", "train", *settings(workdir, **changes)], environment | explicit)


def metrics(workdir):
    """Scalars by step; the times of the machine left out."""
    found = {}
    for line in (workdir / "metrics.jsonl").read_text().splitlines():
        values = json.loads(line)
        step = values.pop("step")
        for name in ("time", "seconds_per_step", "images_per_second", "input_wait", "goodput"):
            values.pop(name, None)
        if step in found:  # validation counts the images too
            assert values.pop("images") == found[step]["images"]
        assert not found.get(step, {}).keys() & values.keys(), f"step {step} is there twice"
        found.setdefault(step, {}).update(values)
    return found


def final_state(workdir):
    """Leaves of the newest checkpoint by path."""
    config = tiny.get_config("smoke")
    config.update_from_flattened_dict(CHANGES)
    task = task_for(config)
    params = task.parameter_shapes()
    mesh = partitioning.make_mesh({}, jax.devices()[:1])
    checkpoints = Checkpoints(workdir, keep=3)
    step, state, _ = checkpoints.restore(program.build(task, mesh, params).state)
    checkpoints.close()
    assert step == STEPS
    leaves = jax.tree.leaves_with_path((state.params, state.ema_params))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def assert_same_training(workdir, reference):
    have, want = metrics(workdir), metrics(reference)
    assert have.keys() == want.keys() == set(range(1, STEPS + 1))
    for step, values in want.items():
        assert have[step].keys() == values.keys()
        for name, value in values.items():
            close = 1e-4 if "@" in name else 1e-5  # validation enlarges what rounding changes
            assert have[step][name] == pytest.approx(value, rel=close), (step, name)
    have, want = final_state(workdir), final_state(reference)
    for path, leaf in want.items():
        np.testing.assert_allclose(have[path], leaf, rtol=0, atol=1e-5, err_msg=path)


def without_numbers(lines):
    """Output as one process would have written it: no process number, no Gloo, no times."""
    lines = [re.sub(r"^\[\d\] ", "", line) for line in lines]
    return [line.split("  ")[0] for line in lines if not line.startswith("[Gloo]")]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """(workdir, output) of a run by one process."""
    return tmp_path_factory.mktemp("one"), []


@pytest.fixture
def reference(one_process, environment, free_port):
    workdir, lines = one_process
    if not lines:
        code, output = launch(environment, 1, free_port, workdir).finish()
        assert code == 0, output
        lines += output
    return workdir, [line.replace(str(workdir), "W") for line in lines]


@pytest.mark.parametrize("processes", [2, 4])
def test_several_processes_train_as_one_does(
    reference, environment, free_port, tmp_path, processes
):
    code, lines = launch(environment, processes, free_port, tmp_path / "W").finish()
    assert code == 0, lines
    assert_same_training(tmp_path / "W", reference[0])
    # Whatever is written comes from the first process alone.
    written = [line.replace(str(tmp_path / "W"), "W") for line in lines]
    assert without_numbers(written) == without_numbers(reference[1])


def test_a_run_goes_on_with_another_number_of_processes(
    reference, environment, free_port, tmp_path, ctrl_c
):
    """2, parameters split between them, then 1, then 2 that hold copies.

    A signal to one process stops all after the same step; none of the steps is done twice.
    """
    first = [start_by_hand(environment, free_port, i, tmp_path, mesh__fsdp=2) for i in (0, 1)]
    first[0].wait_for("^step 1 ")
    first[1].signal(signal.SIGTERM)
    (code, lines), other = first[0].finish(), first[1].finish()
    assert (code, other[0]) == (75, 75), lines + other[1]
    assert any("stopped by a signal" in line for line in lines)
    assert not [line for line in other[1] if not line.startswith("[Gloo]")]
    second = launch(environment, 1, free_port, tmp_path)
    second.wait_for("^resumed from step")
    second.wait_for("^step ")
    second.signal(signal.SIGINT)
    code, lines = second.finish()
    assert code == 130, lines
    code, lines = launch(environment, 2, free_port, tmp_path).finish()
    assert code == 0, lines
    assert sum("resumed from step" in line for line in lines) == 1
    assert_same_training(tmp_path, reference[0])


ENDLESS = {"training__total_steps": 10**6, "training__sample_every": 10**6}


@pytest.mark.parametrize("lost", [0, 1])
def test_when_one_process_is_killed_the_other_ends_with_a_line(
    environment, free_port, tmp_path, lost
):
    runs = [start_by_hand(environment, free_port, i, tmp_path, **ENDLESS) for i in (0, 1)]
    runs[0].wait_for("^step 3 ")
    runs[lost].kill()
    killed = time.monotonic()
    code, lines = runs[1 - lost].finish()
    assert code == LOST_PEER, lines
    assert time.monotonic() - killed < 60
    assert lines[-1].startswith("rdc: error: another process of this run has ended"), lines
    assert sum("rdc: error" in line for line in lines) == 1


def test_when_one_process_stands_still_the_other_ends_with_a_line(environment, free_port, tmp_path):
    runs = [
        start_by_hand(environment, free_port, i, tmp_path, **ENDLESS, training__stall_timeout=15)
        for i in (0, 1)
    ]
    runs[0].wait_for("^step 3 ")
    runs[1].signal(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        code, lines = runs[0].finish()
    finally:
        runs[1].kill()
    assert code == LOST_PEER, lines
    assert time.monotonic() - stopped < 60
    assert lines[-1].startswith("rdc: error: no step was finished for 15 s"), lines
