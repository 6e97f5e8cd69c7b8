"""`rdc eval ablations`: what each part of the method contributes, with paired intervals.

    rdc eval ablations --config configs/tiny.py --data EVAL_PHOTOS init_from=tiny data.path=PHOTOS

Small variants of a trained model, including a control, are trained for the same number of steps in
the same order, so that no difference comes from training time. Then real files are compared image
by image, each with a centred ellipse as its map:

    (a) entropy model not told the timestep      bytes at equal error, against the control
    (b) entropy model not told the importance    bytes at equal error, against the control
    (c) denoiser told one timestep, the mean     PSNR of the same file, against a timestep per pixel
    (d) denoiser trained on Gaussian noise       PSNR of the same file, against uniform noise
        rounding around the mean, no dither      PSNR at equal bytes, against universal quantisation
    (e) clocks, 1 to 16 sampler steps            PSNR and LPIPS of the same file, against one step
    (f) the fusion module's tau                  PSNR and LPIPS of the same file, against tau 0

For (a) and (b), bytes at the same quality setting are not comparable: an entropy model with smaller
scales skips more elements, which saves bits but shows in the image. The error of the image is not
comparable either: the denoiser receives the prior and was trained with another one, which costs
some images several dB, including those of the control. So the error is that of the best linear
estimate of the latent, which needs no network. "At equal ..." is a Bjontegaard difference over the
qualities, in dB and as BD-rate. For a single image the former is more stable, because where a curve
is flat, a little PSNR is worth many bytes.
"""

import dataclasses
import datetime
import functools
import json
import math
import time
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np
from tqdm import tqdm

from rdc_jax.cli import ablation_effects
from rdc_jax.cli.commands.train import configured
from rdc_jax.codec import compilation_cache
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.machine import hardware
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.images import atomic_write
from rdc_jax.images.image_folder import image_files
from rdc_jax.model_folder import codec_model
from rdc_jax.models import lpips, lpips_weights

VARIANTS = {
    "control": dict(stage="entropy"),
    "no timestep": dict(stage="entropy", blind_to="timestep"),
    "no importance": dict(stage="entropy", blind_to="importance"),
    "uniform": dict(stage="diffusion"),
    "gaussian": dict(stage="diffusion", gaussian_noise=True),
}
FINE_TUNING = dict(muon_learning_rate=1e-3, adam_learning_rate=3e-4, decay_fraction=0.5)


class Effect(NamedTuple):
    """A paired difference: the mean over images and the half-width of the 95 % interval."""

    what: str
    against: str
    unit: str
    mean: float
    interval: float
    pictures: int


def run(args: Namespace) -> int:
    config = configured(args.config, args.overrides)
    if not config.init_from:
        raise RdcError("ablations start from a trained model: give init_from=MODEL")
    pictures, started = image_files(args.data, args.limit), time.monotonic()
    compilation_cache.enable()
    folders = {name: variant(config, name, settings, args) for name, settings in VARIANTS.items()}
    effects = measure(config.init_from, folders, pictures, args)
    print(report(effects))
    out = Path(args.out)
    results = {
        "date": datetime.date.today().isoformat(),
        "hardware": hardware(),
        "init_from": config.init_from,
        "model_id": codec_model.load(config.init_from).model_id.hex(),
        "steps": {"entropy": args.entropy_steps, "diffusion": args.diffusion_steps},
        "pictures": [path.name for path in pictures],
        "qualities": args.qualities,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "effects": [effect._asdict() for effect in effects],
    }
    atomic_write(out / "ablations.json", json.dumps(results, indent=1).encode(), overwrite=True)
    print(out / "ablations.json")
    return 0


def variant(
    config: ml_collections.ConfigDict, name: str, settings: dict[str, Any], args: Namespace
) -> Path:
    """Trains a variant unless it is trained already.

    Args:
        config: Config of the trained model.
        name: Name of the variant.
        settings: Its entry in VARIANTS.
        args: The arguments of the command.

    Returns:
        The variant's model folder.
    """
    from rdc_jax.training import train

    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.stage = settings["stage"]
        config.workdir = str(Path(args.out) / "variants" / name.replace(" ", "_"))
        config.training.update(FINE_TUNING)
        config.training.total_steps = getattr(args, f"{config.stage}_steps")
        config.training.blind_to = settings.get("blind_to", "")
        config.training.gaussian_noise = settings.get("gaussian_noise", False)
        config.training.update(
            reference="", judge_every=-1
        )  # its results are not used and take minutes
    folder = Path(config.workdir) / "model"
    if (folder / "manifest.json").is_file():
        return folder
    print(f"training '{name}': stage {config.stage}, {config.training.total_steps} steps")
    return train.train(config)


def measure(
    init_from: str, folders: dict[str, Path], pictures: list[Path], args: Namespace
) -> list[Effect]:
    """All differences; the results of every image are kept in DIR/measured.json.

    Args:
        init_from: The trained model.
        folders: Model folders of the variants by name.
        pictures: The images.
        args: The arguments of the command.
    """
    from rdc_jax.codec import codec as codecs

    codec = {name: codecs.load(folder, fusion="none") for name, folder in folders.items()}
    codec["base"] = codecs.load(init_from)
    codec["rounding"] = codecs.load(init_from, fusion="none")
    codec["rounding"].entropy = dataclasses.replace(codec["rounding"].entropy, dither=False)
    distance = functools.partial(lpips.measure_lpips, lpips_weights.load("alexnet"))
    kept = Path(args.out) / "measured.json"
    setting = {
        "models": {name: coder.model.model_id.hex() for name, coder in codec.items()},
        "steps": [args.entropy_steps, args.diffusion_steps],
        "qualities": args.qualities,
    }
    measured = json.loads(kept.read_text()) if kept.is_file() else {}
    if measured.get("setting") != setting:
        measured = {"setting": setting, "pictures": {}}
    for path in tqdm(pictures, unit="image"):
        if path.name not in measured["pictures"]:
            measured["pictures"][path.name] = ablation_effects.measure_image(
                codec, distance, path, args.qualities
            )
            atomic_write(kept, json.dumps(measured).encode(), overwrite=True)
    values: dict[str, list[float]] = {}
    for path in pictures:
        for key, value in measured["pictures"][path.name].items():
            values.setdefault(key, []).append(value)
    return [Effect(*key.split(" | "), *paired(found), len(found)) for key, found in values.items()]


def paired(values: list[float]) -> tuple[float, float]:
    """Mean and half-width of Student's 95 % interval, infinite for fewer than two values."""
    from scipy import stats

    if len(values) < 2:
        return float(np.mean(values)), math.inf
    deviation = np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values)), float(stats.t.ppf(0.975, len(values) - 1) * deviation)


def report(effects: list[Effect]) -> str:
    """The effects as a table; the last column says whether the interval excludes zero."""
    rows = [
        (e.what, e.against, f"{e.mean:+.3g} {e.unit}", f"{e.interval:.2g}", e.pictures,
         "yes" if abs(e.mean) > e.interval else "no")
        for e in effects
    ]  # fmt: skip
    return table(("variant", "against", "difference", "+-", "images", "clear"), rows)
