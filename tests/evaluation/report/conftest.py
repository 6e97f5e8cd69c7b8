"""Results of two images and three curves with hostile names, and a loader of random images."""

import numpy as np
import pytest

from tests.evaluation.report.points import HOSTILE, point

SHAPE = (30, 40, 3)


@pytest.fixture
def results():
    images = [{"name": name, "width": 40, "height": 30} for name in ("a.png", HOSTILE)]
    points = [
        point(image["name"], codec, setting, bpp)
        for image in images
        for codec in ("rdc tau 0", "jpeg <i>")
        for setting, bpp in [(40.0, 0.1), (60.0, 0.2), (80.0, 0.4)]
    ]
    points[0] |= {"map_picture": "maps/a.png", "bits_picture": "maps/bits.png"}
    points[1] |= {"map_picture": "maps/a.png"}
    lists = {"bpp": [0.1, 0.2, 0.4], "setting": [40.0, 60.0, 80.0], "encoding_time": [1, 1, 1]}
    lists |= {"psnr-rgb": [26.0, 27.0, float("inf")], "lpips-alex": [0.3, None, 0.2]}
    bd = {"anchor": "jpeg <i>", "test": "rdc tau 0", "method": "pchip", "images": 2}
    return {
        "schema": 1, "date": "2026-11-21", "command": "rdc eval <photos>", "hardware": "one core",
        "model": {"name": "tiny", "id": "12ab"}, "images": images, "points": points,
        "curves": [{"name": name, "description": "", "results": lists}
                   for name in ("rdc tau 0", "jpeg <i>", "peer & co")],
        "bd": [bd | {"metric": "psnr-rgb", "value": -12.34, "low": 26.0, "high": 27.0},
               bd | {"metric": "lpips-alex", "value": None, "low": None, "high": None}],
        "skipped": [{"what": HOSTILE, "reason": "damaged"}],
    }  # fmt: skip


@pytest.fixture
def load(rng):
    pictures = {}

    def load(path):
        if path not in pictures:
            pictures[path] = rng.integers(0, 256, SHAPE, np.uint8)
        return pictures[path]

    return load
