"""A studio with the model of smoke size, and a small photo in it."""

import numpy as np
import pytest
from PIL import Image

import rdc_jax
from rdc_jax.studio.workbench import Workbench
from tests.studio.studio_client import Client, Counting, as_png


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
