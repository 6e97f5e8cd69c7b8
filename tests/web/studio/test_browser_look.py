"""What the page shows and says: the empty state, words, figures, outlines, targets for fingers."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from rdc_jax.evaluation.report.sizes import size_text
from rdc_jax.importance import detectors
from tests.web.studio.studio_client import as_png

pytestmark = [
    pytest.mark.slow,
    # Playwright leaves its pipes to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# Contrast of each visible outline with the ground on both of its sides, by WCAG.
CONTRASTS = """() => {
  const light = (text) => {
    const parts = text.match(/[\\d.]+/g).slice(0, 3).map((n) => n / 255)
      .map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const clear = (colour) => /, 0\\)$/.test(colour) || colour === "transparent";
  const ground = (element) => {
    while (clear(getComputedStyle(element).backgroundColor)) element = element.parentElement;
    return light(getComputedStyle(element).backgroundColor);
  };
  const found = [];
  const operable = "button:not(.face), select, .choice, .field input";
  for (const element of document.querySelectorAll(operable)) {
    if (!element.getClientRects().length) continue;
    const outline = light(getComputedStyle(element).borderTopColor);
    found.push([element.id || element.className, contrast(outline, ground(element.parentElement))]);
  }
  const probe = document.createElement("i");
  probe.style.color = "var(--edge)";
  document.querySelector("fieldset").append(probe);  // the track of a slider
  found.push(["track", contrast(light(getComputedStyle(probe).color), ground(probe))]);
  probe.remove();
  return found;
}"""

SMALL = """() => [...document.querySelectorAll(
  "button, select, summary, label:has(input), #split, .range input")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width && (box.height < 43.5 || box.width < 43.5);
  }).map((element) => element.outerHTML.slice(0, 80))"""


def test_the_empty_page_has_one_sentence_and_two_buttons(page):
    assert page.page.locator("button:visible").all_inner_texts() == [
        "Open a photo",
        "Try the demo photo",
    ]
    assert page.text("#empty p:first-child").count(".") == 1
    assert not page.page.locator("#controls, #against, .bar").first.is_visible()
    page.page.locator("#empty .demo").click()
    page.settled()
    assert page.page.locator("#controls").is_visible()
    assert not page.page.locator("#empty").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_outlines_are_seen(wide, large, scheme):
    wide.page.emulate_media(color_scheme=scheme)
    found = wide.page.evaluate(CONTRASTS)
    wide.drop("holiday.png", as_png(large))
    wide.more()
    wide.page.locator("#coding label:has([value=target])").click()
    wide.settled()
    found += wide.page.evaluate(CONTRASTS)
    assert len(found) > 15 and min(contrast for _, contrast in found) >= 3, sorted(found)


def test_everything_is_large_enough_for_a_finger(open_page, large):
    page = open_page(390, 844)
    assert page.page.evaluate(SMALL) == []
    page.drop("holiday.png", as_png(large))
    page.more()
    assert page.page.evaluate(SMALL) == []


def test_jargon_waits_behind_more_and_figures_are_plain(wide, large):
    data = as_png(large)
    wide.drop("holiday.png", data)
    shown = wide.page.locator("body").inner_text().lower()
    for word in ("gain", "steps", "bits per pixel", "psnr", "timestep"):
        assert word not in shown, word
    wide.page.locator("summary").click()
    shown = wide.page.locator("body").inner_text().lower()
    for word in ("gain", "steps", "bits per pixel", "psnr"):
        assert word in shown, word
    size = int(wide.figure("bytes").replace(",", ""))
    assert wide.figure("original") == size_text(len(data))
    assert wide.figure("coded") == size_text(size)
    assert wide.figure("that is") == f"{len(data) / size:.1f}× smaller"


def test_errors_name_the_file_and_the_field(wide, large):
    wide.drop("broken holiday ü.png", as_png(large)[:300])
    assert wide.text("#problem").startswith("'broken holiday ü.png' is a damaged image")
    wide.drop("old.rdc", b"no file of ours")
    assert wide.text("#problem").startswith("'old.rdc' cannot be opened: ")
    wide.drop("holiday.png", as_png(large))
    assert wide.text("#problem") == ""
    for name, value, label in (
        ("steps", 0, "Steps must be a number from 1 to 255"),
        ("steps", "", "Steps must be a number from 1 to 255"),
    ):
        wide.set(name, value)
        assert wide.text("#problem") == label
        label = label.split(" must")[0]
        assert wide.page.locator("#more label", has_text=label).count() == 1
    wide.expected_refusal()


def test_a_target_that_cannot_be_met_is_a_note_beside_the_result(wide, large):
    wide.drop("holiday.png", as_png(large))
    wide.page.locator("#coding label:has([value=target])").click()
    wide.set("target", 0.05)
    assert wide.text("#problem") == ""
    assert f"takes {wide.figure('coded')}, more than the 50 bytes" in wide.text("#note")
    assert wide.figure("quality") == "0" and wide.page.locator("#save-file").is_enabled()
    below = "() => document.querySelector('#figures').getBoundingClientRect().bottom <= innerHeight"
    assert wide.page.evaluate(below)  # the picture makes room for the note


def test_drawings_get_a_note(wide):
    drawn = Image.new("RGB", (400, 300), "white")
    pen = ImageDraw.Draw(drawn)
    for row in range(0, 300, 12):
        pen.text((4, row), "all work and no play makes a drawing " * 2, fill="black")
    wide.drop("page.png", as_png(np.asarray(drawn)))
    assert "looks like a drawing" in wide.text("#note") and wide.figure("coded")


def test_tau_of_a_file_does_not_stay_for_the_next_photo(wide, codec, large):
    wide.drop("old.rdc", codec.encode(large, tau=0.25, steps=3))
    assert wide.page.locator("#tau").input_value() == "0.25"
    wide.drop("holiday.png", as_png(large))
    assert wide.page.locator("#tau").input_value() == str(wide.state()["tau"])
    assert wide.page.locator("#steps").input_value() == str(wide.state()["steps"])


def test_undo_and_clear_are_enabled_when_they_do_something(wide, large):
    undo, clear = (wide.page.locator(name) for name in ("#undo", "#clear"))
    wide.drop("holiday.png", as_png(large))
    assert undo.is_disabled() and clear.is_disabled()
    wide.paint()
    assert undo.is_enabled() and clear.is_enabled()
    undo.click()
    assert undo.is_disabled() and clear.is_disabled()


def test_painting_keeps_the_size_unless_the_user_wants_otherwise(wide, large):
    wide.drop("holiday.png", as_png(large))
    plain = int(wide.figure("bytes").replace(",", ""))
    wide.paint()
    painted = int(wide.figure("bytes").replace(",", ""))
    assert 0.96 * plain <= painted <= plain
    assert wide.figure("quality") is None and float(wide.figure("quality used")) != 50
    wide.page.locator("#keep").uncheck()
    wide.settled()
    assert wide.figure("quality") == "50"
    assert not 0.96 * plain <= int(wide.figure("bytes").replace(",", "")) <= plain


def test_the_other_side_is_another_codec_at_the_same_bytes(page, large):
    page.drop("holiday.png", as_png(large))
    page.set("quality", 100)
    page.page.locator("#against").select_option("jpeg")
    page.settled()
    assert page.page.locator("#before").get_attribute("src").startswith("blob:")
    assert page.text("#before-name").startswith("JPEG, ")
    assert page.count("/compare") == 1
    page.set("quality", 90)  # another file, so another JPEG
    assert page.count("/compare") == 2 and page.text("#before-name").startswith("JPEG, ")
    page.page.locator("#against").select_option("")
    page.settled()
    assert "/photo/" in page.page.locator("#before").get_attribute("src")


def test_a_face_is_protected_by_a_click(page, large, monkeypatch, tmp_path):
    boxes = np.array([[120.0, 80.0, 60.0, 80.0], [300.0, 100.0, 50.0, 60.0]])
    choice = detectors.Choice(tmp_path / "fake.onnx", {})
    monkeypatch.setattr(detectors, "choose", lambda name: choice)
    monkeypatch.setattr("rdc_jax.importance.faces.find", lambda pixels, weights: boxes)
    page.drop("holiday.png", as_png(large))
    page.page.wait_for_selector("#found", state="visible")  # may come after the encoded file
    assert page.text("#found") == "2 faces found. Choose Paint and click one to protect it."
    page.choose("Paint")
    first, second = (page.page.locator("button.face").nth(n) for n in (0, 1))
    assert first.get_attribute("aria-label") == "Protect face 1 of 2"
    first.click()
    page.settled()
    assert page.count("/encode") == 2
    pressed = [face.get_attribute("aria-pressed") for face in (first, second)]
    assert pressed == ["true", "false"]
    assert page.page.locator("#paint").evaluate(
        "canvas => canvas.getContext('2d').getImageData(150, 120, 1, 1).data[3] > 100"
    )
    page.page.locator("#undo").click()
    assert first.get_attribute("aria-pressed") == "false"


def test_what_auto_found_is_in_plain_words_and_moves_nothing(page, large, monkeypatch):
    mask = np.zeros(large.shape[:2], np.float32)
    mask[80:160, 100:200] = 1
    found = detectors.Found(mask, "1 face (centerface) and objects (u2netp)")
    monkeypatch.setattr(detectors, "find", lambda pixels: found)
    page.drop("holiday.png", as_png(large))
    page.choose("Paint")
    place = "() => document.querySelector('#coding').getBoundingClientRect().top + scrollY"
    before = page.page.evaluate(place)
    assert page.text("#hint") and not page.text("#found")
    page.page.locator("#auto").click()
    page.settled()
    assert page.text("#found") == "Found: 1 face and objects" and not page.text("#hint")
    assert page.page.locator("#found").get_attribute("title").startswith(found.by)
    assert page.page.evaluate(place) == before


def test_without_detectors_what_is_painted_stays_and_the_command_is_named(wide, large, monkeypatch):
    nothing = detectors.Choice(None, {})
    monkeypatch.setattr(detectors, "choose", lambda name: nothing)
    wide.drop("holiday.png", as_png(large))
    wide.paint()
    encoded = wide.count("/encode")
    wide.page.locator("#auto").click()
    wide.settled()
    assert wide.text("#found") == "No detectors installed"
    assert wide.text("#install code") == "rdc detectors --install"
    assert wide.page.locator("#clear").is_enabled() and wide.count("/encode") == encoded
    assert wide.page.locator("#found").evaluate("line => line.scrollWidth <= line.clientWidth")


def test_the_size_of_an_opened_file_has_no_ratio(wide, codec, large):
    wide.drop("old.rdc", codec.encode(large))
    assert wide.figure("file") and wide.figure("original") is None
    assert wide.text("#hint") == "To paint and encode, open a photo."
    assert not wide.page.locator("#against").is_visible()
    assert io.BytesIO(wide.saved("#save-image")[1]).read(4) == b"\x89PNG"
