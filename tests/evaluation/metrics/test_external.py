"""Metrics by other programs: fakes on PATH for the parsing, the real ones where installed."""

import builtins
import importlib.util
import os
import re
import shutil
import sys

import numpy as np
import pytest

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import external
from rdc_jax.evaluation.metrics.external import available, measure, require

posix_only = pytest.mark.skipif(os.name != "posix", reason="the fake tools are scripts")


@pytest.fixture(scope="module")
def pictures():
    """A smooth picture and three with growing noise, uint8 [96,120,3]."""
    y, x, channel = np.meshgrid(*(np.arange(n) for n in (96, 120, 3)), indexing="ij")
    picture = 128 + 60 * np.sin(x / 9 + channel) + 50 * np.cos(y / 13)
    noise = np.random.default_rng(0).normal(0, 1, picture.shape)
    return [np.clip(np.round(picture + s * noise), 0, 255).astype(np.uint8) for s in (0, 2, 6, 18)]


@pytest.fixture
def no_tools(monkeypatch, tmp_path):
    """An empty PATH and neither package; the folder may be filled with fake tools."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    find_spec, normal_import = importlib.util.find_spec, builtins.__import__

    def find(name, *rest):
        return None if name == "ssimulacra2" else find_spec(name, *rest)

    def no_import(name, *rest, **more):
        if name == "imageio_ffmpeg":
            raise ImportError(name)
        return normal_import(name, *rest, **more)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(builtins, "__import__", no_import)
    return folder


def fake(folder, name, code):
    """A program of this Python on PATH that runs `code`."""
    file = folder / name
    file.write_text(f"#!{sys.executable} -S\nimport sys\narguments = sys.argv[1:]\n{code}\n")
    file.chmod(0o755)


FAKE_FFMPEG = """
import json, os
if arguments == ['-version']:
    print('ffmpeg version 7.1-test Copyright')
elif arguments[-1] == '-filters':
    print(' ... scale  V->V\\n .. libvmaf           VV->V      Calculate the VMAF')
else:
    assert arguments.count('120x96') == 2, arguments
    files = [arguments[i + 1] for i, a in enumerate(arguments) if a == '-i']
    assert [f.split('.')[0] for f in files] == ['decoded', 'reference'], files
    assert all(os.path.getsize(f) == 3 * 96 * 120 for f in files)
    json.dump({'frames': [{'metrics': {'vmaf': 87.25}}]}, open('vmaf.json', 'w'))
