"""The exported page in a headless Chromium, served as by `python -m http.server`."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from rdc_jax.decoding.decoder import decode_latent
from rdc_jax.entropy.entropy_model import EntropyModel
from rdc_jax.errors import RdcError
from rdc_jax.interop.onnx import decoder as onnx_decoder
from rdc_jax.model_folder import codec_model
from tests.fuzz import mutations
from tests.interop.web.served import CHROMIUM, Host, Page

pytestmark = pytest.mark.slow

CHOOSE = """(async () => {
  const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer(), input = document.getElementById("other-file");
  transfer.items.add(new File([bytes], "%s"));
  input.files = transfer.files;
  input.dispatchEvent(new Event("change"));
})()"""


@pytest.fixture(scope="module")
def host(site, files):
    for name, data in files.items():
        (site / name).write_bytes(data)
    host = Host(site)
    yield host
    host.close()


@pytest.fixture(scope="module")
def page(host, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    pytest.importorskip("onnxruntime")
    page = Page(CHROMIUM, tmp_path_factory.mktemp("profile"), host.address)
    page.open()  # the first visit, after which the page reloads itself once
    page.wait("crossOriginIsolated && document.readyState === 'complete'")
    page.wait("customElements.get('rdc-image')")
    yield page
    page.close()


def assert_same_picture(page, data, tau=None):
    """Pixels within 1 of onnxruntime's in Python for 99.9 % of samples; alpha equal."""
    width, height, rgba = page.pixels()
    found = np.frombuffer(rgba, np.uint8).reshape(height, width, 4).astype(int)
    expected = onnx_decoder.load("tiny").decode(data, tau=tau)
    assert found.shape[:2] == expected.shape[:2]
    assert (np.abs(found[..., :3] - expected) <= 1).mean() >= 0.999
    return found[..., 3]


def test_a_file_named_in_the_address_is_shown(page, host, files):
    page.open("?src=small.rdc")
    page.settled()
    assert page.error() is None
    assert (assert_same_picture(page, files["small.rdc"]) == 255).all()
    assert all(url.startswith((host.address, "blob:", "data:")) for url in page.browser.requests)
    assert page.browser.complaints == []


def test_a_tiled_file_with_alpha_is_dropped(page, files):
    page.drop("tiled.rdc", files["tiled.rdc"])
    assert page.error() is None
    y, x = np.mgrid[0:300, 0:340]
    np.testing.assert_array_equal(
        assert_same_picture(page, files["tiled.rdc"]), np.clip(y + x - 100, 0, 255)
    )
    figures = page.browser.value("document.getElementById('figures').textContent")
    assert f"{len(files['tiled.rdc']):,} bytes" in figures and "colour, alpha" in figures


def test_a_colour_profile_is_applied(page, files):
    """Here sRGB, which changes nothing."""
    page.drop("profile.rdc", files["profile.rdc"])
    status = page.browser.value("document.getElementById('status').textContent")
    assert page.error() is None and status == "Shown with its colour profile"
    drawn = page.browser.value(
        """(() => {
          const first = document.getElementById("first"), { width, height } = first.image;
          const canvas = first.shadowRoot.querySelector("canvas");
          const shown = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          return Math.max(...shown.map((value, i) => Math.abs(value - first.image.data[i])));
        })()"""
    )
    assert drawn <= 2
    assert_same_picture(page, files["profile.rdc"])


def test_damage_is_named_as_by_the_command(page, files):
    model = codec_model.load("tiny")
    with pytest.raises(RdcError) as caught:
        decode_latent(files["damaged.rdc"], model, EntropyModel.from_arrays(model.entropy))
    page.drop("damaged.rdc", files["damaged.rdc"])
    expected = str(caught.value).replace("decode with resilient=True", "fill the damaged tiles in")
    assert page.error() == f"damaged.rdc: {expected}"
    hidden = "['fill-in', 'stage'].map((id) => document.getElementById(id).hidden)"
    assert page.browser.value(hidden) == [False, True]
    page.browser.value("document.getElementById('fill-in').click()")
    page.settled()
    assert page.error() is None and page.browser.value(hidden) == [True, False]
    assert page.browser.value("document.getElementById('first').image.damaged.length") == 1
    header, sections = mutations.take_apart(files["small.rdc"])
    header[1:3] = 2**20, 2**20
    page.drop("huge.rdc", mutations.put_together(header, sections))
    assert "1048576 x 1048576 pixels, more than the limit of 268435456" in page.error()
    page.drop("photo.jpg", b"\xff\xd8\xff\xe0 not ours")
    assert page.error().startswith("photo.jpg: not an rdc file")


