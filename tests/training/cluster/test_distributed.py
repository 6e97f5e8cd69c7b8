"""Joining processes, and what is said when one is lost; real processes: tests/test_processes.py."""

import contextlib
import socket
import subprocess
import sys

import jax
import pytest
from jax.experimental import multihost_utils

from rdc_jax.errors import RdcError
from rdc_jax.training.cluster import distributed

EXPLICIT = {"RDC_COORDINATOR": "localhost:1", "RDC_NUM_PROCESSES": "2", "RDC_PROCESS_ID": "1"}
GLOO = "UNKNOWN: Gloo all-reduce failed: [pair.cc:538] Read error: Connection reset by peer\nmore"
OUT_OF_MEMORY = "RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes."


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nothing that would reach beyond this test."""
    monkeypatch.setattr(distributed, "_last_words_of_abort", lambda message: None)
    monkeypatch.setattr(multihost_utils, "sync_global_devices", lambda name: None)


@pytest.fixture
def calls(monkeypatch):
    """Arguments with which JAX was asked to join."""
    made = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda **arguments: made.append(arguments))
    return made


def detected(environment, monkeypatch):
    """(coordinator, processes, process, local devices) that JAX finds for RDC_DISTRIBUTED=auto."""
    from jax._src import clusters

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    find = clusters.ClusterEnv.auto_detect_unset_distributed_params
    return find(None, None, None, None, None, distributed.JOIN_SECONDS)


def test_a_run_of_one_process_joins_nobody(calls):
    distributed.initialize({})
    assert not calls


def test_explicit_settings_reach_jax_with_limits_of_time(calls):
    distributed.initialize(EXPLICIT)
    expected = {"coordinator_address": "localhost:1", "num_processes": 2, "process_id": 1}
    assert expected.items() <= calls[0].items()
    limits = {name for name in calls[0] if "timeout" in name}
    assert limits == {
        "initialization_timeout", "heartbeat_timeout_seconds", "shutdown_timeout_seconds"
    }  # fmt: skip


def test_explicit_settings_ignore_the_cluster_around_them(calls):
    distributed.initialize(EXPLICIT | {"RDC_DISTRIBUTED": "auto"})
    assert calls[0]["cluster_detection_method"] == "deactivate"


def test_auto_leaves_the_search_to_jax():
    assert distributed.settings({"RDC_DISTRIBUTED": "auto"}) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"RDC_PROCESS_ID": "2"},
        {"RDC_NUM_PROCESSES": ""},
        {"RDC_COORDINATOR": ""},
        {"RDC_COORDINATOR": "localhost"},
    ],
)
def test_settings_that_cannot_work_are_refused(calls, change):
    with pytest.raises(RdcError, match="RDC_"):
        distributed.initialize(EXPLICIT | change)
    assert not calls


def test_another_word_than_auto_is_refused(calls):
    with pytest.raises(RdcError, match="RDC_DISTRIBUTED is 'yes'; it must be auto"):
        distributed.initialize({"RDC_DISTRIBUTED": "yes"})


def test_auto_where_no_cluster_is_says_what_to_set(monkeypatch):
    def fail(**arguments):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", fail)
    with pytest.raises(RdcError, match="elsewhere set RDC_COORDINATOR"):
        distributed.initialize({"RDC_DISTRIBUTED": "auto"})


def test_slurm_tells_jax_who_the_processes_are(monkeypatch):
    """What srun of launch/slurm_gpu.sh puts into the environment of the last of 16 processes."""
    found = detected(
        {
            "SLURM_JOB_ID": "4242",
            "SLURM_STEP_NODELIST": "gpu[07-08]",
            "SLURM_NTASKS": "16",
            "SLURM_PROCID": "15",
            "SLURM_LOCALID": "7",
        },
        monkeypatch,
    )
    port = 4242 % 4096 + 61440
    assert found == (f"gpu07:{port}", 16, 15, [7])


@pytest.mark.parametrize("slices", [1, 2])
def test_gke_tells_jax_who_the_processes_are(monkeypatch, slices):
    """What GKE and, for several slices, its JobSet put into a pod's environment."""
    from jax._src.clusters import cloud_tpu_cluster, cluster

    for module in (cloud_tpu_cluster, cluster):
        monkeypatch.setattr(module, "running_in_cloud_tpu_vm", True)
    monkeypatch.setattr(cloud_tpu_cluster.socket, "gethostbyname", lambda name: "10.0.0.1")
    monkeypatch.setattr(cloud_tpu_cluster, "get_tpu_env_value_from_metadata", lambda key: None)
    environment = {"TPU_WORKER_HOSTNAMES": "host-0,host-1,host-2,host-3", "TPU_WORKER_ID": "2"}
    if slices > 1:
        environment |= {
            "MEGASCALE_COORDINATOR_ADDRESS": "slice-0-host-0:8080",
            "MEGASCALE_NUM_SLICES": "2",
            "MEGASCALE_SLICE_ID": "1",
        }
    first, index = ("slice-0-host-0", 4 + 2) if slices > 1 else ("host-0", 2)
    assert detected(environment, monkeypatch) == (f"{first}:8482", 4 * slices, index, None)