"""


@pytest.mark.usefixtures("no_tools")
def test_missing_tools_are_named(pictures):
    assert available() == {}
    for name, what in [
        ("ssimulacra2", "pip install ssimulacra2==0.3.0"),
        ("butteraugli", "libjxl-devtools"),
        ("butteraugli-3norm", "libjxl-devtools"),
        ("vmaf", "pip install imageio-ffmpeg==0.8.1"),
    ]:
        for call in (require, lambda name: measure(name, pictures[0], pictures[1])):
            with pytest.raises(RdcError, match=f"^{name} needs .*{what}"):
                call(name)


def test_an_unknown_metric_is_refused(pictures):
    with pytest.raises(RdcError, match="use ssimulacra2, butteraugli"):
        measure("fid", pictures[0], pictures[0])


@posix_only
def test_butteraugli_is_read(no_tools, pictures):
    check = "from os.path import exists\nassert exists(arguments[0]) and exists(arguments[1])\n"
    fake(no_tools, "butteraugli_main", check + "print('1.4774446487\\n3-norm: 0.349355')")
    found = available()
    assert set(found) == {"butteraugli", "butteraugli-3norm"}
    assert re.fullmatch(r"butteraugli_main \(program [0-9a-f]{8}\)", found["butteraugli"])
    assert measure("butteraugli", *pictures[:2]) == 1.4774446487
    assert measure("butteraugli-3norm", *pictures[:2]) == 0.349355


@posix_only
def test_the_ssimulacra2_program_goes_first(no_tools, pictures):
    fake(no_tools, "ssimulacra2", "assert arguments[0] == 'reference.png'\nprint('-4.55000000')")
    assert list(available()) == ["ssimulacra2"]
    assert require("ssimulacra2").startswith("ssimulacra2 (program ")
    assert measure("ssimulacra2", *pictures[:2]) == -4.55


@posix_only
def test_vmaf_is_read(no_tools, pictures):
    fake(no_tools, "ffmpeg", FAKE_FFMPEG)
    assert available() == {"vmaf": "ffmpeg 7.1-test with libvmaf"}
    assert measure("vmaf", *pictures[:2]) == 87.25


@posix_only
def test_an_ffmpeg_without_the_filter_is_passed_over(no_tools):
    fake(no_tools, "ffmpeg", "print(' ... scale  V->V')")
    assert available() == {}


@posix_only
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sys.stderr.write('one\\nbad picture\\n'); sys.exit(3)", "exit status 3: bad picture"),
        ("sys.exit(1)", "exit status 1: no message"),
        ("print('Score: good')", "printed no value"),
        ("import time; time.sleep(30)", "took more than 0.5 s"),
    ],
)
def test_a_tool_that_fails_is_one_line(no_tools, monkeypatch, pictures, code, message):
    monkeypatch.setattr(external, "TIMEOUT", 0.5 if "sleep" in code else 60.0)
    fake(no_tools, "butteraugli_main", code)
    with pytest.raises(RdcError, match=message) as caught:
        measure("butteraugli", *pictures[:2])
    assert "\n" not in str(caught.value)


@posix_only
def test_an_ffmpeg_that_writes_nothing_is_one_line(no_tools, pictures):
    fake(no_tools, "ffmpeg", FAKE_FFMPEG.replace("json.dump", "(lambda *_: None)"))
    with pytest.raises(RdcError, match="wrote no VMAF value"):
        measure("vmaf", *pictures[:2])


@posix_only
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.astype(np.float32), "uint8"),
        (lambda p: p[..., 0], "uint8"),
        (lambda p: p[:-1], "differ in shape"),
    ],
)
def test_other_images_are_refused(no_tools, pictures, change, message):
    fake(no_tools, "butteraugli_main", "print('0.0')")
    with pytest.raises(RdcError, match=message):
        measure("butteraugli", pictures[0], change(pictures[0]))


# The real tools, where they are.


def skip_without(name):
    if name not in available():
        pytest.skip(f"{name} is not installed")


def test_ssimulacra2_of_equal_images_and_of_noise(pictures):
    skip_without("ssimulacra2")
    values = [measure("ssimulacra2", pictures[0], p) for p in pictures]
    assert values[0] == pytest.approx(100.0)
    assert values == sorted(values, reverse=True)
    assert values[1] < 99.0
    assert values[3] < values[1] - 20.0


def test_ssimulacra2_of_a_tiny_image_is_refused(pictures):
    skip_without("ssimulacra2")
    with pytest.raises(RdcError, match=r"8 pixels|failed"):
        measure("ssimulacra2", pictures[0][:7], pictures[1][:7])


@pytest.mark.parametrize("name", ["butteraugli", "butteraugli-3norm"])
def test_butteraugli_of_equal_images_and_of_noise(pictures, name):
    skip_without(name)
    values = [measure(name, pictures[0], p) for p in pictures]
    assert values[0] == 0.0
    assert values == sorted(values)
    assert values[3] > values[1] + 0.5


def test_vmaf_of_equal_images_and_of_noise(pictures):
    skip_without("vmaf")
    values = [measure("vmaf", pictures[0], p) for p in pictures]
    assert 95.0 < values[0] <= 100.0
    assert values[0] >= values[1] > values[2] > values[3]
    assert 0.0 <= values[3] < 90.0


def test_descriptions_name_the_tool():
    for name, description in available().items():
        assert description == require(name)
        if name == "ssimulacra2" and not shutil.which("ssimulacra2"):
            assert description == "ssimulacra2 0.3.0 (PyPI, NumPy)"
