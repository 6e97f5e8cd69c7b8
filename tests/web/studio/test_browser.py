"""The studio's page in Chromium, driven by Playwright; both are optional and only used here."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from rdc_jax.bitstream import container
from rdc_jax.importance import detectors
from tests.web.studio.studio_client import as_png, from_png

pytestmark = [
    pytest.mark.slow,
    # Playwright leaves its pipes to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_a_photo_is_dropped_painted_coded_compared_and_saved(page, large):
    page.drop("holiday.png", as_png(large))
    assert page.count("/encode") == page.count("/decode") == 1
    plain = page.figure("bytes")
    assert page.figure("important") is None and page.figure("PSNR").endswith(" dB")

    page.page.locator("#keep").uncheck()
    page.paint()
    assert page.count("/encode") == 2 and page.figure("bytes") != plain
    assert page.figure("important").endswith(" dB")

    page.set("tau", 0.25)
    page.set("steps", 2)
    for tau in ("0.3", "0.7", "0.25"):  # quickly: only the last counts
        page.page.locator("#tau").fill(tau)
    page.settled()
    assert page.count("/encode") == 2 and page.count("/decode") <= 8  # two for the live preview

    page.choose("Compare")
    handle = page.page.locator("#split")
    stage = page.page.locator("#stage").bounding_box()
    middle = stage["y"] + stage["height"] / 2
    page.page.mouse.move(stage["x"] + stage["width"] / 2, middle)
    page.page.mouse.down()
    page.page.mouse.move(stage["x"] + 0.25 * stage["width"], middle, steps=4)
    page.page.mouse.up()
    assert int(handle.get_attribute("aria-valuenow")) == pytest.approx(25, abs=1)
    for key, at in (("ArrowRight", 27), ("Shift+ArrowLeft", 17), ("End", 100), ("Home", 0)):
        handle.press(key)
        assert int(handle.get_attribute("aria-valuenow")) == pytest.approx(at, abs=1)
    for view in ("Bits", "Map"):
        page.choose(view)
        assert page.page.locator("#after-image").get_attribute("src").startswith("data:")
    page.choose("1:1")
    assert page.page.locator("#stage").bounding_box()["width"] == large.shape[1]
    page.choose("Fit")

    name, data = page.saved("#save-file")
    header, _ = container.unpack(data)
    assert name == "holiday.rdc" and f"{len(data):,}" == page.figure("bytes")
    assert (header.default_tau, header.default_steps) == (64, 2)
    name, picture = page.saved("#save-image")
    assert name == "holiday_decoded.png" and from_png(picture).shape == large.shape

    page.drop("again.rdc", data)
    page.more()
    assert "default steps" in page.page.locator("#header").inner_text()
    assert page.page.locator("#undo").is_disabled() and page.figure("PSNR") is None
    assert page.page.locator("#tau").input_value() == "0.25"
    assert np.array_equal(from_png(page.saved("#save-image")[1]), from_png(picture))


def test_masks_are_found_undone_and_painted_by_keys(page, monkeypatch):
    def find(pixels):
        mask = np.zeros(pixels.shape[:2], np.float32)
        mask[: len(mask) // 2] = 1
        return detectors.Found(mask, "1 face (fake)")

    monkeypatch.setattr(detectors, "find", find)
    page.page.locator("#empty .demo").click()
    page.settled()
    sent = []
    page.page.on(
        "request",
        lambda r: r.url.endswith("/encode") and sent.append(json.loads(r.post_data)["mask"]),
    )
    for button, painted in (("#auto", True), ("#center", True), ("#undo", True), ("#clear", False)):
        page.page.locator(button).click()
        page.settled()
        assert (sent[-1] is not None) is painted, button
    assert sent[0] == sent[2] != sent[1]
    page.page.locator("#paint").press("ArrowLeft")
    page.page.locator("#paint").press("Space")
    page.settled()
    assert sent[-1] is not None
    page.page.locator("#tools label", has_text="Erase").click()
    page.page.locator("#size").fill("80")
    page.page.locator("#soft").fill("0")
    page.page.locator("#paint").press("Space")
    page.settled()
    assert sent[-1] is None
    page.page.keyboard.press("Control+z")
    page.settled()
    assert sent[-1] is not None


def share_of_checks(page, scheme):
    """Of the middle of the stage but for the line: how much shows the checkerboard alone."""
    with Image.open(io.BytesIO(page.page.locator("#stage").screenshot())) as shot:
        shown = np.asarray(shot.convert("RGB")).astype(int)
    h, w = shown.shape[:2]
    rows = slice(round(0.36 * h), round(0.42 * h))  # above the handle of the line
    sides = (slice(round(0.4 * w), w // 2 - 4), slice(w // 2 + 4, round(0.6 * w)))
    colours = {"light": ((255,) * 3, (207, 207, 202)), "dark": ((44, 44, 47), (69, 69, 73))}[scheme]
    shares = [
        [(abs(shown[rows, side] - colour).max(-1) <= 1).mean() for colour in colours]
        for side in sides
    ]
    return np.min(shares), np.min(np.sum(shares, 1))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_transparency_is_seen_on_both_sides_and_in_an_opened_file(page, large, scheme):
    page.page.emulate_media(color_scheme=scheme)
    page.drop("opaque.png", as_png(large))
    assert page.figure("bytes of alpha") is None and page.figure("PSNR") is not None
    assert share_of_checks(page, scheme)[1] < 0.1
    y, x = np.mgrid[:320, :480]
    alpha = np.clip(8 * (np.hypot(x - 240, y - 160) - 80), 0, 255).astype(np.uint8)
    page.drop("hole.png", as_png(np.dstack([large, alpha])))
    least, both = share_of_checks(page, scheme)
    assert least > 0.25 and both > 0.9
    # The decoded picture's own, or the original would shine through it.
    look = "() => getComputedStyle(document.querySelector('#after')).backgroundImage"
    assert "conic" in page.page.evaluate(look)
    assert page.figure("PSNR, visible").endswith(" dB") and page.figure("PSNR") is None
    size = int(page.figure("bytes of alpha").replace(",", ""))
    assert 0 < size < int(page.figure("bytes").replace(",", ""))
    _, picture = page.saved("#save-image")
    with Image.open(io.BytesIO(picture)) as saved:
        assert np.array_equal(np.asarray(saved)[..., 3], alpha)
    page.drop("again.rdc", page.saved("#save-file")[1])
    least, both = share_of_checks(page, scheme)
    assert least > 0.25 and both > 0.9 and page.figure("bytes of alpha") is not None


def test_what_damage_leaves_is_shown_with_a_note_that_stays(page, codec, large):
    data = bytearray(codec.encode(large, resilient=True))
    data[-400] ^= 1
    page.drop("scratched.rdc", bytes(data))
    problem = page.page.locator("#problem")
    assert page.text("#note") == "the file is damaged: 1 of 4 tiles is filled in"
    page.set("tau", 0.25)
    assert "tiles is filled in" in page.text("#note") and page.figure("decoded in")
    page.page.locator("#save-file").click()
    page.page.wait_for_function("() => /TILES/.test(document.querySelector('#problem').innerText)")
    page.expected_refusal()
    page.drop("whole.png", as_png(large))
    assert not problem.is_visible() and not page.text("#note")
    assert page.figure("PSNR") is not None


def test_the_size_is_chosen_and_what_is_wrong_is_one_line(page, large):
    page.page.locator("#file").set_input_files(
        {"name": "p.png", "mimeType": "image/png", "buffer": as_png(large)}
    )
    page.settled()
    page.page.locator("#coding label:has([value=target])").click()
    plain = int(page.figure("bytes").replace(",", ""))
    page.set("target", 0.9 * plain / 1000)
    assert 0.8 * plain < int(page.figure("bytes").replace(",", "")) <= 0.9 * plain
    page.set("target", "")
    problem = page.page.locator("#problem")
    assert problem.inner_text() == "Target size in kB must be a number from 0.01 to 100,000"
    page.expected_refusal()
    page.set("target", 0.95 * plain / 1000)
    assert not problem.is_visible()
    page.drop("broken.rdc", b"\x9dRDC")
    assert problem.inner_text().startswith("'broken.rdc' cannot be opened: ")
    assert "truncated" in problem.inner_text() or "cut" in problem.inner_text()
    page.expected_refusal()
    page.page.locator("#live").uncheck()
    encoded = page.count("/encode")
    page.set("gain", 100)
    assert page.count("/encode") == encoded
    page.page.locator("#go").click()
    page.settled()
    assert page.count("/encode") == encoded + 1
