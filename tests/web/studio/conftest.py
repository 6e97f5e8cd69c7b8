"""A studio with the model of smoke size, and a small photo in it."""

import shutil

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from rdc_jax.web.studio.workbench import Workbench
from tests.web.studio.studio_client import Client, Counting, as_png

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
