"""The scripts in launch/: dry runs, and what they do with stand-ins for the tools they call.

Training by several processes: tests/test_processes.py.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import shutil
import signal
import subprocess
import time

import pytest

from tests.launch_scripts import LAUNCH, finish, launch, launched

SCRIPTS = sorted(LAUNCH.glob("*.sh"))
ARGUMENTS = ["--config", "configs/tiny.py", "workdir=a b", "data.path=$HOME/*"]


def dry_run(name, *options, **variables):
    """The commands that a script prints, each split into words."""
    code, output, error = launch(name, "--dry-run", *options, *ARGUMENTS, **variables)
    assert (code, error) == (0, "")
    return [shlex.split(line) for line in output.splitlines()]


@pytest.fixture
def stand_in(tmp_path):
    """Puts a shell script in the place of a tool; returns the folder it is in."""

    def make(tool, script):
        path = tmp_path / tool
        path.write_text(f"#!/usr/bin/env bash\n{script}\n")
        path.chmod(0o755)
        return str(tmp_path)

    return make


@pytest.fixture
def rdc(stand_in):
    return functools.partial(stand_in, "rdc")


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
        code, output, error = launch(script.name, *options)
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
    sbatch, srun, again = dry_run(
        "slurm_gpu.sh", NODES="4", SBATCH_OPTIONS="--partition=gpu --qos=x"
    )
    assert sbatch[0] == "sbatch" and sbatch[-len(ARGUMENTS) :] == ARGUMENTS
    assert {"--nodes=4", "--ntasks-per-node=8", "--partition=gpu", "--qos=x"} <= set(sbatch)
    assert {"--signal=TERM@120", "--requeue", "--open-mode=append"} <= set(sbatch)
    assert "RDC_DISTRIBUTED=auto" in str(sbatch)
    assert srun[0] == "srun" and srun[-len(ARGUMENTS) - 2 :] == ["rdc", "train", *ARGUMENTS]
    assert again == ["scontrol", "requeue", "JOB"]
    inside = dry_run("slurm_gpu.sh", RDC_INSIDE_JOB="1", SLURM_JOB_ID="7")
    assert inside == [srun, ["scontrol", "requeue", "7"]]


def test_a_slurm_job_is_submitted_once_and_not_run_here(stand_in):
    stand_in("srun", "echo srun")
    tools = stand_in("sbatch", 'echo "${@@Q}"')
    code, output, _ = launch("slurm_gpu.sh", *ARGUMENTS, tools=tools)
    words = shlex.split(output)
    assert code == 0 and "srun" not in words
    assert words[-len(ARGUMENTS) - 1 :] == [str(LAUNCH / "slurm_gpu.sh"), *ARGUMENTS]


@pytest.mark.parametrize(("exit_code", "queued"), [(0, False), (75, True), (69, False), (2, False)])
def test_a_slurm_job_that_was_terminated_is_queued_again(stand_in, exit_code, queued):
    stand_in("scontrol", 'echo "$@"')
    tools = stand_in("srun", f"exit {exit_code}")
    job = {"RDC_INSIDE_JOB": "1", "SLURM_JOB_ID": "7"}
    code, output, _ = launch("slurm_gpu.sh", *ARGUMENTS, tools=tools, **job)
    assert code == exit_code
    assert output == ("requeue 7\n" if queued else "")


def test_a_slurm_job_that_is_cancelled_is_not_queued_again(stand_in):
    """Then the job's shell gets a SIGTERM too."""
    stand_in("scontrol", 'echo "$@"')
    tools = stand_in("srun", 'trap "exit 75" TERM\necho ready; sleep 100 & wait')
    job = {"RDC_INSIDE_JOB": "1", "SLURM_JOB_ID": "7"}
    with launched("slurm_gpu.sh", *ARGUMENTS, tools=tools, **job) as process:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGTERM)
        code, output, _ = finish(process)
    assert (code, output) == (75, "")


