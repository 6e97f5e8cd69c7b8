"""`rdc train`: runs the training loop with a config file and key=value changes."""

import importlib.util
import inspect
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import ml_collections

from rdc_jax.cli.commands import config_overrides
from rdc_jax.codec import compilation_cache
from rdc_jax.errors import RdcError

INTERRUPTED = 130  # Ctrl-C
PACKAGE, MODULE = "rdc_configs", "loaded_config"  # what a config file is imported as


def run(args: Namespace) -> int:
    config = configured(args.config, args.overrides)
    if args.aot:
        from rdc_jax.training.cost import aot

        print(aot.compile_ahead(config, args.aot))
        return 0
    if args.describe:
        from rdc_jax.training import describe

        print(describe.describe(config))
        return 0
    import jax

    from rdc_jax.training import check_config, train
    from rdc_jax.training.cluster import distributed
    from rdc_jax.training.cluster.interrupts import TRY_AGAIN, Terminated

    config = check_config.checked(config)
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


def configured(location: str, overrides: Sequence[str]) -> ml_collections.ConfigDict:
    """The config of a command, with the changes of its command line, locked.

    Args:
        location: See `load_config`.
        overrides: See `config_overrides.apply_overrides`.
    """
    config = load_config(location)
    config_overrides.apply_overrides(config, overrides)
    return config.lock()


def load_config(location: str) -> ml_collections.ConfigDict:
    """The config that get_config(VARIANT) of a Python file returns; location is PATH[:VARIANT]."""
    path, variant = location, ""
    if not Path(path).is_file():
        path, _, variant = location.rpartition(":")
    if not Path(path).is_file():
        raise RdcError(f"no config file '{path or location}'")
    module = load_module(path)
    if not callable(getattr(module, "get_config", None)):
        raise RdcError(f"the config file '{path}' has no function get_config")
    arguments = [variant] if variant else []
    try:
        inspect.signature(module.get_config).bind(*arguments)
    except TypeError as error:
        wrong = f"does not take a variant such as '{variant}'" if variant else "needs :VARIANT"
        raise RdcError(f"get_config of '{path}' {wrong}") from error
    try:
        config = module.get_config(*arguments)
    except ValueError as error:
        raise RdcError(f"{path}: {error}") from error
    if not isinstance(config, ml_collections.ConfigDict):
        kind = type(config).__name__
        raise RdcError(f"get_config of '{path}' must return a ConfigDict, not a {kind}")
    return config


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
    except SyntaxError as error:
        raise RdcError(f"{error.filename}, line {error.lineno}: {error.msg}") from error
    except ImportError as error:
        if not (error.name or "").startswith(PACKAGE):
            raise
        raise RdcError(
            f"the config file '{path}' imports a file that is not beside it, such as defaults.py"
        ) from error
    return module
