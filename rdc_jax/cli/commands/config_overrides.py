"""Settings of the command line: key=value changes one setting of a config.

Values are parsed by ml_collections.config_flags, so they mean what they mean in other JAX
projects: numbers, true and false, tuples such as "(8, 16)" or 8,16. `--config.key=value` is the
same as key=value.
"""

import ast
import difflib
from collections.abc import Sequence
from typing import Any

import ml_collections

from rdc_jax.errors import RdcError

NAME = "config"
KINDS = {int: "a whole number", float: "a number", bool: "true or false"}


def apply_overrides(config: ml_collections.ConfigDict, overrides: Sequence[str]) -> None:
    """Changes existing settings in place.

    Args:
        config: To be changed.
        overrides: "dotted.key=value", in any order; of two for the same key the last one counts.

    Raises:
        RdcError: an override names no setting, or its value is of another type.
    """
    last = {}
    for override in overrides:
        key, equals, text = override.removeprefix(f"--{NAME}.").partition("=")
        if not equals:
            raise RdcError(f"cannot read the setting '{override}'; write key=value")
        last[key] = text
    for key, text in last.items():
        current = value_of(config, key)
        value = parsed(config, key, text)
        if not fits(value, current):
            raise RdcError(f"the setting '{key}' must be {kind_of(current)}, not '{text}'")
        config.update_from_flattened_dict({key: value})


def value_of(config: ml_collections.ConfigDict, key: str) -> Any:
    """The value of a setting. Raises RdcError, with the nearest name, where there is none."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, ml_collections.ConfigDict) or part not in node:
            close = difflib.get_close_matches(key, setting_names(config), n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise RdcError(f"the config has no setting '{key}'{hint}")
        node = node[part]
    if isinstance(node, ml_collections.ConfigDict):
        example = next(iter(setting_names(node, f"{key}.")), "")
        advice = f"change its settings, such as {example}" if example else "change the config file"
        raise RdcError(f"'{key}' is a section; {advice}")
    return node


def setting_names(config: ml_collections.ConfigDict, prefix: str = "") -> list[str]:
    """The dotted names of all settings."""
    names = []
    for key, value in config.items():
        nested = isinstance(value, ml_collections.ConfigDict)
        names += setting_names(value, f"{prefix}{key}.") if nested else [prefix + key]
    return names


def parsed(config: ml_collections.ConfigDict, key: str, text: str) -> Any:
    """The value of a setting that `text` stands for, as config_flags reads it.

    Args:
        config: Has the setting, whose type counts. It stays as it is.
        key: The dotted name of the setting.
        text: The value as text.

    Raises:
        RdcError: the text is of another type.
    """
    from absl import flags
    from ml_collections import config_flags

    arguments, values = ["rdc", f"--{NAME}.{key}={text}"], flags.FlagValues()
    current = value_of(config, key)
    try:
        if current is None or isinstance(current, list):  # config_flags has no parser for them
            value = ast.literal_eval(text)
            if current is not None and not isinstance(value, list):
                raise ValueError
            return value
        defined = config_flags.DEFINE_config_dict(
            NAME, config.copy_and_resolve_references(), flag_values=values, sys_argv=arguments
        )
        values(arguments)
        return values[defined.name].override_values[key]
    except (flags.Error, ValueError, TypeError, SyntaxError) as error:
        raise RdcError(f"the setting '{key}' must be {kind_of(current)}, not '{text}'") from error


def fits(value: Any, current: Any) -> bool:
    """Whether the elements of a sequence are like those it has now; True for other values."""
    if not isinstance(current, tuple | list) or not current:
        return True
    kinds = int | float if isinstance(current[0], float) else type(current[0])
    return all(
        isinstance(item, kinds) and isinstance(item, bool) == isinstance(current[0], bool)
        for item in value
    )


def kind_of(current: Any) -> str:
    """What a value must be that takes the place of the current one, in words."""
    if current is None:
        return "a Python literal"
    return KINDS.get(type(current), f"a {type(current).__name__} such as {current}")
