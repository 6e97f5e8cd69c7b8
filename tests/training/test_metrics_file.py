"""metrics.jsonl in a bucket: parts that are replaced as a whole, seldom, and read as one file."""

import json
import time

import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.report import training_log
from rdc_jax.training import metrics_file
from tests import bucket_client


@pytest.fixture(scope="module")
def server():
    with bucket_client.serving() as running:
        yield running


def line(step):
    return json.dumps({"step": step, "loss": step / 8})


def uploads(server):
    return sum(request.startswith("POST") for request in server.requests)


def losses(folder):
    (run,) = training_log.read_runs([folder])
    return run.scalars["loss"]


def test_lines_are_uploaded_at_once_then_together_and_at_the_end(server, monkeypatch):
    monkeypatch.setattr(metrics_file, "SECONDS_BETWEEN_UPLOADS", 0.5)
    folder = metrics_file.paths.of("gs://metrics/together")
    metrics, before = metrics_file.open_metrics(folder), uploads(server)
    for step in range(1, 11):
        metrics.append(line(step))
    assert uploads(server) == before + 1  # the first line; the others wait
    assert losses("gs://metrics/together") == {1: 0.125}
    limit = time.monotonic() + 60
    while uploads(server) == before + 1 and time.monotonic() < limit:
        time.sleep(0.05)
    assert len(losses("gs://metrics/together")) == 10  # without another line
    metrics.append(line(11))
    metrics.close()
    assert losses(folder / "metrics.jsonl") == {step: step / 8 for step in range(1, 12)}
    assert uploads(server) - before <= 4


def test_a_start_and_a_full_part_begin_new_ones_and_all_are_read_in_order(server, monkeypatch):
    monkeypatch.setattr(metrics_file, "PART_BYTES", 40)
    folder = metrics_file.paths.of("gs://metrics/parts")
    for steps in ((1, 2, 3), (3, 4)):  # step 3 was not saved, and is done again
        metrics = metrics_file.open_metrics(folder)
        for step in steps:
            metrics.append(line(step))
        metrics.close()
    names = server.names("metrics/parts/")
    assert names == ["metrics-00001.jsonl", "metrics-00002.jsonl", "metrics.jsonl"]
    assert losses("gs://metrics/parts") == {step: step / 8 for step in (1, 2, 3, 4)}


def test_a_bucket_that_does_not_answer_is_one_line(server, monkeypatch):
    metrics = metrics_file.open_metrics(metrics_file.paths.of("gs://metrics/lost"))
    monkeypatch.setattr(bucket_client.Bucket, "upload", lambda *_: 1 / 0)
    with pytest.raises(RdcError, match=r"^gs://metrics/lost: division by zero$"):
        metrics.append(line(1))
