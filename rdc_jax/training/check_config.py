"""The one place that checks the config of a run, before anything is compiled or written.

    config = check_config.checked(config)

Single values are compared with the table of settings. The functions below it compare settings with
each other. What needs the images, the devices or stored weights is checked where those are opened.
"""

import difflib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_collections

from rdc_jax.errors import RdcError
from rdc_jax.models.networks import Networks
from rdc_jax.training import setting_table
from rdc_jax.training.setting_checks import whole
from rdc_jax.training.setting_table import CLOSED_SECTIONS, LEFT_OUT, REQUIRED, Row
from rdc_jax.training.tasks import codec_task, initialization
from rdc_jax.training.tasks.task import Task
from rdc_jax.training.validation import held_out, run_validation

WHERE = "take it from configs/defaults.py"


def checked(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The config of a run: complete, with ~ replaced by the home folder, and locked.

    Args:
        config: As a config file returns it, with the changes of the command line. It stays as it
            is.

    Raises:
        RdcError: a setting or a section is missing, unknown or out of range, or two settings
            contradict each other. The message names them.
    """
    config = config.copy_and_resolve_references().unlock()
    check_sections(config)
    stage = setting_table.RUN["stage"]
    check_value("stage", config.get("stage", None), stage)
    of_codec = config.stage in codec_task.STAGES
    rows = setting_table.RUN | (setting_table.OF_CODEC if of_codec else setting_table.OF_FUSION)
    check_settings(config, rows)
    check_names(config)
    check_network_numbers(config)
    for setting in setting_table.PATHS:
        expand_home(config, setting)
    held_out.crop_side(config)
    run_validation.check_cadence(config.training)
    if config.training.keep_best and not run_validation.validates(config):
        raise RdcError(
            "training.keep_best needs validation: data.held_out and training.sample_every above 0"
        )
    if config.restore_step >= 0 and not config.restore_from:
        raise RdcError("restore_step is a step of another run; name its workdir as restore_from")
    if of_codec:
        check_networks(config)
    return config.lock()


def check_sections(config: ml_collections.ConfigDict) -> None:
    """Raises RdcError unless the sections that every run needs exist."""
    for name in (*CLOSED_SECTIONS, "model"):
        if not isinstance(config.get(name, None), ml_collections.ConfigDict):
            raise RdcError(f"the config has no section '{name}'; {WHERE}")


def check_settings(config: ml_collections.ConfigDict, rows: Mapping[str, Row]) -> None:
    """Checks every setting by its row, and adds those that earlier versions did not have.

    Args:
        config: To be checked and completed.
        rows: Of the table, by the dotted name of the setting.
    """
    for name, row in rows.items():
        *sections, leaf = name.split(".")
        node = config
        for section in sections:
            node = node.get(section, None)
            if not isinstance(node, ml_collections.ConfigDict):
                needed = f"stage={config.stage} needs {name}"
                raise RdcError(f"the config has no section '{section}', and {needed}; {WHERE}")
        if leaf in node:
            check_value(name, node[leaf], row)
        elif row.default == REQUIRED:
            raise RdcError(
                f"the config has no setting '{name}', which stage={config.stage} needs; {WHERE}"
            )
        elif row.default != LEFT_OUT:
            node[leaf] = row.default


def check_value(name: str, value: Any, row: Row) -> None:
    """Raises RdcError unless the value of a setting is what its row says."""
    if wanted := row.check(value):
        raise RdcError(f"{name} must be {wanted}, not {value!r}")


def check_names(config: ml_collections.ConfigDict) -> None:
    """Raises RdcError for a setting that nothing reads, such as a slip in a config file."""
    known = setting_table.RUN | setting_table.OF_CODEC | setting_table.OF_FUSION
    for section in CLOSED_SECTIONS:
        for name, _ in leaves(config[section], section):
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise RdcError(f"there is no setting '{name}'{hint}")


def check_network_numbers(config: ml_collections.ConfigDict) -> None:
    """Raises RdcError for a number that no network takes: negative sizes, nan and inf."""
    for section in setting_table.SECTIONS_OF_NETWORKS:
        for name, value in leaves(config.get(section, {}), section):
            for item in value if isinstance(value, tuple | list) else [value]:
                if isinstance(item, float) and not math.isfinite(item):
                    raise RdcError(f"{name} must be finite, not {value!r}")
                if type(item) is int and (wanted := whole(0)(item)):
                    raise RdcError(f"{name} must be {wanted}, not {value!r}")


def leaves(section: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted names and values of all settings below a section."""
    if not isinstance(section, Mapping | ml_collections.ConfigDict):
        yield prefix, section
        return
    for name, value in section.items():
        yield from leaves(value, f"{prefix}.{name}")


def expand_home(config: ml_collections.ConfigDict, setting: str) -> None:
    """Replaces a leading ~, which a shell leaves alone in `workdir=~/runs`."""
    *sections, leaf = setting.split(".")
    node = config
    for section in sections:
        node = node[section]
    if not node.get(leaf, "").startswith("~"):
        return
    try:
        node[leaf] = str(Path(node[leaf]).expanduser())
    except RuntimeError as error:  # ~name of a user who does not exist
        raise RdcError(
            f"{setting}={node[leaf]} names no user's home folder; for a folder of that name, write "
            f"./{node[leaf]}"
        ) from error


def check_networks(config: ml_collections.ConfigDict) -> None:
    """Raises RdcError unless the `model` section describes networks."""
    with initialization.errors_of_networks("model"):
        networks = Networks.from_config(config.model.to_dict())
    pixels = networks.downsampling
    if config.model.cell_size % pixels:
        raise RdcError(
            f"model.cell_size must be a multiple of the {pixels} pixels that a pixel of the latent "
            f"spans, not {config.model.cell_size}"
        )


def check_crops(task: Task) -> None:
    """Raises RdcError for crops that the networks or the importance map do not fit.

    task: made from a checked config, with the `model` section of its base.
    """
    config, networks = task.config, task.networks
    of_all = codec_task.coarsest_stride(networks, denoiser=True, entropy_model=True)
    sides = {
        "data.crop_size": (config.data.crop_size, task.coarsest_stride),
        "data.validation_size": (held_out.crop_side(config), of_all),
    }
    for name, (size, stride) in sides.items():
        multiple = math.lcm(config.model.cell_size, networks.downsampling * stride)
        if size % multiple:
            raise RdcError(f"{name} must be a multiple of {multiple} for this model, not {size}")
