"""The last line of `rdc encode` and `rdc decode` for several files: what was done, in all."""

from collections.abc import Iterable
from typing import Any

from rdc_jax.cli import sizes
from rdc_jax.evaluation.report.sizes import size_text


def of_reports(reports: Iterable[dict[str, Any]], seconds: float) -> str:
    """One line on all files of a command.

    Args:
        reports: Of the files. One with "error" failed, one with "skipped" was there already. Of
            the others, "bytes" is the size of the `.rdc` file; one with "input_bytes" was encoded.
        seconds: Duration of the command.
    """
    reports = list(reports)
    done = [report for report in reports if not report.keys() & {"error", "skipped"}]
    parts = [f"{len(done)} file{'s' * (len(done) != 1)}"]
    coded = sum(report["bytes"] for report in done)
    encoded = [report for report in done if "input_bytes" in report]
    if encoded:
        before = [report["input_bytes"] for report in encoded]
        pixels = sum(report["width"] * report["height"] for report in encoded)
        parts[0] += f": {size_text(coded) if None in before else sizes.change(sum(before), coded)}"
        parts.append(f"{8 * coded / pixels:.3f} bits per pixel")
    elif done:
        parts[0] += f": {size_text(coded)} decoded"
    parts.append(duration(seconds))
    for kind, words in (("skipped", "existed already"), ("error", "failed")):
        if count := sum(kind in report for report in reports):
            parts.append(f"{count} {words}")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """8.3 s, 42 s, 3 min 5 s or 2 h 10 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