def test_peers_that_do_not_answer_end_the_run_with_a_message(monkeypatch):
    def fail(**arguments):
        raise RuntimeError("deadline exceeded\nmore")

    monkeypatch.setattr(jax.distributed, "initialize", fail)
    with pytest.raises(RdcError, match=r"deadline exceeded$"):
        distributed.initialize(EXPLICIT)


def test_a_lost_peer_is_named_and_the_process_left_at_once(monkeypatch, capfd):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    codes = []
    with pytest.raises(jax.errors.JaxRuntimeError), distributed.errors_in_words(codes.append):
        raise jax.errors.JaxRuntimeError(GLOO)
    assert codes == [distributed.LOST_PEER]
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("rdc: error: another process") and "Connection reset by peer" in line
    assert "The same command goes on from the last checkpoint" in line


@pytest.mark.parametrize(
    ("processes", "text"), [(1, GLOO), (2, "INTERNAL: a kernel failed"), (2, "INVALID_ARGUMENT: x")]
)
def test_other_errors_keep_their_traceback(monkeypatch, capfd, processes, text):
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    with pytest.raises(jax.errors.JaxRuntimeError), distributed.errors_in_words():
        raise jax.errors.JaxRuntimeError(text)
    assert capfd.readouterr().err == ""


def test_running_out_of_device_memory_names_the_settings():
    with (
        pytest.raises(RdcError, match=r"data\.batch_size.*training\.remat.*17179869184"),
        distributed.errors_in_words(),
    ):
        raise jax.errors.JaxRuntimeError(OUT_OF_MEMORY)


def run_python(text):
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=120
    )


FAILING_ALONE = """
import sys
from jax.experimental import multihost_utils
from rdc_jax.errors import RdcError
from rdc_jax.training.cluster import distributed

@distributed.failing_alone()
def run(index):
    distributed.initialize({
        "RDC_COORDINATOR": sys.argv[2], "RDC_NUM_PROCESSES": "2", "RDC_PROCESS_ID": str(index)
    })
    for step in range(1000):
        multihost_utils.sync_global_devices("step")
        if index == 1:
            raise RdcError("my disk is full")

try:
    run(int(sys.argv[1]))
except RdcError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


def test_a_process_that_fails_alone_says_why_and_does_not_wait_for_the_other():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
    processes = []
    with contextlib.ExitStack() as stack:
        for index in (0, 1):
            command = [sys.executable, "-c", FAILING_ALONE, str(index), address]
            pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
            processes.append(stack.enter_context(subprocess.Popen(command, **pipes)))
            stack.callback(processes[-1].kill)
        output = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [distributed.LOST_PEER, 2], output
    assert output[1].splitlines()[-1] == "my disk is full"
    assert output[0].splitlines()[-1].startswith("rdc: error: another process of this run")


def test_an_abort_has_a_last_word():
    done = run_python(
        "import os, threading\n"
        "from rdc_jax.training.cluster import distributed\n"
        "distributed._last_words_of_abort('first')\n"
        "distributed._last_words_of_abort('this is why')\n"
        "thread = threading.Thread(target=os.abort)\n"
        "thread.start(); thread.join()"
    )
    assert done.returncode == distributed.LOST_PEER
    assert done.stderr == "rdc: error: this is why\n"


def test_processes_that_nobody_joins_end_with_a_line():
    """JAX itself aborts here, after a stack trace."""
    done = run_python(
        "from rdc_jax.training.cluster import distributed\n"
        "distributed.JOIN_SECONDS = 2\n"
        "distributed.initialize({'RDC_COORDINATOR': '127.0.0.1:9', 'RDC_NUM_PROCESSES': '2',"
        "                        'RDC_PROCESS_ID': '1'})"
    )
    assert done.returncode == distributed.LOST_PEER
    last = done.stderr.splitlines()[-1]
    assert last.startswith("rdc: error: the other processes") and "within 2 s" in last
