"""The report as a headless browser shows it, if there is one."""

import shutil

import numpy as np
import pytest

from rdc_jax.evaluation.report import html_report
from tests.evaluation.report.browser import Browser

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture
def browser(tmp_path):
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None or shutil.which("bash") is None:
        pytest.skip("no Chromium to show the page in")
    browser = Browser(program, tmp_path / "profile")
    yield browser
    browser.close()


def test_the_page_works_in_a_browser(results, load, tmp_path, browser):
    path = tmp_path / "report.html"
    path.write_text(html_report.page(results, load), encoding="utf-8")
    for width, dark in ((1280, False), (390, True), (320, False)):
        browser.open(path.as_uri(), width, dark=dark)
        assert browser.value("document.scrollingElement.scrollWidth <= innerWidth"), width
        assert browser.value("[...document.images].every((i) => i.naturalWidth === 40)")
        widths = "new Set([...document.querySelectorAll('.maps img')].map((i) => i.offsetWidth))"
        assert browser.value(f"{widths}.size === 1")
    assert not browser.complaints
    assert not [url for url in browser.requests if not url.startswith(("file:", "data:"))]

    split = "getComputedStyle(document.querySelector('.stage')).getPropertyValue('--split')"
    browser.value("document.querySelector('.stage input').focus()")
    assert browser.value(split) == "50%"
    browser.key("ArrowRight", 39)
    assert browser.value(split) == "51%"
    place = browser.value(
        "document.querySelector('.stage').scrollIntoView();"
        "(({x, y, width, height}) => [x, y, width, height])"
        "(document.querySelector('.stage').getBoundingClientRect())"
    )
    x, y, width, height = place
    for kind, share in (("mousePressed", 0.5), ("mouseMoved", 0.25), ("mouseReleased", 0.25)):
        browser.mouse(kind, x + share * width, y + height / 2)
    assert 22 <= float(browser.value(split).rstrip("%")) <= 28

    choose = (
        "(() => { const choice = document.querySelector('.right-choice'); "
        "choice.selectedIndex = 2; choice.dispatchEvent(new Event('input', {bubbles: true})); "
        "return [...document.querySelectorAll('.facts-table tr')].slice(0, 3)"
        ".map((row) => [...row.children].map((cell) => cell.textContent)); })()"
    )
    assert browser.value(choose) == [
        ["", "left: original", "right: jpeg <i>"], ["setting", "–", "60"], ["bytes", "–", "30"]
    ]  # fmt: skip
    enlarge = "document.querySelector('.size').selectedIndex = 2; document.querySelector('.size')"
    browser.value(f"{enlarge}.dispatchEvent(new Event('input', {{bubbles: true}}))")
    assert browser.value("document.querySelector('.stage').offsetWidth") == 80
    assert browser.value("document.scrollingElement.scrollWidth <= innerWidth")
    browser.value("document.querySelector('.chart').focus()")
    browser.key("ArrowRight", 39)
    tip = browser.value("document.getElementById('tip').textContent")
    assert tip == "rdc tau 0: 26.00 at 0.1 bpp, setting 40"


def test_a_wide_report_scrolls_inside_its_tables(results, tmp_path, browser):
    for each in results["points"]:
        each["metrics"] |= {f"a metric with a long name {n}": n / 7 for n in range(9)}
        each |= {"map_picture": "maps/a.png", "bits_picture": "maps/b.png"}

    def load(path):
        return np.zeros((4, 6, 3) if path.startswith("maps") else (400, 600, 3), np.uint8)

    path = tmp_path / "report.html"
    path.write_text(html_report.page(results, load), encoding="utf-8")
    width_of = "document.querySelector('{}').getBoundingClientRect().width"
    for width in (1280, 390):
        browser.open(path.as_uri(), width)
        assert browser.value("document.scrollingElement.scrollWidth <= innerWidth"), width
        assert browser.value("document.querySelector('.codec .scroll').scrollWidth > innerWidth")
        sizes = "[...document.querySelectorAll('.maps img')].map((image) => image.offsetWidth)"
        maps = browser.value(sizes)
        assert len(maps) == 4 and len(set(maps)) == 1
        assert maps[0] < browser.value(width_of.format(".stage")) / 2
    assert not browser.complaints
