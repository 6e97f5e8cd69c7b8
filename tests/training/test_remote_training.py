"""A run in a bucket: training, resuming, validation and export, and no local file named gs:.

The clients are the real ones of orbax (tensorstore) and array_record. In place of gcsfs stands the
strict file system of tests/bucket_client.py: no renames, no appending, no local paths.
"""

import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from rdc_jax.cli import main
from tests import bucket_client, bucket_server

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 12


@pytest.fixture(scope="module")
def server():
    with bucket_server.serving() as running:
        yield running


@pytest.fixture(scope="module")
def environment(server, user_environment, tmp_path_factory):
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    cache = str(tmp_path_factory.mktemp("cache"))
    return user_environment | server.environment() | {"XLA_FLAGS": quick, "RDC_CACHE_DIR": cache}


@pytest.fixture(scope="module")
def rdc(environment, tmp_path_factory):
    """Function (arguments) -> a finished process, in an empty folder that must stay empty."""
    folder = tmp_path_factory.mktemp("here")

    def run(*arguments, code=0):
        done = subprocess.run(
            bucket_client.command(*arguments), env=environment, cwd=folder, text=True,
            capture_output=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout[-2000:] + done.stderr[-4000:]
        assert not os.listdir(folder)
        return done

    return run


@pytest.fixture(scope="module")
def photos(server, tmp_path_factory):
    """gs:// shards of noise with structure."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("shards")
    for shard in range(2):
        path = folder / f"photos.array_record-{shard:05d}-of-00002"
        writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
        for _ in range(IMAGES // 2):
            coarse = rng.integers(0, 256, (12, 12, 3), np.uint8)
            file = io.BytesIO()
            Image.fromarray(coarse).resize((96, 96)).save(file, "PNG")
            writer.write(file.getvalue())
        writer.close()
        server.put(f"data/photos/{path.name}", path.read_bytes())
    return "gs://data/photos"


@pytest.fixture(scope="module")
def base(server, smoke_model):
    """The smoke model in the bucket."""
    for path in smoke_model.iterdir():
        server.put(f"data/models/smoke/{path.name}", path.read_bytes())
    return "gs://data/models/smoke"


def settings(photos, base, workdir, **changes):
    named = {
        "stage": "entropy", "init_from": base, "workdir": workdir,
        "data.kind": "array_record", "data.path": photos,
        "training.log_every": 1, "training.sample_every": 10, "training.checkpoint_every": 1,
        "training.keep_checkpoints": 2, "training.reference": base, "training.profile_from": 1,
        "data.held_out": 2, "data.validation_size": 64, "training.judge_every": -1,
        "training.optimizer": "adam",
    } | {name.replace("__", "."): value for name, value in changes.items()}  # fmt: skip
    arguments = [f"{name}={value}" for name, value in named.items()]
    return ["train", "--config", f"{ROOT}/configs/tiny.py:smoke", *arguments]


def metrics(server, run):
    """All lines of a run's metrics, of all parts in order."""
    names = [name for name in server.names(run) if name.startswith("metrics")]
    names.sort(key=lambda name: (name != "metrics.jsonl", name))
    text = b"".join(server.objects[run + name] for name in names).decode()
    return names, [json.loads(line) for line in text.splitlines()]


def test_a_run_in_a_bucket_trains_resumes_validates_and_exports(server, rdc, photos, base):
    workdir = "gs://runs/entropy"
    first = rdc(*settings(photos, base, workdir, training__total_steps=2))
    assert first.stdout.splitlines()[-1] == "gs://runs/entropy/model"
    names = server.names("runs/entropy/")
    steps = {name.split("/")[1] for name in names if name.startswith("checkpoints/")}
    assert steps == {"1", "2"}
    expected = {"config.json", "metrics.jsonl", "reference.json", "pictures/validation_0000002.png"}
    assert expected <= set(names) and "model/manifest.json" in names
    assert not [name for name in names if ".rdc-start" in name]
    sheet = Image.open(io.BytesIO(server.objects["runs/entropy/pictures/validation_0000002.png"]))
    assert sheet.size == (2 * 64, 5 * 64)

    # Again, with one step more, the model of the first run as reference, and a profile.
    more = {"training__total_steps": 3, "training__profile_steps": 1, "training__profile_from": 0}
    model = "gs://runs/entropy/model"
    second = rdc(*settings(photos, base, workdir, **more, training__reference=model))
    assert "resumed from step 2 of gs://runs/entropy\n" in second.stdout
    names, lines = metrics(server, "runs/entropy/")
    assert names == ["metrics.jsonl", "metrics-00001.jsonl"]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert [line["step"] for line in lines if "psnr@400" in line] == [2, 3]
    assert "bd_rate_psnr" in lines[-1]
    assert any(name.startswith("profile/") for name in server.names("runs/entropy/"))
    steps = {name.split("/")[1] for name in server.names("runs/entropy/") if "/state/" in name}
    assert steps == {"2", "3"}


@pytest.fixture(scope="module")
def in_this_process(server):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        bucket_client.install()
        yield


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.kind": "folder"}, "data.kind=folder reads local files"),
        ({"workdir": "s3://bucket/run"}, "checkpoints are written to a local"),
        ({"workdir": "ftp://host/run"}, "gs://BUCKET/FOLDER"),
        ({"init_from": "gs://data/nowhere"}, "no model 'gs://data/nowhere'"),
        ({"data.path": "gs://data/nowhere"}, "no file 'gs://data/nowhere'"),
        ({"data.kind": "latents"}, "'gs://data/photos/manifest.json' is not a manifest"),
    ],
)
def test_what_cannot_be_remote_is_one_line(in_this_process, photos, base, changes, message, capsys):
    arguments = settings(photos, base, "gs://runs/refused", training__total_steps=1)
    assert main.main([*arguments, *(f"{name}={value}" for name, value in changes.items())]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rdc: error: ") and error.count("\n") == 1 and message in error


def test_a_bucket_without_permission_is_one_line(
    in_this_process, photos, base, capsys, monkeypatch
):
    def refuse(*_):
        raise RuntimeError("403: no permission to write\n<html>")

    monkeypatch.setattr(bucket_client.Bucket, "upload", refuse)
    assert main.main(settings(photos, base, "gs://runs/forbidden")) == 2
    assert capsys.readouterr().err == (
        "rdc: error: cannot write to workdir gs://runs/forbidden: gs://runs/forbidden: 403: no "
        "permission to write; name another workdir\n"
    )
