"""`rdc eval`: measures codecs on a folder of images and writes tables, curves and a report."""

import datetime
import shlex
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rdc_jax.cli import output_folder, region_masks
from rdc_jax.cli.jax_start import start_jax
from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.errors import RdcError
from rdc_jax.evaluation import (
    benchmark_run,
    coders,
    comparison,
    feature_files,
    run_files,
)
from rdc_jax.evaluation.machine import hardware, usable_cores
from rdc_jax.evaluation.metrics import metric_set, set_distances
from rdc_jax.evaluation.metrics.metric_names import NETWORK_OF_SET_METRIC
from rdc_jax.evaluation.report import html_report, text_summary
from rdc_jax.evaluation.timing import median_seconds
from rdc_jax.images import atomic_write, read_image
from rdc_jax.images.image_folder import image_files
from rdc_jax.importance import detectors

OURS = "rdc"
TFDS = "tfds:"
CENTER = "center"  # --masks
DEFAULT_METRICS = ["psnr-rgb", "ms-ssim-rgb", "lpips-alex"]
INCOMPLETE = 2  # exit code when something was skipped


def run(args: Namespace) -> int:
    check(args)
    folder = Path(args.out)
    output_folder.check_place(folder)
    images = find_images(args.data, folder, args.limit)
    wanted = DEFAULT_METRICS if args.metrics is None else args.metrics
    metrics, missing = metric_set.choose(wanted)
    extractors, unavailable_sets = set_distances.choose(wanted, args.inception)
    missing |= unavailable_sets
    sets = sorted(name for name in wanted if name not in missing and name in NETWORK_OF_SET_METRIC)
    model = LazyCodec(args.model, args.fusion)
    start_jax()
    compared, unavailable = choose_coders(model, args)
    check_anchors(args.anchors, compared)
    conditions = conditions_of(args.masks, sorted(metrics) + sets)
    results = earlier_results(folder, images, compared, conditions)
    results["skipped"] += [{"what": name, "reason": reason} for name, reason in missing.items()]
    results["skipped"] += unavailable
    results |= facts(model)
    if OURS in args.codecs:
        results["timings"] = timings(model, read_first(images), args)
    options = benchmark_run.Options(
        masks=partial(mask_of, args.masks),
        conditions=conditions,
        shown=args.shown,
        workers=args.jobs or usable_cores(),
        observe=partial(feature_files.write, extractors, folder),
    )
    benchmark_run.run(results, folder, images, compared, metrics, options)
    if not results["points"]:
        raise RdcError(f"nothing could be measured: {results['skipped'][0]['reason']}")
    results["curves"] = comparison.curves(results["points"])
    feature_files.add_to_curves(results, folder, sets)
    comparison.summarise(results, args.anchors, args.method, args.window)
    run_files.write(folder, results)
    write_report(folder, results)
    print(text_summary.summary(results))
    print(f"{folder / 'report.html'}")
    for item in results["skipped"]:
        print(f"rdc: skipped {item['what']}: {item['reason']}", file=sys.stderr)
    # A metric that nobody asked for may be missing: LPIPS needs a package of its own.
    optional = set(missing) if args.metrics is None else set()
    asked = [item for item in results["skipped"] if item["what"] not in optional]
    return INCOMPLETE if asked else 0


def conditions_of(masks: str | None, metrics: list[str]) -> str:
    """Text that changes with masks and metrics, and so with every figure."""
    by_networks = masks in detectors.DETECTORS and masks != "contrast"
    if masks == "auto" and not detectors.installed():
        raise RdcError(detectors.note())
    found_by = f" by {detectors.installed()}" if by_networks else ""
    return f"{masks}{found_by} {metrics}"


def earlier_results(
    folder: Path, images: list[Path], compared: list[coders.Coder], conditions: str
) -> dict[str, Any]:
    """The results of an earlier run in this folder, as far as they are still valid.

    If some are not, the file is first copied to results.before.json.

    Args:
        folder: The folder of the run.
        images: The images of this run.
        compared: The codecs of this run.
        conditions: Text that changes with masks and metrics.
    """
    results = run_files.read(folder / "results.json")
    before = {image["name"]: image for image in results["images"]}
    removed = benchmark_run.keep(results, images, compared, conditions)
    for image in results["images"]:
        before.pop(image["name"])
    for name, image in before.items():
        feature_files.forget(folder, benchmark_run.name_of_files({"images": [image]}, name))
    if removed:
        earlier = folder / "results.before.json"
        atomic_write(earlier, (folder / "results.json").read_bytes(), overwrite=True)
        print(
            f"rdc: {removed} results of other images, codecs, models, masks or settings are "
            f"removed; they stay in '{earlier}'",
            file=sys.stderr,
        )
    return results


def facts(model: LazyCodec) -> dict[str, Any]:
    """When, how and on what the results were measured."""
    return {
        "date": datetime.date.today().isoformat(),
        "command": shlex.join(["rdc", *sys.argv[1:]]),
        "hardware": hardware(),
        "model": {"name": model.model.name, "id": model.model.model_id.hex()},
    }


def write_report(folder: Path, results: dict[str, Any]) -> None:
    """Writes DIR/report.html."""
    shown = [image["name"] for image in results["images"] if "picture" in image]
    page = html_report.page(results, lambda name: (folder / name).read_bytes(), images=shown)
    (folder / "report.html").write_text(page, encoding="utf-8", errors="backslashreplace")


