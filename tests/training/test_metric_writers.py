"""The second place for a run's numbers: TensorBoard's files, written without TensorFlow."""

import struct
import subprocess
import sys

import numpy as np
import pytest

from configs import tiny
from rdc_jax.errors import RdcError
from rdc_jax.training.metric_writers import MultiWriter, open_writers


def config(workdir, tensorboard):
    found = tiny.get_config("smoke")
    found.workdir = str(workdir)
    found.training.tensorboard = tensorboard
    return found


def events_of(folder):
    """The events of all files: records of length, checksum, bytes and checksum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    for file in sorted(folder.glob("events.out.tfevents.*")):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            yield event_pb2.Event.FromString(data[12 : 12 + length])
            data = data[12 + length + 4 :]


def write_everything(writer):
    writer.write_texts(0, {"parameters": "a\nb"})
    writer.write_scalars(3, {"loss": 0.5, "psnr@400": 31.0}, shown="a table")
    writer.write_images(3, {"validation": np.full((4, 6, 3), 200, np.uint8)})
    writer.close()


def test_the_workdir_alone_is_written_by_default(tmp_path, capsys):
    write_everything(open_writers(config(tmp_path, tensorboard=False)))
    assert capsys.readouterr().out == "a table\n"
    assert (tmp_path / "parameters.txt").read_text() == "a\nb\n"
    assert not (tmp_path / "tensorboard").exists()


def test_tensorboard_gets_the_same(tmp_path):
    pytest.importorskip("tensorboardX")
    write_everything(open_writers(config(tmp_path, tensorboard=True)))
    assert '"psnr@400": 31.0' in (tmp_path / "metrics.jsonl").read_text()
    values = {}
    for event in events_of(tmp_path / "tensorboard"):
        for value in event.summary.value:
            values[value.tag] = (event.step, value)
    assert values["loss"][0] == 3 and values["loss"][1].simple_value == 0.5
    assert values["psnr/400"][1].simple_value == 31.0
    image = values["validation"][1].image
    assert (image.height, image.width, image.colorspace) == (4, 6, 3)
    assert b"    a\n    b" in values["parameters/text_summary"][1].tensor.string_val[0]


def test_it_brings_no_tensorflow(tmp_path, user_environment):
    pytest.importorskip("tensorboardX")
    code = (
        "import sys\nfrom rdc_jax.training.metric_writers import TensorBoardWriter\n"
        f"TensorBoardWriter({str(tmp_path)!r}).close()\n"
        "print({'tensorflow', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=user_environment, capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr


def test_other_processes_write_nothing(tmp_path, capsys):
    write_everything(open_writers(config(tmp_path / "run", tensorboard=True), silent=True))
    assert not (tmp_path / "run").exists() and capsys.readouterr().out == ""


def test_without_the_package_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(RdcError, match="needs tensorboardX: pip install tensorboardX"):
        open_writers(config(tmp_path, tensorboard=True))


def test_everything_reaches_every_writer():
    class Remembers(list):
        def __getattr__(self, name):
            return lambda *arguments, **options: self.append(name)

    first, second = Remembers(), Remembers()
    write_everything(MultiWriter([first, second]))
    assert first == second == ["write_texts", "write_scalars", "write_images", "close"]
