"""Size, first-load time and decode times of an exported page.

    rdc export --to web tiny SITE
    PYTHONPATH=. python benchmarks/web_page.py SITE PHOTO.rdc

Sizes are of the stored files and of the same compressed by gzip, as hosts send them. Times are of
a headless Chromium that loads SITE from this machine: once with threads, once without. CPU seconds
are those of one thread in Node.js; they hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rdc_jax.evaluation.machine import hardware
from rdc_jax.evaluation.report.text_table import table
from tests.interop.web.served import CHROMIUM, Host, Page

TAUS = ("0", "undefined")  # in JavaScript; undefined is what the file suggests
PLAIN = "plain.html"  # a page outside of the service worker, so without threads
DECODE = """(async () => {
  const { decode } = await import("./rdc.js");
  const bytes = new Uint8Array(await (await fetch("photo.rdc")).arrayBuffer());
  const milliseconds = [];
  for (let i = 0; i <= %d; i++) {
    const start = performance.now();
    await decode(bytes, { tau: %s });
    milliseconds.push(performance.now() - start);
  }
  return milliseconds.slice(1);
})()"""
PARTS = {
    "page and library": lambda name: not name.startswith(("model/", "runtime/")),
    "runtime": lambda name: name.startswith("runtime/") and "webgpu" not in name,
    "runtime for WebGPU": lambda name: name.startswith("runtime/webgpu/"),
    "model": lambda name: name.startswith("model/") and "fusion" not in name and "knob" not in name,
    "fusion module": lambda name: (
        name.startswith("model/") and ("fusion" in name or "knob" in name)
    ),
}


def sizes(site: Path) -> list[tuple[str, str, str]]:
    """Rows (part, MB, MB compressed) of the folder's parts."""
    names = json.loads((site / "manifest.json").read_bytes())["sha256"]
    rows = []
    for part, belongs in PARTS.items():
        contents = [(site / name).read_bytes() for name in names if belongs(name)]
        packed = sum(len(gzip.compress(data, 6)) for data in contents)
        rows.append((part, f"{sum(map(len, contents)) / 1e6:.2f}", f"{packed / 1e6:.2f}"))
    return rows


def chromium_seconds(address: str, repeats: int) -> dict[str, float]:
    """First load, and medians of decoding with and without threads."""
    found = {}
    for threads in (True, False):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            page = Page(CHROMIUM, profile, address)
            start = time.perf_counter()
            page.open("?src=photo.rdc" if threads else PLAIN)
            if threads:
                page.settled()
                found["first visit until the image is shown"] = time.perf_counter() - start
            count = page.browser.value("crossOriginIsolated ? navigator.hardwareConcurrency : 1")
            for tau in TAUS:
                milliseconds = page.browser.value(DECODE % (repeats, tau))
                median = statistics.median(milliseconds) / 1000
                found[f"decode, tau {tau}, {count} thread{'s' * (count > 1)}"] = median
            page.close()
    return found


def node_seconds(site: Path, photo: Path, repeats: int) -> dict[str, float]:
    """CPU seconds of one thread, for each tau."""
    script = Path(__file__).with_name("web_page.mjs")
    command = ["node", script, site.resolve(), photo.resolve(), str(repeats)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {f"CPU, {name}": statistics.median(all_) for name, all_ in json.loads(printed).items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path, help="folder of `rdc export --to web`")
    parser.add_argument("photo", type=Path, help=".rdc file of the same model")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args(arguments)
    print(hardware())
    print(table(("part", "MB", "gzip"), sizes(args.site)))
    seconds = node_seconds(args.site, args.photo, args.repeats) if shutil.which("node") else {}
    if CHROMIUM is not None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path in args.site.iterdir():
                (root / path.name).symlink_to(path.resolve())
            shutil.copy(args.photo, root / "photo.rdc")
            (root / PLAIN).write_text("<!doctype html><title>plain</title>")
            with Host(root) as host:
                seconds |= chromium_seconds(host.address, args.repeats)
    print(table(("what", "seconds"), [(name, f"{value:.2f}") for name, value in seconds.items()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
