"""A photo with alpha in the studio: coded, shown, measured and saved with it."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageCms

from rdc_jax.codec.metadata_sections import extras_of
from rdc_jax.images import read_image
from tests.web.studio.studio_client import as_png, left_half, sent_mask

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def opened(data):
    """Pixels as they are in a PNG file, its mode, its profile."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture), picture.mode, picture.info.get("icc_profile")


@pytest.fixture(scope="module")
def alpha():
    """A hole in the middle with soft edges, uint8 [72,100]."""
    y, x = np.mgrid[:72, :100]
    return np.clip(25 * (np.hypot(x - 50, y - 36) - 20), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def holed(pixels, alpha):
    """The PNG file of a photo with a hole and a profile; loud colours nobody sees are in it."""
    loud = np.where(alpha[..., None] > 0, pixels, np.uint8([255, 0, 255]))
    file = io.BytesIO()
    Image.fromarray(np.dstack([loud, alpha])).save(file, "PNG", icc_profile=PROFILE)
    return file.getvalue()


@pytest.fixture
def known(client, holed):
    return client.json("/photo", holed)


def decoded(client, **asked):
    status, content, headers = client.ask("/decode", {"tau": 0, "steps": 1} | asked)
    assert status == 200, content
    return opened(content), headers


def test_the_stage_shows_what_is_coded_with_alpha_and_profile(client, known, holed, alpha):
    assert known["alpha"] is True
    found, mode, profile = opened(client.ask(f"/photo/{known['photo']}")[1])
    assert mode == "RGBA" and profile == PROFILE
    coded = read_image(io.BytesIO(holed), keep_alpha=True)
    assert np.array_equal(found, np.dstack([coded.pixels, alpha]))


def test_a_grey_photo_with_alpha_stays_grey(client, pixels, alpha):
    grey = np.dstack([pixels[..., 0], alpha])
    photo = client.json("/photo", as_png(grey))
    found, mode, _ = opened(client.ask(f"/photo/{photo['photo']}")[1])
    assert photo["grey"] and mode == "LA" and np.array_equal(found[..., 1], alpha)
    file = client.json("/encode", {"photo": photo["photo"]})["file"]
    assert decoded(client, file=file)[0][1] == "LA"


def test_file_and_decoded_png_are_those_of_the_commands(client, counting, known, holed, alpha):
    coded = client.json("/encode", {"photo": known["photo"], "quality": 60})
    picture = read_image(io.BytesIO(holed), keep_alpha=True)
    data = counting._codec.encode(picture.pixels, quality=60, extras=extras_of(picture))
    assert client.ask("/file", {"file": coded["file"]})[1] == data
    assert coded["alpha"] is True and coded["bytes"] == len(data) == sum(coded["parts"].values())
    assert coded["parts"]["alpha"] > 100
    (found, mode, profile), _ = decoded(client, file=coded["file"])
    assert mode == "RGBA" and profile == PROFILE and np.array_equal(found[..., 3], alpha)
    assert np.array_equal(found[..., :3], counting._codec.decode(data, tau=0.0, steps=1))

    again = client.json("/open", data)
    assert again["alpha"] is True and again["parts"] == coded["parts"]
    (saved, mode, _), _ = decoded(client, file=again["file"])
    assert mode == "RGBA" and np.array_equal(saved, found)


def test_a_target_size_counts_alpha(client, known):
    large = client.json("/encode", {"photo": known["photo"], "quality": 95})
    target = large["parts"]["alpha"] + 0.5 * (large["bytes"] - large["parts"]["alpha"])
    coded = client.json("/encode", {"photo": known["photo"], "target_kb": target / 1000})
    assert coded["bytes"] <= target and coded["note"] == ""
    assert coded["parts"]["alpha"] == large["parts"]["alpha"]


def test_errors_count_as_much_as_they_are_seen(client, known, holed, alpha):
    asked = {"photo": known["photo"], "quality": 20, "mask": left_half()}
    file = client.json("/encode", asked)["file"]
    (found, _, _), headers = decoded(client, file=file)
    figures = json.loads(headers["Rdc-Figures"])
    original = read_image(io.BytesIO(holed), keep_alpha=True).pixels.astype(float)
    errors = ((original - found[..., :3]) ** 2).mean(-1)
    by_hand = 10 * np.log10(255**2 / (np.sum(alpha * errors) / np.sum(alpha.astype(float))))
    assert figures["psnr"] == pytest.approx(by_hand, abs=1e-3)
    assert figures["psnr_inside"] > figures["psnr"] > figures["psnr_outside"]
    nothing = np.zeros((16, 16, 4), np.uint8)
    photo = client.json("/photo", as_png(nothing))["photo"]
    file = client.json("/encode", {"photo": photo, "mask": left_half()})["file"]
    _, headers = decoded(client, file=file)
    assert json.loads(headers["Rdc-Figures"])["psnr"] is None


def test_what_is_fully_transparent_is_not_important(client, known, alpha, monkeypatch):
    seen = []
    encode = type(client.server.RequestHandlerClass.bench._codec._codec).encode
    monkeypatch.setattr(
        "rdc_jax.codec.codec.Codec.encode",
        lambda *args, importance, **more: (
            seen.append(importance) or encode(*args, importance=importance, **more)
        ),
    )
    asked = {"photo": known["photo"]}
    client.json("/encode", asked | {"mask": sent_mask(np.full((36, 50), 255))})
    assert np.array_equal(seen[0], np.where(alpha > 0, 255, 0))
    only_the_hole = np.zeros((36, 50))
    only_the_hole[16:20, 23:27] = 255
    coded = client.json("/encode", asked | {"mask": sent_mask(only_the_hole)})
    assert seen[1] is None and coded["importance"] is None
    suggested = client.ask("/mask", asked | {"kind": "center", "columns": 100, "rows": 72})[1]
    mask = np.frombuffer(suggested, np.uint8).reshape(72, 100)
    assert mask.max() == 255 and mask[alpha == 0].max() == 0
    clear = client.json("/photo", as_png(np.zeros((16, 16, 4), np.uint8)))["photo"]
    asked = {"photo": clear, "kind": "center", "columns": 4, "rows": 4}
    _, mask, headers = client.ask("/mask", asked)
    assert not any(mask) and "none of it is visible" in headers["Rdc-Figures"]
