"""Closed or full streams, odd environments: one line, never a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rdc_jax.cli.standard_streams import of_system, one_line
from tests.cli.runs import ROOT, rdc

SHELL = '"$0" -m rdc_jax "$@" '


@pytest.mark.parametrize(
    ("redirection", "arguments", "code"),
    [
        ("<&-", ["encode", "-", "-o", "OUT"], 2),
        ("<&-", ["decode", "-", "-o", "OUT"], 2),
        ("<&-", ["info", "-"], 2),
        (">&-", ["info", "CODED"], 0),
        (">&- 2>&-", ["info", "CODED"], 0),
        (">&-", ["decode", "CODED", "-o", "-", "--model", "MODEL"], 2),
        (">&-", ["decode", "CODED", "-o", "CODED.png", "--model", "MODEL"], 0),
        (">&- 2>&-", ["decode", "CODED", "-o", "CODED.out/", "--model", "MODEL"], 0),
        ("> /dev/full", ["info", "CODED"], 2),
    ],
)
def test_streams_that_are_closed_or_full(
    redirection, arguments, code, coded, models, tmp_path, cache, user_environment
):
    names = {"CODED": str(coded), "OUT": str(tmp_path / "out.png")}
    names |= {name: f"{coded}{name[5:]}" for name in ("CODED.png", "CODED.out/")}
    names["MODEL"] = str(models / "first")
    command = ["bash", "-c", SHELL + redirection, sys.executable]
    done = subprocess.run(
        [*command, *(names.get(word, word) for word in arguments)],
        cwd=ROOT, env=user_environment | {"RDC_CACHE_DIR": str(cache)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert done.stderr.startswith("rdc: error: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("platform", ["cuda", "nonsense"])
def test_a_back_end_that_cannot_start(platform, models, photo, cache, user_environment):
    environment = user_environment | {"JAX_PLATFORMS": platform}
    done = rdc(environment, cache, "encode", photo, "--model", models / "first")
    error = done.stderr.decode()
    if done.returncode == 0:
        pytest.skip(f"there is a {platform} device")
    assert done.returncode == 2 and error.count("\n") == 1, error
    assert f"JAX_PLATFORMS={platform}" in error


def test_messages_are_one_line():
    assert one_line("a  b\r\n  c\u2028d") == "a  b c d"
    assert of_system(OSError(28, "No space left on device")) == "No space left on device"
    assert of_system(FileNotFoundError(2, "No such file", "a b")) == "'a b': No such file"