def check(args: Namespace) -> None:
    """Raises RdcError for values that argparse accepts but that have no meaning."""
    if args.data is None:
        raise RdcError("no images to measure: give --data FOLDER")
    if args.window is not None and not (
        len(args.window) == 2 and 0 < args.window[0] < args.window[1]
    ):
        raise RdcError("--window takes two increasing rates, such as 0.1,0.8")
    if args.masks is not None and args.masks not in (*detectors.DETECTORS, CENTER):
        image_files(args.masks)
    for option, values, most in (("--qualities", args.qualities, 100), ("--taus", args.taus, 1)):
        if not values or not all(0 <= value <= most for value in values):
            raise RdcError(f"{option} takes numbers from 0 to {most}, separated by commas")


def check_anchors(anchors: list[str], compared: list[coders.Coder]) -> None:
    """Raises RdcError for an anchor that is neither a curve nor a classical codec."""
    known = [curve for coder in compared for curve in coder.decodes]
    for anchor in anchors:
        if anchor not in known and anchor not in coders.names():
            raise RdcError(f"no curve '{anchor}' for --anchors; choose from {', '.join(known)}")


def choose_coders(
    model: LazyCodec, args: Namespace
) -> tuple[list[coders.Coder], list[dict[str, str]]]:
    """The codecs to compare, and entries of "skipped" for those that are not installed."""
    compared, skipped = [], []
    for name in args.codecs:
        try:
            compared.append(ours(model, args) if name == OURS else coders.classical(name))
        except RdcError as error:
            if name not in coders.names():
                known = ", ".join([OURS, *coders.names()])
                raise RdcError(f"unknown codec '{name}'; choose from {known}") from None
            skipped.append({"what": name, "reason": str(error)})
        if name == OURS and args.masks is not None:
            compared.append(ours(model, args, even=True))
    return compared, skipped


def find_images(data: str, folder: Path, limit: int | None) -> list[Path]:
    """The images to measure.

    Args:
        data: A folder of images, or "tfds:NAME/SPLIT", whose images are first written to
            DIR/originals.
        folder: DIR, the folder of the run.
        limit: Largest number of images; None for all.
    """
    if not data.startswith(TFDS):
        return image_files(data, limit)
    from rdc_jax.data.tfds_source import TfdsSource

    name, _, split = data.removeprefix(TFDS).rpartition("/")
    if not name:
        raise RdcError(f"'{data}' names no split; write tfds:NAME/SPLIT, as in tfds:clic/test")
    source = TfdsSource(name, split)
    originals = folder / "originals"
    for number in range(len(source))[:limit]:
        file = originals / f"{number:05d}.png"
        if not file.exists():
            run_files.write_png(file, source[number]["image"])
    return image_files(originals, limit)


def ours(model: LazyCodec, args: Namespace, even: bool = False) -> coders.Coder:
    """Our codec, with one file per quality and one curve per tau.

    Args:
        model: The model.
        args: The arguments of the command.
        even: Whether to ignore the masks.
    """

    def encode(pixels, quality, mask):
        mask = None if even else mask
        gain = {} if args.roi_gain is None else {"roi_gain": args.roi_gain}
        data, report = model.codec.encode(
            pixels, quality=quality, importance=mask, return_report=True, **gain
        )
        return coders.Coded(data, report.section_bytes["importance"], report.bits_map)

    def decode(tau, data):
        return np.asarray(model.codec.decode(data, tau=tau, steps=args.steps))

    name = f"{OURS} even" if even else OURS
    decodes = {f"{name} tau {tau:g}": partial(decode, tau) for tau in args.taus}
    parts = model.model.model_id.hex(), getattr(model.module, "identity", None)
    identity = f"{parts} {args.steps} {args.roi_gain}"
    return coders.Coder(name, args.qualities, "rdc", encode, decodes, False, identity)


def mask_of(masks: str | None, path: Path, pixels: np.ndarray) -> np.ndarray | None:
    """The mask of an image.

    Args:
        masks: "center", a detector, a folder of masks, or None for no mask.
        path: The image; its mask in a folder is named like it, with or without its extension.
        pixels: uint8 [h,w,3].

    Returns:
        float32 [h,w] in [0,1], or None, also if "auto" finds nothing.
    """
    if masks is None:
        return None
    if masks in (*detectors.DETECTORS, CENTER):
        return region_masks.region_of(masks, [], pixels).mask
    files = image_files(masks)
    for name in (path.name, path.stem):  # a.png.png is the mask of a.png, but not of a.jpg
        for file in files:
            if file.stem == name:
                return region_masks.region_of(str(file), [], pixels).mask
    raise RdcError(f"no mask named '{path.stem}' in '{masks}'")


def read_first(images: list[Path]) -> np.ndarray | None:
    """Pixels of the first readable image, or None."""
    for path in images:
        try:
            return read_image(path).pixels
        except RdcError:
            continue
    return None


def timings(model: LazyCodec, pixels: np.ndarray | None, args: Namespace) -> dict[str, float]:
    """Seconds a user waits: for loading, for first calls (with compilation) and for later calls.

    Args:
        model: The model.
        pixels: An image, uint8 [h,w,3]; None for no timings.
        args: The arguments of the command.

    Returns:
        Seconds by name.
    """
    if pixels is None:
        return {}
    found = {"load": median_seconds(lambda: model.codec, 1, warm_up=0)}
    codec, quality = model.codec, args.qualities[len(args.qualities) // 2]
    found["first encode"] = median_seconds(lambda: codec.encode(pixels, quality=quality), 1, 0)
    data = codec.encode(pixels, quality=quality)
    for name, tau in [(f"tau {tau:g}", tau) for tau in args.taus]:
        decode = partial(codec.decode, data, tau=tau, steps=args.steps)
        found[f"first decode, {name}"] = median_seconds(decode, 1, warm_up=0)
        found[f"decode, {name}"] = median_seconds(decode, 3, warm_up=0)
    found["encode"] = median_seconds(lambda: codec.encode(pixels, quality=quality), 3, warm_up=0)
    return found
