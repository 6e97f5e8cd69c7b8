"""The scripts in launch/: dry runs, and several processes on this machine for real."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

LAUNCH = Path(__file__).resolve().parents[1] / "launch"
SCRIPTS = sorted(LAUNCH.glob("*.sh"))
ARGUMENTS = ["--config", "configs/tiny.py", "workdir=a b", "data.path=$HOME/*"]
VARIABLES = {"PROCESSES", "PORT", "NODES", "TPU", "ZONE", "PROJECT", "FOLDER", "CLUSTER", "IMAGE"}


def launch(name, *arguments, tools="", **variables):
    """Runs a script, with a folder of stand-ins for the tools it calls."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    environment["PATH"] = f"{tools}{os.pathsep}{environment['PATH']}"
    return subprocess.Popen(
        [LAUNCH / name, *arguments],
        env=environment | variables, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process, timeout=20):
    """(exit code, standard output, standard error)."""
    try:
        output, error = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, output, error


def dry_run(name, *options, **variables):
    """The commands that a script prints, each split into words."""
    code, output, error = finish(launch(name, "--dry-run", *options, *ARGUMENTS, **variables))
    assert (code, error) == (0, "")
    return [shlex.split(line) for line in output.splitlines()]


@pytest.fixture
def rdc(tmp_path):
    """Puts a shell script in the place of rdc; returns the folder it is in."""

    def make(script):
        path = tmp_path / "rdc"
        path.write_text(f"#!/usr/bin/env bash\n{script}\n")
        path.chmod(0o755)
        return str(tmp_path)

    return make


def remote_words(command):
    """The words of the command that a remote shell is given, as it will see them."""
    remote = next(word for word in command if word.startswith("--command="))
    return shlex.split(remote.removeprefix("--command="))


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck():
    done = subprocess.run(["shellcheck", *SCRIPTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_arguments_no_launch(script):
    for options in ([], ["--dry-run"]):
        code, output, error = finish(launch(script.name, *options))
        assert code == 2 and output == "" and error.startswith("usage: ")


def test_dry_run_of_local_processes():
    commands = dry_run("local_processes.sh", PROCESSES="3", PORT="99", GPUS_PER_PROCESS="2")
    for i, command in enumerate(commands):
        assert command == [
            f"[{i}]", "env", "RDC_COORDINATOR=127.0.0.1:99", "RDC_NUM_PROCESSES=3",
            f"RDC_PROCESS_ID={i}", f"CUDA_VISIBLE_DEVICES={2 * i},{2 * i + 1}",
            "rdc", "train", *ARGUMENTS,
        ]  # fmt: skip
    assert len(commands) == 3
    assert "CUDA" not in str(dry_run("local_processes.sh"))


def test_dry_run_of_slurm():
    sbatch, srun = dry_run("slurm_gpu.sh", NODES="4", SBATCH_OPTIONS="--partition=gpu --qos=x")
    assert sbatch[0] == "sbatch" and sbatch[-len(ARGUMENTS) :] == ARGUMENTS
    assert {"--nodes=4", "--ntasks-per-node=8", "--partition=gpu", "--qos=x"} <= set(sbatch)
    assert "RDC_DISTRIBUTED=auto" in str(sbatch)
    assert srun[0] == "srun" and srun[-len(ARGUMENTS) - 2 :] == ["rdc", "train", *ARGUMENTS]
    inside = dry_run("slurm_gpu.sh", RDC_INSIDE_JOB="1")
    assert [command[0] for command in inside] == ["srun"]


def test_dry_run_of_tpu_vm():
    (ssh,) = dry_run("tpu_vm.sh", TPU="pod", PROJECT="mine")
    assert ssh[:6] == ["gcloud", "compute", "tpus", "tpu-vm", "ssh", "pod"]
    assert {"--worker=all", "--project=mine"} <= set(ssh)
    words = remote_words(ssh)
    assert words[-len(ARGUMENTS) - 3 :] == ["RDC_DISTRIBUTED=auto", "rdc", "train", *ARGUMENTS]
    archive, copy, install, train = dry_run("tpu_vm.sh", "--install")
    assert archive[:2] == ["git", "archive"] and "scp" in copy
    assert ".[tpu]" in remote_words(install) and "rdc" in remote_words(train)


def test_dry_run_of_xpk():
    (command,) = dry_run("gke_xpk.sh", CLUSTER="mine", SLICES="2", TPU_TYPE="v6e-256")
    assert command[:3] == ["xpk", "workload", "create"]
    assert {"--cluster=mine", "--num-slices=2", "--tpu-type=v6e-256"} <= set(command)
    assert remote_words(command) == ["RDC_DISTRIBUTED=auto", "rdc", "train", *ARGUMENTS]


def test_local_processes_know_each_other(rdc):
    tools = rdc(
        'echo "$RDC_PROCESS_ID/$RDC_NUM_PROCESSES $RDC_COORDINATOR" "${@@Q}"\n'
        "echo problem >&2; sleep .2; echo end"
    )
    code, output, error = finish(launch("local_processes.sh", *ARGUMENTS, tools=tools))
    assert (code, error) == (0, "")
    words = " ".join(f"'{a}'" for a in ["train", *ARGUMENTS])
    expected = [
        line
        for i in range(2)
        for line in (f"[{i}] {i}/2 127.0.0.1:8476 {words}", f"[{i}] problem", f"[{i}] end")
    ]
    assert sorted(output.splitlines()) == sorted(expected)


def test_one_failure_ends_all_processes(rdc, tmp_path):
    tools = rdc(
        "if ((RDC_PROCESS_ID == 1)); then\n"
        f"  until [[ -e {tmp_path}/ready ]]; do sleep .02; done; exit 7\nfi\n"
        'trap "echo saved; exit 75" TERM\n'
        f"sleep 100 & touch {tmp_path}/ready; wait"
    )
    started = time.monotonic()
    code, output, error = finish(launch("local_processes.sh", *ARGUMENTS, tools=tools))
    assert code == 7 and time.monotonic() - started < 10
    assert output == "[0] saved\n"
    assert "process 1 ended with code 7; ending the others" in error


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(rdc, signal_number):
    tools = rdc('trap "echo saved; exit 75" INT TERM\necho ready; sleep 100 & wait')
    process = launch("local_processes.sh", *ARGUMENTS, tools=tools)
    assert sorted(process.stdout.readline() for _ in range(2)) == ["[0] ready\n", "[1] ready\n"]
    os.kill(process.pid, signal_number)
    code, output, _ = finish(process)
    assert code == 75
    assert sorted(output.splitlines()) == ["[0] saved", "[1] saved"]


def test_deaf_processes_are_killed_in_the_end(rdc):
    tools = rdc('trap "" INT TERM\necho $$; sleep 100')
    process = launch("local_processes.sh", *ARGUMENTS, tools=tools, GRACE="0.3")
    pids = [int(process.stdout.readline().split()[1]) for _ in range(2)]
    os.kill(process.pid, signal.SIGTERM)
    assert finish(process)[0] == 137
    for pid in pids:  # gone, or not yet noticed by their parent
        done = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        assert done.stdout.strip()[:1] in ("", "Z")
