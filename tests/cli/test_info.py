"""`rdc info`: every byte of a file, for people and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from rdc_jax.bitstream import container
from rdc_jax.cli.main import main
from tests.cli.runs import ROOT

pytestmark = pytest.mark.usefixtures("no_cache_in_this_process")

WITHOUT_JAX = """
import sys
from rdc_jax.cli.main import main
code = main(sys.argv[1:])
print(",".join(sorted({"jax", "flax", "scipy", "orbax"} & set(sys.modules))), file=sys.stderr)
sys.exit(code)
"""


def test_info_starts_without_jax(coded, user_environment):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_JAX, "info", coded],
        cwd=ROOT, env=user_environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""
    assert "importance map: 6 x 4 cells of 16 pixels" in done.stdout


def test_a_reader_that_leaves_is_no_error(coded, user_environment):
    command = [sys.executable, "-m", "rdc_jax", "info", coded]
    with subprocess.Popen(
        command, cwd=ROOT, env=user_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_info_accounts_for_every_byte(coded, capsys):
    assert main(["info", str(coded), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    position = content["header_bytes"]
    for section in content["sections"]:
        assert section["offset"] == position
        position += section["bytes"]
    assert position == content["bytes"] == coded.stat().st_size
    header = container.unpack(coded.read_bytes())[0]
    assert content["header"]["model_id"] == header.model_id.hex()
    assert set(content["header"]) == set(vars(header))
    assert np.shape(content["map"]["levels"]) == header.map_shape
    assert sum(content["map"]["cells_per_level"]) == 24


def test_info_for_people(coded, capsys):
    assert main(["info", str(coded)]) == 0
    text = capsys.readouterr().out
    size = coded.stat().st_size
    assert f"{coded}: rdc format version 1, {size} bytes" in text
    rows = [line.split() for line in text.splitlines()]
    parts = {row[0]: row for row in rows if row and row[-1].endswith("%")}
    names = ("header", "importance", "hyper_latent", "latent")
    assert sum(int(parts[name][2]) for name in names) == size == int(parts["total"][1])
    drawn = [line for line in text.splitlines() if line.startswith("  |")]
    assert any("@@" in line for line in drawn)


@pytest.mark.parametrize("tau", ["0", "0.004", "0.3", "0.5", "0.996", "1"])
def test_info_shows_tau_as_it_was_given(models, photo, capsys, tau):
    model = ["--model", str(models / "first"), "--quiet"]
    assert main(["encode", str(photo), "--tau", tau, *model]) == 0
    assert main(["info", str(photo.with_suffix(".rdc"))]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["default_tau", tau] in rows
    assert main(["info", "--json", str(photo.with_suffix(".rdc"))]) == 0
    assert json.loads(capsys.readouterr().out)["header"]["default_tau"] == float(tau)


def test_info_without_a_map(models, photo, capsys):
    assert main(["encode", str(photo), "--model", str(models / "first"), "--quiet"]) == 0
    assert main(["info", str(photo.with_suffix(".rdc"))]) == 0
    assert "importance map: none, all 6 x 4 cells are equal" in capsys.readouterr().out


def test_a_name_that_is_not_unicode(coded, user_environment):
    name = b"\xff\n.rdc"
    (coded.parent / name.decode(errors="surrogateescape")).write_bytes(coded.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "rdc_jax", "info", name],
        cwd=coded.parent, capture_output=True, timeout=60, check=False,
        env=user_environment | {"PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"\\udcff")


def test_a_bug_keeps_its_traceback(photo, monkeypatch):
    def bug(*_):
        raise ValueError("a bug")

    monkeypatch.setattr("rdc_jax.cli.commands.info.contents", bug)
    with pytest.raises(ValueError, match="a bug"):
        main(["info", str(photo)])