def test_tau_and_the_importance_map_follow_the_controls(page, files):
    page.drop("small.rdc", files["small.rdc"])
    page.browser.value(
        "(() => { document.getElementById('first').image = null;"
        "window.places = new Set();"
        "const pane = document.getElementById('pane');"
        "new ResizeObserver(() => window.places.add(pane.clientHeight)).observe(pane);"
        "const tau = document.getElementById('tau'); tau.value = '0';"
        "tau.dispatchEvent(new Event('input')); })()"
    )
    page.wait("document.getElementById('first').tau === '0'")
    page.settled()
    page.wait("document.getElementById('progress').hidden")
    assert page.browser.value("window.places.size") == 1  # the image did not move
    assert_same_picture(page, files["small.rdc"], tau=0.0)
    assert page.browser.value("document.getElementById('tau-value').textContent") == "0.00"
    page.browser.value("document.getElementById('map').click()")
    assert page.browser.value(
        "(() => { const map = document.getElementById('first').shadowRoot.querySelector('.map');"
        "return [map.width, map.height]; })()"
    ) == [8, 6]


def test_the_library_crops_and_reports_progress(page, files):
    shape, seen = page.browser.value(
        """(async () => {
          const { decode } = await import("./rdc.js"), seen = [];
          const bytes = new Uint8Array(await (await fetch("tiled.rdc")).arrayBuffer());
          const image = await decode(bytes, { tau: 0, crop: [300, 200, 30, 20],
            onProgress: (fraction) => seen.push(fraction) });
          return [[image.height, image.width, image.data.length, image.hasAlpha], seen];
        })()"""
    )
    assert shape == [20, 30, 2400, True] and seen[-1] == 1 and seen == sorted(seen)


def test_the_element_behaves_like_an_image(page, files):
    sizes = page.browser.value(
        """(async () => {
          const element = document.createElement("rdc-image");
          element.src = "small.rdc";
          element.alt = "waves";
          document.body.append(element);
          await new Promise((resolve, reject) => {
            element.onload = resolve;
            element.onerror = (event) => reject(event.error);
          });
          const { width, height } = element.getBoundingClientRect();
          element.onload = null;
          element.src = "missing.rdc";
          const error = await new Promise((resolve) => { element.onerror = resolve; });
          element.remove();
          return [element.naturalWidth, element.naturalHeight, width, height, error.message];
        })()"""
    )
    assert sizes[:4] == [120, 90, 120, 90]
    assert sizes[4] == "cannot fetch missing.rdc: the server answered 404"


def test_an_image_is_saved_as_png(page, files):
    page.drop("tiled.rdc", files["tiled.rdc"])
    text = page.browser.value(
        """(async () => {
          const { pngOf } = await import("./rdc/images/png.js"), reader = new FileReader();
          reader.readAsDataURL(await pngOf(document.getElementById("first").image));
          await new Promise((resolve) => { reader.onload = resolve; });
          return reader.result.split(",")[1];
        })()"""
    )
    with Image.open(io.BytesIO(base64.b64decode(text))) as saved:
        width, height, rgba = page.pixels()
        assert saved.mode == "RGBA" and saved.size == (width, height) and saved.tobytes() == rgba


