"""The run of smoke size that several tests start, and what it wrote."""

import json

from configs import tiny


def smoke_config(workdir, **changes):
    """The smoke config with a U-Net of one level, which compiles sooner."""
    config = tiny.get_config("smoke")
    config.model.unet.update(channels=(16,), heads=(0,))
    config.workdir = str(workdir)
    config.update_from_flattened_dict(changes)
    return config


def saved_steps(workdir):
    return {int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit()}


def metrics_of(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
