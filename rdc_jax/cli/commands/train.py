"""`rdc train`: runs the training loop with a config file and key=value changes."""

import ast
import difflib
import importlib.util
import os
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_collections

from rdc_jax.codec import compilation_cache
from rdc_jax.errors import RdcError

INTERRUPTED = 130  # Ctrl-C
PACKAGE, MODULE = "rdc_configs", "loaded_config"  # what a config file is imported as


def run(args: Namespace) -> int:
    config = load_config(args.config)
    for override in args.overrides:
        apply_override(config, override)
    if args.aot:
        from rdc_jax.training.cost import aot

        print(aot.compile_ahead(config, args.aot))
        return 0
    import jax

    from rdc_jax.training import train
    from rdc_jax.training.cluster import distributed
    from rdc_jax.training.cluster.interrupts import TRY_AGAIN, Terminated

    if distributed.settings(os.environ) is None:
        compilation_cache.enable()
    else:
        compilation_cache.enable_for_several_hosts(config.workdir)
    try:
        folder = train.train(config)
        if jax.process_index() == 0:
            print(folder)
        return 0
    except KeyboardInterrupt:
        what, code = "interrupted", INTERRUPTED
    except Terminated:
        what, code = "terminated", TRY_AGAIN
    if jax.process_index() == 0:
        print(
            f"rdc: {what}; the same command continues from the last checkpoint in {config.workdir}",
            file=sys.stderr,
        )
    return code


def load_config(location: str) -> ml_collections.ConfigDict:
    """The config that get_config(VARIANT) of a Python file returns; location is PATH[:VARIANT]."""
    path, variant = location, ""
    if not Path(path).is_file():
        path, _, variant = location.rpartition(":")
    if not Path(path).is_file():
        raise RdcError(f"no config file '{path or location}'")
    module = load_module(path)
    if not hasattr(module, "get_config"):
        raise RdcError(f"the config file '{path}' has no function get_config")
    try:
        return module.get_config(variant) if variant else module.get_config()
    except ValueError as error:
        raise RdcError(f"{path}: {error}") from error


def load_module(path: str) -> ModuleType:
    """The config file as a module of a package made of its folder: siblings import relatively."""
    for name in [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]  # the siblings of a config of another folder
    sys.modules[PACKAGE] = package = ModuleType(PACKAGE)
    package.__path__ = [str(Path(path).resolve().parent)]
    spec = importlib.util.spec_from_file_location(f"{PACKAGE}.{MODULE}", path)
    if spec is None:
        raise RdcError(f"the config file '{path}' must be Python and end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        if not (error.name or "").startswith(PACKAGE):
            raise
        raise RdcError(
            f"the config file '{path}' imports a file that is not beside it, such as defaults.py"
        ) from error
    return module


def apply_override(config: ml_collections.ConfigDict, override: str) -> None:
    """Changes one existing setting in place; override is "dotted.key=value"."""
    key, equals, text = override.partition("=")
    if not equals:
        raise RdcError(f"cannot read the setting '{override}'; write key=value")
    *sections, leaf = key.split(".")
    node: Any = config
    for part in (*sections, leaf):
        if not isinstance(node, ml_collections.ConfigDict) or part not in node:
            close = difflib.get_close_matches(key, setting_names(config), n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise RdcError(f"the config has no setting '{key}'{hint}")
        parent, node = node, node[part]
    if isinstance(node, ml_collections.ConfigDict):
        raise RdcError(
            f"'{key}' is a section; change its settings, such as {key}.{next(iter(node))}"
        )
    parent[leaf] = parse_value(key, text, node)


def setting_names(config: ml_collections.ConfigDict, prefix: str = "") -> list[str]:
    """The dotted names of all settings."""
    names = []
    for key, value in config.items():
        nested = isinstance(value, ml_collections.ConfigDict)
        names += setting_names(value, f"{prefix}{key}.") if nested else [prefix + key]
    return names


def parse_value(key: str, text: str, current: Any) -> Any:
    """Parses a setting.

    Args:
        key: Its dotted name, for messages.
        text: The value as text.
        current: The current value, which determines the type.
    """
    if isinstance(current, str):
        return text
    kind = type(current)
    try:
        value = {"true": True, "false": False}.get(text.lower(), text)
        value = ast.literal_eval(text) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        value = None
    if isinstance(current, tuple | list) and isinstance(value, tuple | list):
        if not current or all(_fits(v, current[0]) for v in value):
            return kind(value)
    elif current is None or _fits(value, current):
        return kind(value) if current is not None else value
    name = {int: "a whole number", float: "a number", bool: "true or false"}.get(
        kind, f"a {kind.__name__} such as {current}"
    )
    raise RdcError(f"the setting '{key}' must be {name}, not '{text}'")


def _fits(value: Any, current: Any) -> bool:
    if isinstance(current, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(current)
