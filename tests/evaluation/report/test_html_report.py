"""The report as one safe file."""

import html.parser
import re
import sys

import numpy as np
import pytest
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.report import html_report, image_panels
from tests.evaluation.report.points import HOSTILE, point


class Reader(html.parser.HTMLParser):
    """Collects the elements with their attributes, and the text outside script and style."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        if not self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_chapters_in_order_and_figures(results, load):
    text = Reader(html_report.page(results, load)).text
    order = ["Rate and quality: tiny", "tiny 12ab", "2026-11-21", "one core", "rdc eval <photos>",
             "What was skipped", "BD-rate", "Rate and quality", "All settings",
             "Images at about equal bytes", "Timings"]  # fmt: skip
    positions = [text.index(words, 100 if words == "Rate and quality" else 0) for words in order]
    assert positions[1:5] == sorted(positions[1:5]) and positions[5] < positions[6]
    assert positions[8] < positions[9] < positions[10]
    assert "−12.3 % 26.00 to 27.00; 2 img" in text and "no overlap" in text
    assert "PSNR (RGB), dB, inside the region" in text
    assert "40 2 15 0.1000 26.00 0.3800 30.00" in text  # a row of means
    assert "rdc tau 0 6 0.500 417 0.250 208" in text  # a row of timings
    assert "peer & co 3 settings, 0.100 to 0.400 bpp" in text  # a curve without points
    assert "40 – – 0.1000 26.00 0.3000" in text


def test_a_difference_of_one_image_says_so(results, load):
    results["bd"][0]["images"] = 1
    page = html_report.page(results, load)
    assert "−12.3 % 1 image only; 26.00 to 27.00" in Reader(page).text
    assert 'class="good"' not in page and 'class="bad"' not in page
    results["bd"][0] |= {"images": 0, "value": None}
    assert "image only" not in html_report.page(results, load)


def test_distances_between_sets_stand_beside_the_means(results, load):
    for n, curve in enumerate(results["curves"]):
        curve["results"] = curve["results"] | {"fid": [n + 40.5, n + 30.5, None]}
    text = Reader(html_report.page(results, load)).text
    assert "40 2 15 0.1000 26.00 0.3800 30.00 40.5 60 2 30" in text  # rdc tau 0
    assert "40 2 15 0.1000 26.00 0.3800 30.00 41.5 60 2 30" in text  # jpeg
    assert "80 2 60 0.4000 29.00 0.3200 30.00 –" in text
    assert "40 – – 0.1000 26.00 0.3000 – 42.5" in text  # the peer
    assert "FID/256 over bits per pixel" in html_report.page(results, load)


def test_many_settings_are_folded_but_for_the_first_codec(results, load):
    def folded(page):
        return ["open" not in more for tag, more in Reader(page).elements if tag == "details"]

    assert folded(html_report.page(results, load)) == [True, False, False, False]
    results["points"] += [
        point("a.png", codec, float(setting), setting / 100)
        for codec in ("rdc tau 0", "jpeg <i>")
        for setting in range(1, 12)
    ]
    results["skipped"] *= 13
    page = html_report.page(results, load)
    assert folded(page) == [True, True, False, True, True]  # images, skipped, codecs
    assert "jpeg <i> 14 settings, 0.0100 to 0.400 bpp" in Reader(page).text


def test_what_a_user_waits_for(results, load):
    results["timings"] = {
        "first decode, tau 0": 2.888, "decode, tau 0": 0.25, "load": 1, "first encode": 12.5,
        "<b>": float("nan"), "encode": "soon",
    }  # fmt: skip
    text = Reader(html_report.page(results, load)).text
    table = "step first call, s later calls, s load 1.00 – encode 12.5 – "
    assert f"What a user waits for {table}decode, tau 0 2.89 0.250 <b> – –" in text


@pytest.mark.parametrize("timings", [None, {}, [], "slow", 3])
def test_odd_timings_make_no_table(results, load, timings):
    results["timings"] = timings
    page = html_report.page(results, load)
    assert "waits" not in page and "Median time of a file" in page


def test_nothing_hostile_comes_through(results, load):
    reader = Reader(html_report.page(results, load))
    tags = [tag for tag, _ in reader.elements]
    assert tags.count("script") == 1 and "i" not in tags
    for tag, attributes in reader.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert tag not in ("link", "iframe", "object", "base")
        if "src" in attributes:
            assert re.match(r"data:image/(webp|png);base64,[A-Za-z0-9+/=]+$", attributes["src"])
    assert reader.text.count(HOSTILE) >= 2


def test_the_page_asks_nobody(results, load):
    page = html_report.page(results, load)
    assert not re.search(r"https?:|@import|url\(", page)
    policy = re.search(r'Security-Policy" content="([^"]+)"', page).group(1)
    assert "default-src 'none'" in policy and re.search(r"script-src 'sha256-[\w+/]{43}='", policy)


def test_images_are_the_nearest_in_rate(results, load):
    asked = []

    def record(path):
        asked.append(path)
        return load(path)

    page = html_report.page(results, record, images=["a.png"], bpp=0.25)
    assert asked[:3] == [
        "pictures/original/0/a.png", "pictures/rdc tau 0/60/a.png", "pictures/jpeg <i>/60/a.png"
    ]  # fmt: skip
    assert "maps/a.png" in asked and "maps/bits.png" not in asked
    assert page.count("<strong>Importance map</strong><small>white = important</small>") == 1
    text = Reader(page).text
    assert "setting 60 bytes 30 bpp 0.200 (20 % less than 0.25) PSNR (RGB), dB 27.00" in text


def test_every_map_is_shown_once_and_named_for_its_coder(results, load):
    first, other = results["points"][0], results["points"][3]
    for each in (first, other):
        each |= {"coder": "rdc", "map_picture": "maps/a.png", "bits_picture": "maps/b.png"}
    page = html_report.page(results, load, images=["a.png"], bpp=0.1)
    below = page.partition('<div class="maps">')[2].partition("</section>")[0]
    assert re.findall("<strong>(.*?)</strong>", below) == ["Importance map", "Bits, rdc"]
    assert "<small>brighter = more bits</small>" in below
    other |= {"coder": "even", "map_picture": "maps/even.png", "bits_picture": "maps/even_b.png"}
    page = html_report.page(results, load, images=["a.png"], bpp=0.1)
    below = page.partition('<div class="maps">')[2].partition("</section>")[0]
    assert re.findall("<strong>(.*?)</strong>", below) == [
        "Importance map, rdc", "Importance map, even", "Bits, rdc", "Bits, even"
    ]  # fmt: skip


def test_no_image_is_missed_where_none_was_kept(results, load):
    for each in results["points"]:
        del each["picture"]
    text = Reader(html_report.page(results, load)).text
    assert "No images were kept" in text and "could not be read" not in text


def test_images_of_any_kind(results, tmp_path, rng):
    path = tmp_path / "grey.png"
    Image.fromarray(rng.integers(0, 256, (30, 40), np.uint8)).save(path)
    page = html_report.page(results, lambda _: path.read_bytes(), images=["a.png"])
    assert 'width="40" height="30"' in page


def test_a_limit_leaves_images_out_and_says_so(results, load):
    everything = html_report.page(results, load)
    uris = re.findall(r'src="(data:[^"]+)"', everything)
    limit = sum(map(len, uris[:4])) + 1
    page = html_report.page(results, load, max_bytes=limit)
    kept = re.findall(r'src="(data:[^"]+)"', page)
    assert 0 < len(kept) < len(uris) and sum(map(len, kept)) <= limit
    assert re.search(r"\d images are left out to keep within", page)
    assert "left out" not in everything
    assert "No images were kept" in html_report.page(results, load, max_bytes=10)


def test_unreadable_images_are_named(results, load):
    def fail(path):
        if path.startswith("pictures/jpeg"):
            raise FileNotFoundError(path)
        if path.startswith("maps"):
            return b"not a picture"
        return load(path)

    text = Reader(html_report.page(results, fail)).text
    assert "Images that could not be read: maps/a.png" in text
    assert "pictures/jpeg <i>/60/a.png" in text


def test_empty_results_make_a_page():
    text = Reader(html_report.page({}, lambda path: b"")).text
    for words in ("Nothing was skipped", "No BD-rates", "No curves", "No images"):
        assert words in text


def test_the_report_needs_no_matplotlib(results, load, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert '<svg class="chart"' in html_report.page(results, load)


def test_a_name_that_is_not_unicode_becomes_a_question_mark(results, load):
    results["hardware"] = "core \ud800"
    assert "core ?" in html_report.page(results, load)


def test_an_unknown_image_is_refused(results, load):
    with pytest.raises(RdcError, match=r"no image 'b\.png'"):
        html_report.page(results, load, images=["b.png"])


def test_median_images_have_neither_most_nor_least_detail():
    rates = {"plain": 0.1, "middle": 0.3, "busy": 0.9, "fair": 0.2, "rich": 0.5}
    points = [point(name, "jpeg", 50.0, rate) for name, rate in rates.items()]
    results = {"images": [{"name": name} for name in rates], "points": points}
    assert image_panels.median_images(results, 1) == ["middle"]
    assert image_panels.median_images(results, 3) == ["middle", "fair", "rich"]
    assert image_panels.median_images(results, 9) == list(rates)
