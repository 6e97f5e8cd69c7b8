"""A studio with the model of smoke size, and a small photo in it."""

import shutil

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from rdc_jax.web.studio.workbench import Workbench
from tests.web.studio.studio_client import Client, Counting, as_png
from tests.web.studio.studio_page import Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@pytest.fixture(scope="session")
def codec(smoke_model):
    return rdc_jax.load(smoke_model)


@pytest.fixture
def counting(codec):
    return Counting(codec)


@pytest.fixture
def client(counting):
    client = Client(Workbench(lambda: counting))
    yield client
    client.close()


@pytest.fixture(scope="session")
def pixels():
    small = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((100, 72), Image.Resampling.BICUBIC))


@pytest.fixture
def photo(client, pixels):
    return client.json("/photo", as_png(pixels))["photo"]


@pytest.fixture(scope="session")
def browser():
    """Chromium, driven by Playwright; tests that want it are skipped without both."""
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, client):
    """Opens the page in a window of a size; checks at the end that it behaved."""
    opened = []

    def page_of(width=1280, height=800):
        context = browser.new_context(viewport={"width": width, "height": height})
        opened.append((context, Page(context.new_page(), client), width))
        return opened[-1][1]

    yield page_of
    for context, page, width in opened:
        wide = page.page.evaluate("() => document.documentElement.scrollWidth")
        context.close()
        assert wide <= width
        assert page.errors == []
        assert all(url.startswith((page.address + "/", "blob:", "data:")) for url in page.asked)


@pytest.fixture(params=[(1280, 800), (390, 844)], ids=["wide", "narrow"])
def page(open_page, request):
    return open_page(*request.param)


@pytest.fixture
def wide(open_page):
    return open_page()


@pytest.fixture(scope="session")
def large():
    """A photo of 480 x 320 pixels."""
    small = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((480, 320), Image.Resampling.BICUBIC))
