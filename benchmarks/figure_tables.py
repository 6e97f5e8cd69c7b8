"""Markdown tables from the results of `figures.py`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

PSNR, MS_SSIM, LPIPS = "psnr-rgb", "ms-ssim-rgb", "lpips-alex"
FAITHFUL, REALISTIC, EVEN = "rdc tau 0", "rdc tau 1", "rdc even tau 0"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def curves_of(results: dict[str, Any]) -> dict[str, dict[str, list]]:
    """The columns of every curve, by the curve's name."""
    return {curve["name"]: curve["results"] for curve in results["curves"]}


def per_cent(value: float | None) -> str:
    """A signed BD-rate; without common quality there is none."""
    return "no overlap" if value is None else f"{value:+.1f}"


def quality_table(results: dict[str, Any]) -> str:
    """Means at every quality, at tau 0 and tau 1."""
    curves = curves_of(results)
    faithful, realistic = curves[FAITHFUL], curves[REALISTIC]
    rows = [
        (
            f"{setting:g}",
            f"{faithful['bpp'][i]:.3f}",
            f"{faithful[PSNR][i]:.2f}",
            f"{faithful[MS_SSIM][i]:.3f}",
            f"{faithful[LPIPS][i]:.3f}",
            f"{realistic[PSNR][i]:.2f}",
            f"{realistic[LPIPS][i]:.3f}",
        )
        for i, setting in enumerate(faithful["setting"])
    ]
    header = ("quality", "bpp", "PSNR, dB", "MS-SSIM", "LPIPS", "PSNR at tau 1, dB",
              "LPIPS at tau 1")  # fmt: skip
    return markdown(header, rows)


def bd_table(results: dict[str, Any]) -> str:
    """BD-rates against the classical codecs, at tau 0 and tau 1."""
    values = {(bd["anchor"], bd["test"], bd["metric"]): bd["value"] for bd in results["bd"]}
    titles = {"jpeg": "JPEG (Pillow)", "webp": "WebP", "avif": "AVIF"}
    columns = [(FAITHFUL, PSNR), (FAITHFUL, MS_SSIM), (FAITHFUL, LPIPS), (REALISTIC, PSNR),
               (REALISTIC, LPIPS)]  # fmt: skip
    rows = [
        (f"against {title}", *(per_cent(values.get((anchor, *column))) for column in columns))
        for anchor, title in titles.items()
        if any(key[0] == anchor for key in values)
    ]
    header = ("BD-rate, % (pchip, mean of images, 0.15 to 0.8 bpp)", "PSNR", "MS-SSIM", "LPIPS",
              "PSNR at tau 1", "LPIPS at tau 1")  # fmt: skip
    return markdown(header, rows)


def region_table(results: dict[str, Any]) -> str:
    """Gains of an importance map over files of the same model without one."""
    found = {bd["metric"]: bd for bd in results["bd"] if bd["test"] == FAITHFUL}
    places = ("roi/", "background/", "")
    low, high = min(curves_of(results)[EVEN]["bpp"]), max(curves_of(results)[EVEN]["bpp"])

    def gain(metric, place, digits):
        value = found[place + metric]["gain"]
        return "no overlap" if value is None else f"{value:+.{digits}f}"

    rows = [
        ("PSNR, dB", *(gain(PSNR, place, 2) for place in places)),
        ("LPIPS", *(gain(LPIPS, place, 3) for place in places)),
    ]
    for metric, name in ((PSNR, "PSNR"), (LPIPS, "LPIPS")):
        cells = [per_cent(found[place + metric]["value"]) + " %" for place in places]
        rows.append((f"bits for equal {name}", *cells))
    count = len(results["images"])
    header = (f"{count} images, equal bytes ({low:.2f} to {high:.2f} bpp)",
              "inside the mask", "outside", "whole image")  # fmt: skip
    return markdown(header, rows)


