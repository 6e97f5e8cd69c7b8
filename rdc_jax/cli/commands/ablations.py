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

from rdc_jax.cli.commands.train import apply_override, load_config
from rdc_jax.codec import compilation_cache
from rdc_jax.diffusion.losses import PIXEL_RANGE
from rdc_jax.entropy.entropy_model import STEP_BITS
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.distortion import psnr
from rdc_jax.evaluation.rate_distortion import bd_metric, bd_rate, monotone_part
from rdc_jax.evaluation.report.results import hardware, image_files, table
from rdc_jax.images import atomic_write, read_image
from rdc_jax.importance import shapes
from rdc_jax.model_folder import codec_model
from rdc_jax.model_folder.codec_model import downsampling_of
from rdc_jax.models import lpips, lpips_weights
from rdc_jax.models.autoencoder import LATENT_GAIN
from rdc_jax.models.hyperprior import silence_threshold

VARIANTS = {
    "control": dict(stage="entropy"),
    "no timestep": dict(stage="entropy", blind_to="timestep"),
    "no importance": dict(stage="entropy", blind_to="importance"),
    "uniform": dict(stage="diffusion"),
    "gaussian": dict(stage="diffusion", gaussian_noise=True),
}
STEPS = (1, 2, 4, 8, 16)
TAUS = (0.25, 0.5, 0.75, 1.0)
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
    config = load_config(args.config)
    for override in args.overrides:
        apply_override(config, override)
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
    """Trains a variant unless it is trained already; returns its model folder."""
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
            measured["pictures"][path.name] = measure_image(codec, distance, path, args.qualities)
            atomic_write(kept, json.dumps(measured).encode(), overwrite=True)
    values: dict[str, list[float]] = {}
    for path in pictures:
        for key, value in measured["pictures"][path.name].items():
            values.setdefault(key, []).append(value)
    return [Effect(*key.split(" | "), *paired(found), len(found)) for key, found in values.items()]


def measure_image(
    codec: dict[str, Any], distance: Any, path: Path, qualities: list[float]
) -> dict[str, float]:
    """The differences of one image, means over the qualities.

    Args:
      codec: Codecs by the name of their variant.
      distance: (original, decoded) -> LPIPS.
      path: The image.
      qualities: The qualities.

    Returns:
      Differences by "what | against | unit".
    """
    pixels = read_image(path).pixels
    mask = shapes.centre(*pixels.shape[:2])
    latent = codec["control"].analyse(pixels)  # every variant has the same autoencoder
    curves: dict[str, list[tuple[int, float]]] = {}
    one_timestep, gaussian = [], []
    for quality in qualities:
        files = {n: c.encode(pixels, quality=quality, importance=mask) for n, c in codec.items()}
        shown = ("base", "rounding", "uniform", "gaussian")
        error = {n: psnr(pixels, codec[n].decode(files[n], tau=0.0)) for n in shown}
        for name in ("no timestep", "no importance", "control"):
            error[name] = latent_psnr(codec[name], latent, files[name])
        for name, data in files.items():
            curves.setdefault(name, []).append((len(data), error[name]))
        one = psnr(pixels, told_one_timestep(codec["base"], files["base"]))
        one_timestep.append(one - error["base"])
        gaussian.append(error["gaussian"] - error["uniform"])
    found = {
        "denoiser: one timestep | one per pixel | dB": float(np.mean(one_timestep)),
        "denoiser: trained on Gaussian noise | uniform | dB": float(np.mean(gaussian)),
    }
    found |= at_equal_bytes(curves)
    found |= sampled(codec["base"], distance, pixels, mask, qualities[len(qualities) // 2])
    return found


def at_equal_bytes(curves: dict[str, list[tuple[int, float]]]) -> dict[str, float]:
    """Bjontegaard differences of (bytes, dB) curves; curves without overlap are omitted."""
    found = {}
    for what, test, against, anchor in (
        ("entropy model: no timestep", "no timestep", "told both", "control"),
        ("entropy model: no importance", "no importance", "told both", "control"),
        ("quantiser: rounding", "rounding", "universal", "base"),
    ):
        try:
            pair = [monotone_part(*zip(*curves[name], strict=True)) for name in (anchor, test)]
            found[f"{what} | {against} | dB at equal bytes"] = bd_metric(*pair).value
            found[f"{what} | {against} | % BD-rate"] = bd_rate(*pair).value
        except RdcError:  # no overlap or too few qualities: the table then has fewer images
            pass
    return found


def latent_psnr(coder: Any, latent: np.ndarray, data: bytes) -> float:
    """PSNR in dB of the best linear estimate of a latent [h,w,C] from a file.

    The autoencoder is nearly orthonormal, so the squared error of a latent is about that of the
    image.
    """
    _, coded, conditions = coder.decode_latent(data)
    entropy, levels = coder.entropy, conditions.levels[: conditions.height, : conditions.width]
    step = entropy.step_fixed[conditions.timesteps][levels] * (entropy.latent_unit / 2**STEP_BITS)
    ratio = coded.scale / step
    weight = 1.0 / (1.0 + 1.0 / (12.0 * ratio**2))
    weight[np.log2(ratio) < silence_threshold(entropy.skipped_scales)] = 0.0
    estimate = coded.mean + weight * (coded.yhat - coded.mean)
    square = float(np.mean(np.square(estimate - latent))) * latent.shape[-1]
    factor = PIXEL_RANGE / (LATENT_GAIN * downsampling_of(coder.model.config))
    return 10.0 * math.log10(255.0**2 / (square * factor**2))


def told_one_timestep(base: Any, data: bytes) -> np.ndarray:
    """The faithful image of a denoiser that receives the map's mean timestep everywhere."""
    header, coded, conditions = base.decode_latent(data)
    inside = conditions.levels[: conditions.height, : conditions.width]
    mean = round(float(np.mean(conditions.timesteps[inside])))
    timesteps = np.full_like(conditions.timesteps, mean)
    conditions = dataclasses.replace(conditions, timesteps=timesteps)
    return base.reconstruct(header, coded, conditions, tau=0.0)


def sampled(
    base: Any, distance: Any, pixels: np.ndarray, mask: np.ndarray, quality: float
) -> dict[str, float]:
    """(e) and (f) at one quality: differences to one step and to tau 0."""
    data = base.encode(pixels, quality=quality, importance=mask)
    module, first = base.module, base.decode(data, tau=0.0)
    start = psnr(pixels, first), distance(pixels, first)
    found: dict[str, float] = {}

    def compare(what: str, against: str, image: np.ndarray) -> None:
        found[f"{what} | {against} | dB"] = psnr(pixels, image) - start[0]
        found[f"{what} | {against} | LPIPS"] = distance(pixels, image) - start[1]

    base.module = None  # to use the base's own sampler
    for clock in ("proportional", "clamped"):
        for steps in STEPS[1:]:
            image = base.decode(data, tau=1.0, steps=steps, clock=clock)
            compare(f"sampler: {steps} steps, {clock}", "one step", image)
    base.module = module
    for tau in TAUS if module is not None else ():
        compare(f"module: tau {tau:g}", "tau 0", base.decode(data, tau=tau))
    return found


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
