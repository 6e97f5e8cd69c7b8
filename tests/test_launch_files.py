"""Flags by chip, and the image of a pod."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tomllib

import pytest

from tests.launch_scripts import LAUNCH, launch

CHIPS = ("v5e", "v5litepod-256", "v5p-128", "v6e-256", "tpu7x", "gpu")


def variables(chip, **given):
    """What flags.sh prints for a chip, as a shell reads it."""
    code, output, error = launch("flags.sh", chip, **given)
    assert (code, error) == (0, "")
    return dict(word.split("=", 1) for word in shlex.split(output))


@pytest.mark.parametrize("chip", CHIPS)
def test_flags_of_a_chip_keep_those_of_the_user_at_the_end(chip):
    name = "XLA_FLAGS" if chip == "gpu" else "LIBTPU_INIT_ARGS"
    flags = variables(chip, **{name: "--mine=1 --xla_other=2"})[name].split(" ")
    assert flags[-2:] == ["--mine=1", "--xla_other=2"]
    assert all(flag.startswith("--xla_") and flag.count("=") == 1 for flag in flags[:-2])
    assert len(flags) == len(set(flags))


def test_every_flag_says_why():
    """A flag, or a group of flags, follows a comment."""
    before = ""
    for line in (LAUNCH / "flags.sh").read_text().splitlines():
        text = line.strip()
        if text.startswith(("--xla", '"XLA', '"NCCL', '"CUDA')):
            assert before.startswith(("#", "--xla", "flags+=("))
        before = text if not text.startswith(("flags+=(", "variables+=(")) else before


def test_xla_knows_the_flags_for_gpus():
    """XLA aborts at an unknown flag, on every platform."""
    source = "import jax; jax.devices()"
    for more, known in (("", True), ("--xla_gpu_no_such_flag=1", False)):
        environment = os.environ | {"JAX_PLATFORMS": "cpu"} | variables("gpu", XLA_FLAGS=more)
        done = subprocess.run(
            [sys.executable, "-c", source], env=environment, capture_output=True, check=False
        )
        assert (done.returncode == 0) == known, done.stderr


COMPILE = """
import sys
import jax, jax.numpy as jnp
from rdc_jax.training.cost.aot import topology_devices
from jax.sharding import SingleDeviceSharding
sharding = SingleDeviceSharding(topology_devices(sys.argv[1])[0])
x = jax.ShapeDtypeStruct((8, 8), jnp.float32, sharding=sharding)
jax.jit(lambda x: x @ x).lower(x).compile()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chip", "topology"),
    [("v5e", "v5e:2x4"), ("v5p", "v5p:2x2x1"), ("v6e", "v6e:2x4"), ("tpu7x", "tpu7x:2x2x1")],
)
def test_libtpu_knows_the_flags_for_tpus(chip, topology):
    pytest.importorskip("libtpu")
    for more, known in (("", True), ("--xla_tpu_no_such_flag=1", False)):
        flags = variables(chip, SLICES="2", LIBTPU_INIT_ARGS=more)
        done = subprocess.run(
            [sys.executable, "-c", COMPILE, topology], env=os.environ | flags, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) == known, done.stderr


def dockerfile():
    """(instruction, argument) of the pod image, continued lines joined."""
    text = (LAUNCH / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def test_the_image_of_a_pod_has_the_package_and_the_configs():
    instructions = dockerfile()
    assert instructions[0] == ("FROM", "python:3.12-slim")
    names = {name for name, _ in instructions}
    assert names <= {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "CMD"}
    copied = [a for n, argument in instructions if n == "COPY" for a in argument.split()[:-1]]
    assert {"configs", "rdc_jax", "pyproject.toml"} <= set(copied)
    assert all((LAUNCH.parent / path).exists() for path in copied)
    project = tomllib.loads((LAUNCH.parent / "pyproject.toml").read_text())["project"]
    (default,) = (a.removeprefix("EXTRA=") for n, a in instructions if n == "ARG")
    extras = project["optional-dependencies"]
    assert {default, "gcs", "cuda", "cuda12"} <= set(extras)
    assert project["requires-python"] == ">=3.11"  # which 3.12 is
    for file in (project["readme"], *project["license-files"]):
        assert file in copied  # setuptools reads them
    installs = [a for n, a in instructions if n == "RUN" and "pip install" in a]
    assert "[${EXTRA},gcs]" in installs[0] and "--no-deps" in installs[-1]
