"""`rdc detectors`: lists the detectors of --roi auto, and installs them."""

import importlib.metadata
import json
import sys
from argparse import Namespace
from typing import Any

from rdc_jax.importance import detector_files, detector_installation, detector_networks, detectors

FINDS = {
    "faces": "faces of about 10 pixels or more in an image of 960 pixels",
    "objects": "outlines of salient objects",
    "contrast": "unusual colours and detail, with a preference for the centre",
}


def run(args: Namespace) -> int:
    if args.install:
        detector_installation.install(lambda line: print(line, file=sys.stderr, flush=True))
    reports = [*map(report_on, detectors.NETWORKS), report_on_contrast()]
    for report in reports:
        print(json.dumps(report) if args.json else describe(report))
    if not args.json:
        print(libraries())
        if note := detectors.note():
            print(f"rdc: note: {note}", file=sys.stderr)
    return 0


def report_on(detector: str) -> dict[str, Any]:
    """What there is of a detector.

    Args:
        detector: "faces" or "objects".
    """
    weights, unusable = detectors.choose(detector)
    source = detector_files.SOURCES[detector]
    return {
        "name": detector,
        "finds": FINDS[detector],
        "network": source.network,
        "licence": source.licence,
        "ready": weights is not None,
        "path": None if weights is None else str(weights),
        "version": None if weights is None else detector_files.origin(weights),
        "unusable": {str(path): reason for path, reason in unusable.items()},
    }


def report_on_contrast() -> dict[str, Any]:
    """The detector that needs no network, in the form of `report_on`."""
    nothing = {"network": None, "licence": None, "path": None, "version": None, "unusable": {}}
    return {"name": "contrast", "finds": FINDS["contrast"], "ready": True} | nothing


def describe(report: dict[str, Any]) -> str:
    """A report as two or more lines."""
    lines = [f"{report['name']:<10}{report['finds']}"]
    if report["network"] is None:
        lines.append("needs no network; used with --roi contrast only")
    elif report["ready"]:
        version = report["version"] or "unknown version"
        lines.append(f"{report['path']}: {report['network']}, {version}, {report['licence']}")
    else:
        state = "not ready" if report["unusable"] else "not installed"
        lines.append(f"{state}: {report['network']}, {report['licence']}")
    lines += [f"not used: {reason}" for reason in report["unusable"].values()]
    return f"\n{'':<10}".join(lines)


def libraries() -> str:
    """The libraries that run the networks, with their versions, as one line."""
    missing, found = detector_networks.missing_libraries(), []
    for name in detector_networks.LIBRARIES:
        try:
            version = "missing" if name in missing else importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # as with onnxruntime-gpu
            version = "of unknown version"
        found.append(f"{name} {version}")
    return f"{'libraries':<10}{', '.join(found)}"
