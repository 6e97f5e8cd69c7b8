"""What watches a run: the watchdog, the throughput meter, the profiler window, the writer."""

import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import tiny
from rdc_jax.errors import RdcError
from rdc_jax.training import profile, throughput
from rdc_jax.training.cluster.watchdog import EXIT_CODE, watchdog
from rdc_jax.training.metric_writer import MetricWriter


def test_a_run_that_stops_moving_is_ended_with_a_message(capsys):
    left = []
    with watchdog(0.1, leave=left.append) as moved:
        moved()
        time.sleep(0.5)
    assert left == [EXIT_CODE]
    message = capsys.readouterr().err
    assert message.startswith("rdc: error: no step was finished for 0.1 s (training.stall_timeout)")
    assert message.count("\n") == 1


def test_a_run_that_moves_is_left_alone(capsys):
    left = []
    with watchdog(1.0, leave=left.append) as moved:
        for _ in range(15):
            time.sleep(0.1)
            moved()
    assert not left and not capsys.readouterr().err


@pytest.mark.parametrize("seconds", [0, 0.05])
def test_before_the_first_step_nothing_is_timed_and_0_is_never(seconds):
    left = []
    with watchdog(seconds, leave=left.append) as moved:
        time.sleep(0.2)
        if not seconds:
            moved()
            time.sleep(0.1)
    assert not left


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when told to."""
    now = [100.0]
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_rates_are_those_of_the_time_that_trained(clock):
    meter = throughput.Throughput(16, model_flops=3e9, peak_flops=12e9)
    for _ in range(4):
        with meter.waiting_for_input():
            clock(0.25)
        clock(0.75)
    with meter.paused():
        clock(50)
    expected = {"seconds_per_step": 1.0, "images_per_second": 16, "input_wait": 0.25, "mfu": 0.25}
    assert meter.rates(4) == pytest.approx(expected | {"goodput": 3 / 54})
    clock(2)
    expected = {"seconds_per_step": 1.0, "images_per_second": 16, "input_wait": 0, "mfu": 0.25}
    assert meter.rates(2) == pytest.approx(expected | {"goodput": 5 / 56})


def test_goodput_counts_from_the_beginning_of_the_run(clock):
    meter = throughput.Throughput(16, begun=90.0)
    clock(10)
    assert meter.rates(5)["goodput"] == pytest.approx(0.5)


def test_utilisation_is_left_out_where_the_peak_is_not_known(clock):
    meter = throughput.Throughput(16)
    clock(1)
    assert "mfu" not in meter.rates(1)


@pytest.mark.parametrize(("length", "inside"), [(2, True), (100, False), (0, False)])
def test_the_profiler_records_the_steps_it_is_asked_for(tmp_path, length, inside):
    training = tiny.get_config().training
    training.profile_from, training.profile_steps = 1, length
    step = jax.jit(lambda x: x + 1)
    value, found = step(jnp.zeros(())), []
    with profile.profile_window(tmp_path, training) as before_step:
        for done in range(4):
            before_step(done)
            value = step(value)
            found.append(bool(list(tmp_path.rglob("*.xplane.pb"))))
    assert found == [False, False, False, inside]
    assert bool(list(tmp_path.rglob("*.xplane.pb"))) == bool(length)


def test_metrics_are_appended_and_printed(tmp_path, capsys):
    for step in (1, 2):  # as two runs of one workdir do
        writer = MetricWriter(tmp_path)
        writer.write_scalars(step, {"loss": np.float32(0.5)})
        writer.write_images(step, {"picture": np.zeros((4, 5, 3), np.uint8)})
        writer.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2 and '"loss": 0.5' in lines[1]
    assert (tmp_path / "pictures" / "picture_0000002.png").is_file()
    assert "step 2  loss 0.5" in capsys.readouterr().out


def test_a_silent_writer_leaves_nothing(tmp_path, capsys):
    writer = MetricWriter(tmp_path / "run", silent=True)
    writer.write_scalars(1, {"loss": 0.5})
    writer.write_images(1, {"picture": np.zeros((4, 5, 3), np.uint8)})
    writer.close()
    assert not (tmp_path / "run").exists() and not capsys.readouterr().out


def test_metrics_that_cannot_be_written_name_the_workdir(tmp_path):
    writer = MetricWriter(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(RdcError, match=rf"^cannot write to workdir {tmp_path}: No space left"):
        writer.write_scalars(1, {"loss": 0.5})
    (tmp_path / "pictures").write_text("a file")
    with pytest.raises(RdcError, match="cannot write to workdir"):
        writer.write_images(1, {"picture": np.zeros((4, 5, 3), np.uint8)})
    (tmp_path / "file").write_text("")
    with pytest.raises(RdcError, match="cannot write to workdir"):
        MetricWriter(tmp_path / "file")


def test_metrics_are_on_disk_after_every_write(tmp_path):
    """So a mounted bucket, which uploads a file when it is closed, has them too."""
    writer = MetricWriter(tmp_path)
    for step in (1, 2):
        writer.write_scalars(step, {"loss": 0.5})
        open_files = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
        assert str(tmp_path / "metrics.jsonl") not in open_files
        assert (tmp_path / "metrics.jsonl").read_text().count("\n") == step
