"""The page while the codec works: progress, Cancel, and that nothing old stays or jumps."""

import time

import numpy as np
import pytest

from tests.web.studio.studio_client import as_png
from tests.web.studio.studio_page import PATIENCE

pytestmark = [
    pytest.mark.slow,
    # Playwright leaves its pipes to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

WATCH = """() => {
  window.places = new Set();
  const look = () => {
    const boxes = ["header", ".bar", "#pane", "#stage", "#figures", "#controls"].map((name) => {
      const { x, y, width } = document.querySelector(name).getBoundingClientRect();
      return `${name} ${x} ${y} ${width}`;
    });
    window.places.add(boxes.join("; "));
    requestAnimationFrame(look);
  };
  look();
}"""


CHANGE = """([name, value]) => {
  const input = document.getElementById(name);
  input.value = value;
  input.dispatchEvent(new Event("input"));
}"""


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "this never happened"
        time.sleep(0.02)


def test_the_share_is_shown_and_work_is_cancelled(wide, counting, large):
    counting.held = {"encode"}
    wide.drop_only("holiday.png", as_png(large))
    wide.page.wait_for_function("() => document.querySelector('#percent').textContent === '42 %'")
    assert wide.text("#doing") == "Encoding"
    assert wide.page.locator("#share").evaluate("bar => bar.value") == pytest.approx(0.42)
    assert wide.page.locator("#save-file").is_disabled()
    assert wide.page.locator("#save-image").is_disabled()
    wide.page.locator("#cancel").click()
    wide.settled()
    until(lambda: counting.inside == 0)  # the codec itself has stopped
    assert wide.text("#problem") == "" and wide.page.locator("#save-file").is_disabled()
    counting.held = set()
    assert wide.text("#go") == "Encode"
    wide.page.locator("#go").click()
    wide.settled()
    assert wide.figure("coded") and not wide.page.locator("#go").is_visible()

    counting.held = {"reconstruct"}
    wide.page.locator("#tau").fill("0.3")
    wide.page.wait_for_function("() => /Decoding/.test(document.querySelector('#busy').innerText)")
    wide.page.locator("#cancel").click()
    wide.settled()
    assert wide.text("#go") == "Decode"
    counting.held = set()
    wide.page.locator("#go").click()
    wide.settled()
    assert wide.page.locator("#save-image").is_enabled() and wide.count("/encode") == 2


def test_a_newer_change_stops_the_work_on_an_older_one(wide, counting, large):
    wide.drop("holiday.png", as_png(large))
    counting.held = {"encode"}
    wide.page.locator("#quality").fill("20")
    until(lambda: counting.inside == 1)
    wide.page.locator("#quality").fill("80")
    until(lambda: counting.calls.count("encode") == 3)
    counting.held = set()
    wide.settled()
    assert wide.figure("quality") == "80" and wide.text("#problem") == ""


def test_nothing_of_the_last_photo_stays(wide, counting, large):
    wide.drop("holiday.png", as_png(large))
    wide.paint()
    wide.choose("Compare")
    first = wide.page.locator("#before").get_attribute("src")
    counting.held = {"encode"}
    waiting = []
    wide.page.route("**/photo/*", lambda route: waiting.append(route))
    wide.drop_only("other.png", as_png(large[::-1]))
    wide.page.wait_for_function("() => document.querySelector('#name').textContent === 'other.png'")
    assert wide.page.locator("#before").get_attribute("src") != first
    hidden = "() => getComputedStyle(document.querySelector('#before')).visibility"
    assert wide.page.evaluate(hidden) == "hidden"
    assert not wide.page.locator("#after").is_visible()
    assert wide.figure("coded") is None and wide.figure("PSNR") is None
    assert wide.text("#found") == "" and wide.page.locator("#undo").is_disabled()
    waiting[0].continue_()
    counting.held = set()
    wide.settled()
    assert wide.figure("coded")


def test_nothing_jumps_when_work_begins_and_ends(page, large):
    page.drop("holiday.png", as_png(large))
    page.page.evaluate(WATCH)
    for name, value in (("quality", 30), ("tau", 0.3)):  # Playwright's `fill` would scroll
        page.page.evaluate(CHANGE, [name, value])
        page.settled()
    places = page.page.evaluate("() => [...window.places]")
    assert len(places) == 1, places


def test_large_photos_wait_for_the_button(wide):
    wide.drop("large.png", as_png(np.full((2001, 3000, 3), 90, np.uint8)))
    assert wide.count("/photo") == 1 and wide.count("/encode") == 0
    assert wide.text("#waiting-for") == "6.0 megapixels" and wide.text("#go") == "Encode"
    assert not wide.page.locator("#live").is_checked()
    wide.page.wait_for_selector("#before", state="visible")


def test_tau_is_seen_at_once(wide, counting, large):
    wide.drop("holiday.png", as_png(large))
    assert wide.count("/decode") == 1
    wide.page.locator("#tau").focus()
    wide.settled()
    assert wide.count("/decode") == 3  # at 0 and 1 too
    counting.held = {"reconstruct"}
    wide.page.locator("#tau").fill("0.25")
    assert wide.text("#after-name") == "preview" and wide.page.locator("#preview").is_visible()
    shares = "() => ['at-zero', 'at-one'].map((id) => document.getElementById(id).style.opacity)"
    assert wide.page.evaluate(shares) == ["0.75", "0.25"]
    assert wide.page.locator("#save-image").is_disabled()
    wide.page.wait_for_function("() => /Decoding/.test(document.querySelector('#busy').innerText)")
    counting.held = set()
    wide.settled()
    wide.page.wait_for_selector("#preview", state="hidden")
    assert wide.page.locator("#save-image").is_enabled() and wide.count("/decode") == 4
    wide.page.locator("#tau").fill("1")
    wide.settled()
    assert wide.count("/decode") == 4 and wide.text("#after-name").startswith("decoded, ")
