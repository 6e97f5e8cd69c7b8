"""The report as one safe file, and as a headless browser shows it, where there is one."""

import base64
import fcntl
import html.parser
import itertools
import json
import os
import re
import select
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.report import html_report, image_panels

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>.png'
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
SHAPE = (30, 40, 3)
PATIENCE = 120  # seconds


def point(image, codec, setting, bpp, **more):
    metrics = {"psnr-rgb": 25 + 10 * bpp, "lpips-alex": 0.4 - 0.2 * bpp, "roi/psnr-rgb": 30.0}
    picture = f"pictures/{codec}/{setting:g}/{image}"
    times = {"encoding_time": 0.5, "decoding_time": 0.25}
    rest = {"bytes": round(bpp * 150), "map_bytes": 0, "bpp": bpp, "picture": picture}
    return {"image": image, "codec": codec, "setting": setting, "metrics": metrics,
            "file": "files/x"} | times | rest | more  # fmt: skip


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


def test_a_difference_of_one_picture_says_so(results, load):
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


def test_pictures_are_the_nearest_in_rate(results, load):
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


def test_no_picture_is_missed_where_none_was_kept(results, load):
    for each in results["points"]:
        del each["picture"]
    text = Reader(html_report.page(results, load)).text
    assert "No images were kept" in text and "could not be read" not in text


def test_pictures_of_any_kind(results, tmp_path, rng):
    path = tmp_path / "grey.png"
    Image.fromarray(rng.integers(0, 256, (30, 40), np.uint8)).save(path)
    page = html_report.page(results, lambda _: path.read_bytes(), images=["a.png"])
    assert 'width="40" height="30"' in page


def test_a_limit_leaves_pictures_out_and_says_so(results, load):
    everything = html_report.page(results, load)
    uris = re.findall(r'src="(data:[^"]+)"', everything)
    limit = sum(map(len, uris[:4])) + 1
    page = html_report.page(results, load, max_bytes=limit)
    kept = re.findall(r'src="(data:[^"]+)"', page)
    assert 0 < len(kept) < len(uris) and sum(map(len, kept)) <= limit
    assert re.search(r"\d images are left out to keep within", page)
    assert "left out" not in everything
    assert "No images were kept" in html_report.page(results, load, max_bytes=10)


def test_unreadable_pictures_are_named(results, load):
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


class Browser:
    """A headless Chromium spoken to over two pipes in its debugging protocol."""

    def __init__(self, program, folder):
        pairs = os.pipe(), os.pipe()
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (pairs[0][0], pairs[1][1])]
        for fd in (pairs[0][0], pairs[1][1]):
            os.close(fd)
        self.to, self.back = os.fdopen(pairs[0][1], "wb"), os.fdopen(pairs[1][0], "rb", 0)
        self.unread = b""
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   f"--user-data-dir={folder}", "--remote-debugging-pipe"]  # fmt: skip
        script = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command], pass_fds=theirs, stderr=subprocess.DEVNULL
        )
        for fd in theirs:
            os.close(fd)
        self.numbers, self.session, self.requests = itertools.count(1), None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        self.complaints = []

    def ask(self, method, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self):
        while b"\0" not in self.unread:
            assert select.select([self.back], [], [], PATIENCE)[0], "the browser is silent"
            more = self.back.read(1 << 20)
            assert more, "the browser has gone"
            self.unread += more
        raw, _, self.unread = self.unread.partition(b"\0")
        message = json.loads(raw)
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if method in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(params)
        self.last = method
        return message

    def open(self, url, width=1280, height=900, dark=False):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=url)
        while self.last != "Page.loadEventFired":
            self._read()

    def value(self, expression):
        asked = self.ask("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True)  # fmt: skip
        assert "exceptionDetails" not in asked, asked
        return asked["result"].get("value")

    def key(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                     windowsVirtualKeyCode=code)  # fmt: skip

    def mouse(self, kind, x, y):
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1,
                 buttons=0 if kind == "mouseReleased" else 1)  # fmt: skip

    def screenshot(self, whole=True):
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.to.close()
        self.back.close()


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