@pytest.mark.parametrize("kind", ["rdc", "png"])
def test_two_images_are_compared(page, files, kind):
    page.drop("small.rdc", files["small.rdc"])
    stored = io.BytesIO()
    Image.new("RGB", (120, 90), "teal").save(stored, "PNG")
    data = files["small.rdc"] if kind == "rdc" else stored.getvalue()
    page.browser.value(CHOOSE % (base64.b64encode(data).decode(), f"other.{kind}"))
    page.wait("document.querySelector('#second > *')?.complete")
    shown = "['second', 'split', 'end-compare'].map((id) => !document.getElementById(id).hidden)"
    assert page.browser.value(shown) == [True, True, True]
    page.browser.value("document.getElementById('split').focus()")
    page.browser.key("ArrowLeft", 37)
    assert page.browser.value("document.getElementById('split').ariaValueNow") == "48"
    if kind == "rdc":
        assert page.browser.value("document.querySelector('#second > *').naturalWidth") == 120
    page.browser.value("document.getElementById('end-compare').click()")
    assert page.browser.value(shown) == [False, False, False]
    assert page.error() is None


def test_keys_wheel_and_pinch_zoom(page, files):
    page.drop("small.rdc", files["small.rdc"])
    zoom = "new DOMMatrix(getComputedStyle(document.getElementById('stage')).transform).a"
    page.browser.value("document.getElementById('pane').focus()")
    page.browser.key("+", 187)
    assert page.browser.value(zoom) == pytest.approx(1.5, rel=1e-4)
    page.browser.value(
        "document.getElementById('pane').dispatchEvent("
        "new WheelEvent('wheel', { deltaY: -200, cancelable: true }))"
    )
    assert page.browser.value(zoom) == pytest.approx(1.5 * np.exp(0.4), rel=1e-4)
    page.browser.value("document.getElementById('actual').click()")
    assert page.browser.value(zoom) == pytest.approx(1, rel=1e-4)
    fingers = [(100, 200), (200, 200)], [(50, 200), (250, 200)]
    for kind, points in (("touchStart", fingers[0]), ("touchMove", fingers[1]), ("touchEnd", ())):
        touches = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        page.browser.ask("Input.dispatchTouchEvent", type=kind, touchPoints=touches)
    assert page.browser.value(zoom) == pytest.approx(2, rel=0.05)


def test_an_aborted_decode_makes_room_for_the_next(page, files):
    name, size = page.browser.value(
        """(async () => {
          const { decode } = await import("./rdc.js"), stop = new AbortController();
          const bytes = new Uint8Array(await (await fetch("tiled.rdc")).arrayBuffer());
          const first = decode(bytes, { tau: 0, signal: stop.signal });
          const next = decode(bytes, { tau: 0, crop: [0, 0, 10, 10] });
          stop.abort();
          const name = await first.catch((error) => error.name);
          return [name, (await next).data.length];
        })()"""
    )
    assert name == "AbortError" and size == 400


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_the_screen(page, width, height, dark):
    page.open("?src=small.rdc", width=width, height=height, dark=dark)
    page.settled()
    assert page.browser.value("document.documentElement.scrollWidth") <= width
    unnamed = page.browser.value(
        "[...document.querySelectorAll('button, input:not([type=file])')].filter((e) => "
        "!e.textContent && !e.ariaLabel && !(e.labels && e.labels.length)).length"
    )
    assert unnamed == 0
    small = page.browser.value(
        "[...document.querySelectorAll('button, label:has(input), input[type=range]')]"
        ".filter((e) => e.offsetWidth && Math.min(e.offsetWidth, e.offsetHeight) < 44)"
        ".map((e) => e.outerHTML)"
    )
    assert width > 760 or small == []


def test_it_works_offline_after_the_first_visit(page, host, files):
    page.wait(
        "(async () => { const cache = await caches.open((await caches.keys())[0]);"
        "return (await cache.keys()).some((r) => r.url.endsWith('fusion.bin')); })()"
    )
    host.close()
    page.open()
    page.wait("document.querySelector('#empty') && !document.querySelector('#empty').hidden")
    page.drop("small.rdc", files["small.rdc"])
    assert page.error() is None
    assert_same_picture(page, files["small.rdc"])