def test_dry_run_of_tpu_vm():
    (ssh,) = dry_run("tpu_vm.sh", TPU="pod", PROJECT="mine")
    assert ssh[:6] == ["gcloud", "compute", "tpus", "tpu-vm", "ssh", "pod"]
    assert {"--worker=all", "--project=mine"} <= set(ssh)
    words = remote_words(ssh)
    assert words[-len(ARGUMENTS) - 3 :] == ["RDC_DISTRIBUTED=auto", "rdc", "train", *ARGUMENTS]
    archive, copy, install, train = dry_run("tpu_vm.sh", "--install")
    assert archive[:2] == ["git", "archive"] and "scp" in copy
    assert ".[tpu,gcs]" in remote_words(install) and "rdc" in remote_words(train)
    assert "uv venv --quiet --clear --python 3.12 .venv" in " ".join(remote_words(install))
    assert "--xla_tpu_megacore" not in str(train)
    assert "--xla_tpu_megacore_fusion_allow_ags=false" in str(dry_run("tpu_vm.sh", CHIP="v5p"))
    code, output, _ = launch("tpu_vm.sh", "--dry-run", "--stop")
    assert code == 0
    assert remote_words(shlex.split(output)) == ["pkill", "-TERM", "-f", "[r]dc train"]


def test_dry_run_of_xpk():
    (command,) = dry_run("gke_xpk.sh", CLUSTER="mine", SLICES="2", TPU_TYPE="v6e-256")
    assert command[:3] == ["xpk", "workload", "create"]
    assert {"--cluster=mine", "--num-slices=2", "--tpu-type=v6e-256"} <= set(command)
    flags, *words = remote_words(command)
    assert flags.startswith("LIBTPU_INIT_ARGS=--xla_") and "data_parallel_all_reduce" in flags
    assert words == ["RDC_DISTRIBUTED=auto", "exec", "rdc", "train", *ARGUMENTS]
    assert "--restart-on-exit-codes=69,75" in command


def test_sigterm_reaches_rdc_in_a_pod(rdc):
    """XPK's shell around the command: ({command}) & and a trap that signals that process."""
    tools = rdc('trap "exit 75" TERM\necho ready; sleep 100 & wait')
    (command,) = dry_run("gke_xpk.sh")
    text = next(word for word in command if word.startswith("--command="))[len("--command=") :]
    pod = (
        f"_sigterm() (kill -SIGTERM $! 2>/dev/null;)\ntrap _sigterm SIGTERM\n({text}) & PID=$!\n"
        "while kill -0 $PID 2>/dev/null; do sleep .1; done\nwait $PID\nexit $?"
    )
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        ["bash", "-c", pod], env=environment, text=True, stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
            code = process.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):  # all of the group may have ended
                os.killpg(process.pid, signal.SIGKILL)  # the stand-in's sleep
    assert code == 75


def test_local_processes_know_each_other(rdc):
    tools = rdc(
        'echo "$RDC_PROCESS_ID/$RDC_NUM_PROCESSES $RDC_COORDINATOR" "${@@Q}"\n'
        "echo problem >&2; sleep .2; echo end"
    )
    code, output, error = launch("local_processes.sh", *ARGUMENTS, tools=tools)
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
    code, output, error = launch("local_processes.sh", *ARGUMENTS, tools=tools)
    assert code == 7 and time.monotonic() - started < 10
    assert output == "[0] saved\n"
    assert "process 1 ended with code 7; ending the others" in error


def test_processes_that_saved_and_end_are_not_disturbed(rdc):
    """After a SIGTERM to one of them all end with code 75, each in its own time."""
    tools = rdc('trap "echo disturbed" TERM\nsleep ".$RDC_PROCESS_ID"; exit 75')
    code, output, error = launch("local_processes.sh", *ARGUMENTS, tools=tools)
    assert (code, output, error) == (75, "", "")


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(rdc, signal_number, ctrl_c):
    tools = rdc('trap "echo saved; exit 75" INT TERM\necho ready; sleep 100 & wait')
    with launched("local_processes.sh", *ARGUMENTS, tools=tools) as process:
        ready = sorted(process.stdout.readline() for _ in range(2))
        assert ready == ["[0] ready\n", "[1] ready\n"]
        process.send_signal(signal_number)
        code, output, _ = finish(process)
    assert code == 75
    assert sorted(output.splitlines()) == ["[0] saved", "[1] saved"]


def test_deaf_processes_are_killed_in_the_end(rdc):
    tools = rdc('trap "" INT TERM\necho $$; sleep 100')
    with launched("local_processes.sh", *ARGUMENTS, tools=tools, GRACE="0.3") as process:
        pids = [int(process.stdout.readline().split()[1]) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        assert finish(process)[0] == 137
    for pid in pids:  # gone, or not yet noticed by their parent
        done = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        assert done.stdout.strip()[:1] in ("", "Z")
