"""WebGPU in a headless Chromium, with an adapter in software, and Chromium without an adapter.

The adapter in software takes a minute or more for one window, so one window has to do.
"""

import base64
import json

import numpy as np
import pytest

from tests.interop.web.served import CHROMIUM, Host, Page

pytestmark = pytest.mark.slow

SOFTWARE = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
PATIENCE = 900  # seconds
DECODE = """window.outcome = null;
import("./rdc.js").then(async ({ decode }) => {
  const bytes = new Uint8Array(await (await fetch("small.rdc")).arrayBuffer());
  const { width, height, data, ...image } = await decode(bytes, { tau: 0, backend: "%s" });
  const pixels = btoa(String.fromCharCode(...data));
  return { width, height, pixels, backend: image.backend, note: image.backendNote };
}).catch((error) => ({ error: error.message })).then((found) => { window.outcome = found; });"""
KEPT = """(async () => {
  const cache = await caches.open((await caches.keys())[0]);
  return (await cache.keys()).map((request) => request.url);
})()"""


@pytest.fixture
def visit(webgpu_site, files, tmp_path):
    """Function (flags) -> (page, host) of a folder with the runtime for WebGPU."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    (webgpu_site / "small.rdc").write_bytes(files["small.rdc"])
    with Host(webgpu_site) as host:
        pages = []

        def opened(*flags):
            pages.append(Page(CHROMIUM, tmp_path / "profile", host.address, flags))
            pages[-1].open()
            pages[-1].wait("crossOriginIsolated && document.readyState === 'complete'")
            return pages[-1], host

        yield opened
        for page in pages:
            page.close()


def decoded(page, backend):
    page.browser.value(DECODE % backend + "0")
    page.wait("window.outcome", PATIENCE)
    return page.browser.value("window.outcome")


def fetched_for_webgpu(host):
    return {path for path in host.paths if path.startswith("/runtime/webgpu/")}


def test_webgpu_gives_the_pixels_of_onnxruntime(visit, files):
    pytest.importorskip("onnxruntime")
    from rdc_jax.interop.onnx import decoder as onnx_decoder

    page, host = visit(*SOFTWARE)
    if not page.browser.value("navigator.gpu?.requestAdapter().then(Boolean)"):
        pytest.skip("this Chromium has no WebGPU adapter in software")
    found = decoded(page, "auto")
    assert (found["backend"], found["note"]) == ("wasm", "WebGPU runs in software here")
    assert fetched_for_webgpu(host) == set()
    found = decoded(page, "webgpu")
    assert len(fetched_for_webgpu(host)) == 2
    assert (found.get("error"), found.get("backend"), found.get("note")) == (None, "webgpu", None)
    rgba = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8)
    rgb = rgba.reshape(found["height"], found["width"], 4)[..., :3].astype(int)
    expected = onnx_decoder.load("tiny").decode(files["small.rdc"], tau=0.0)
    assert rgb.shape == expected.shape and (np.abs(rgb - expected) <= 1).mean() >= 0.999


def test_without_an_adapter_nothing_is_fetched_for_it(visit, webgpu_site):
    names = json.loads((webgpu_site / "manifest.json").read_bytes())["sha256"]
    assert sum(name.startswith("runtime/webgpu/") for name in names) == 2
    page, host = visit("--disable-gpu")
    found = decoded(page, "auto")
    assert found["backend"] == "wasm" and found["note"] == "no WebGPU adapter"
    assert decoded(page, "wasm")["note"] is None
    assert decoded(page, "webgpu") == {"error": "WebGPU cannot be used: no WebGPU adapter"}
    page.open("?src=small.rdc")  # after which the page keeps what it needs offline
    page.settled()
    page.wait(f"{KEPT}.then((urls) => urls.some((url) => url.endsWith('fusion.bin')))")
    assert not any("/webgpu/" in url for url in page.browser.value(KEPT))
    assert fetched_for_webgpu(host) == set()
