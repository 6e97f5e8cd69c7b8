"""Runs of `rdc train` that are told to stop, are killed, or find the disk full, and go on after.

They train the entropy model of the smoke size, which starts in seconds.
"""

import contextlib
import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

pytestmark = pytest.mark.filterwarnings("ignore:Sharding info not provided")  # read as written
ROOT = Path(__file__).resolve().parents[3]
KEEP = 3
KILLS = 50
PATIENCE = 300
"""Seconds; a machine with other work needs more than one minute to start and to compile."""


@pytest.fixture(scope="module")
def command(smoke_model):
    """A run that would last for days, saving after every step; without its workdir."""
    return [
        sys.executable, "-m", "rdc_jax", "train", "--config", f"{ROOT}/configs/tiny.py:smoke",
        "stage=entropy", f"init_from={smoke_model}", "training.total_steps=1000000",
        "training.sample_every=1000000", "training.checkpoint_every=1", "training.log_every=1",
        f"training.keep_checkpoints={KEEP}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def environment(user_environment, tmp_path_factory):
    """A user's shell; compiles quickly, and once."""
    cache = str(tmp_path_factory.mktemp("cache"))
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    return user_environment | {"XLA_FLAGS": quick, "RDC_CACHE_DIR": cache}


@contextlib.contextmanager
def started(command, environment):
    """The running process, its standard output as lines; killed at the end if it still runs."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process, word):
    """Standard output up to the first line that starts with `word`, which must come."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(word):
            return lines
    pytest.fail(f"no line starts with {word!r}: {lines} {process.stderr.read()}")


def number(text):
    return int(re.search(r"step (\d+)", text).group(1))


def complete_steps(workdir):
    folder = workdir / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return sorted(int(name) for name in names if name.isdigit())


def stored_step(path):
    """Reads a whole checkpoint; the step that it holds."""
    state = ocp.load_checkpointables(path)["state"]
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(state["ema_params"]))
    return int(state["step"])


@pytest.fixture(scope="module")
def terminated(command, environment, tmp_path_factory):
    """A run that got SIGTERM: its workdir, exit code, last line of output, standard error."""
    workdir = tmp_path_factory.mktemp("terminated")
    with started([*command, f"workdir={workdir}"], environment) as process:
        read_until(process, "step ")
        process.terminate()
        output, errors = process.communicate(timeout=PATIENCE)
    return workdir, process.returncode, output.splitlines()[-1], errors


def test_a_terminated_run_saves_and_asks_to_be_started_again(terminated):
    workdir, code, last_line, errors = terminated
    assert code == 75, errors  # EX_TEMPFAIL
    message = f"rdc: terminated; the same command continues from the last checkpoint in {workdir}"
    assert errors.splitlines() == [message]
    assert number(last_line) == complete_steps(workdir)[-1]


def test_a_full_disk_ends_the_run_with_one_line_and_leaves_earlier_checkpoints(
    command, environment, terminated, tmp_path
):
    workdir = shutil.copytree(terminated[0], tmp_path / "run")
    before = complete_steps(workdir)
    # Files of more than 50 or 100 KB cannot be written, and a checkpoint has some.
    limited = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *command, f"workdir={workdir}"]
    with started(limited, environment) as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, errors
    assert f"resumed from step {before[-1]} " in output
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith(f"rdc: error: cannot write a checkpoint to workdir {workdir}: ")
    assert os.strerror(errno.EFBIG) in errors
    assert complete_steps(workdir) == before
    for step in before:
        assert stored_step(workdir / "checkpoints" / str(step)) == step


def test_the_same_command_goes_on_and_an_interrupted_run_saves_too(
    command, environment, terminated, ctrl_c
):
    workdir = terminated[0]
    saved = complete_steps(workdir)[-1]
    with started([*command, f"workdir={workdir}"], environment) as process:
        lines = read_until(process, "step ")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    assert f"resumed from step {saved} of {workdir}\n" in lines
    assert number(lines[-1]) == saved + 1
    assert number(output.splitlines()[-1]) == complete_steps(workdir)[-1] > saved
    message = f"rdc: interrupted; the same command continues from the last checkpoint in {workdir}"
    assert errors.splitlines() == [message]


@pytest.mark.slow
def test_a_run_killed_at_any_moment_loses_no_more_than_the_steps_since_it_saved(
    command, environment, tmp_path
):
    workdir, moments = tmp_path / "run", random.Random(int(os.environ.get("KILLS_SEED", "0")))
    last, partial, lost = 0, 0, []
    for kill in range(KILLS + 1):
        with started([*command, f"workdir={workdir}"], environment) as process:
            lines = read_until(process, "step ")
            resumed = next((number(line) for line in lines if line.startswith("resumed")), 0)
            assert resumed == last, f"kill {kill}: {''.join(lines)}"
            assert number(lines[-1]) == resumed + 1
            time.sleep(moments.uniform(0, 1.5))
            process.kill()
            lines += process.stdout
            assert not process.stderr.read()
        reached = max(number(line) for line in lines if line.startswith("step "))
        steps = complete_steps(workdir)
        last = steps[-1] if steps else 0
        # A step is printed before it is saved, and saving waits for the save before.
        assert last >= max(resumed, reached - 2)
        lost.append(reached - last)
        for step in steps[-KEEP:]:
            assert stored_step(workdir / "checkpoints" / str(step)) == step
        partial += any("tmp" in path.name for path in (workdir / "checkpoints").iterdir())
        print(f"kill {kill}: resumed {resumed}, reached {reached}, newest complete {last}")
    assert partial, "no kill hit a save"
    print(f"{KILLS + 1} kills, {partial} while saving; steps lost {np.bincount(lost)}")

    # Steps that were done twice, before and after a kill, came out the same to the last bit.
    losses, repeated = {}, 0
    for line in (workdir / "metrics.jsonl").read_text().splitlines():
        values = json.loads(line)
        repeated += values["step"] in losses
        assert losses.setdefault(values["step"], values["loss"]) == values["loss"]
    assert repeated
    assert sorted(losses) == list(range(1, len(losses) + 1))
    print(f"{len(losses)} steps, {repeated} of them repeated with the same loss")