def tau_table(results: dict[str, Any]) -> str:
    """PSNR and LPIPS of three rates at five values of tau, and the BD-rate of tau 1."""
    sweeps = {
        float(name.removeprefix("rdc tau ")): curve
        for name, curve in curves_of(results).items()
        if name.startswith("rdc tau ")
    }
    taus = sorted(sweeps)
    rows = [
        (f"{bpp:.3f} bpp",
         *(f"{sweeps[tau][PSNR][i]:.2f} / {sweeps[tau][LPIPS][i]:.3f}" for tau in taus))
        for i, bpp in enumerate(sweeps[taus[0]]["bpp"])
    ]  # fmt: skip
    count = len(results["images"])
    header = (f"mean of {count} images: PSNR, dB / LPIPS", *(f"tau {t:.2f}" for t in taus))
    bd = {(bd["test"], bd["metric"]): bd for bd in results["bd"]}
    rate, loss = bd[REALISTIC, LPIPS]["value"], bd[REALISTIC, PSNR]["gain"]
    sentence = ""
    if rate is not None and loss is not None:
        sentence = (
            "\n\nAt equal LPIPS (AlexNet, a training loss of the fusion module) tau 1 needs "
            f"{abs(rate):.1f} % {'fewer' if rate < 0 else 'more'} bits than tau 0; at equal bits "
            f"it costs {-loss:.2f} dB of PSNR."
        )
    return markdown(header, rows) + sentence


def judges_table(results: dict[str, Any]) -> str:
    """Metrics on the same files: LPIPS is a training loss, DISTS and SSIMULACRA2 are not."""
    columns = {
        "psnr": ("PSNR, dB", 2), "lpips_alex": ("LPIPS (AlexNet)", 3),
        "lpips_vgg": ("LPIPS (VGG16)", 3), "dists": ("DISTS", 3), "ssimulacra2": ("SSIMULACRA2", 1),
    }  # fmt: skip
    measured = [metric for metric in columns if metric in results["settings"]["metrics"]]
    files, rows = list(results["pictures"].values()), []
    for quality in files[0]:
        bpp = statistics.mean(file[quality]["bpp"] for file in files)
        for name in files[0][quality]["shown"]:
            values = [file[quality]["shown"][name] for file in files]
            cells = (
                f"{statistics.mean(v[metric] for v in values):.{columns[metric][1]}f}"
                for metric in measured
            )
            rows.append((f"{bpp:.3f} bpp, {name}", *cells))
    titles = (columns[metric][0] for metric in measured)
    return markdown((f"{len(files)} images, equal bytes", *titles), rows)


def speed_table(results: dict[str, Any]) -> str:
    """Seconds that a user waits."""
    first, ours = results["first_call_seconds"], results["median_seconds"]["rdc"]
    rows = [("encode", f"{ours['encode']:.2f}")]
    module = results.get("module_seconds")
    if module:
        rows.append(("decode at tau 0", f"{module['tau 0']:.2f}"))
        rows.append(("decode at tau 1", f"{module['tau 1, 1 steps']:.2f}"))
    else:
        rows.append(("decode", f"{ours['decode']:.2f}"))
    rows.append(("load the model", f"{results['load_seconds']:.1f}"))
    rows += [
        (f"first {name} (networks compile once per machine)", f"{first[name]:.1f}")
        for name in ("encode", "decode")
    ]
    return markdown(("", "seconds"), rows)


def ablation_table(results: dict[str, Any]) -> str:
    """Paired differences with their intervals, below a paragraph on how they were measured."""
    rows = [
        (e["what"], e["against"], f"{e['mean']:+.3g} {e['unit']}", f"{e['interval']:.2g}",
         str(e["pictures"]), "yes" if abs(e["mean"]) > e["interval"] else "no")
        for e in results["effects"]
    ]  # fmt: skip
    steps, qualities = results["steps"], ", ".join(f"{q:g}" for q in results["qualities"])
    how = (
        f"{results['date']}, model {results['model_id']}; {results['hardware']}; "
        f"{results['minutes']:.0f} minutes. Variants of the entropy model were trained for "
        f"{steps['entropy']} steps, of the denoiser for {steps['diffusion']}; qualities "
        f"{qualities}.\n\n"
    )
    header = ("variant", "against", "difference", "+-", "images", "clear")
    return how + markdown(header, rows)
