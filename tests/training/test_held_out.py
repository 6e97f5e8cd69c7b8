"""Which images a run validates on, and which its fresh networks take their statistics from."""

import numpy as np
import pytest
from PIL import Image

from configs import tiny
from rdc_jax.errors import RdcError
from rdc_jax.training.image_sets import EXAMPLES, open_images
from rdc_jax.training.tasks.selection import task_for


@pytest.fixture
def config(tmp_path):
    for i in range(3):
        Image.new("RGB", (80, 70), (i, 40 * i, 99)).save(tmp_path / f"{i}.png")
    config = tiny.get_config("smoke")
    config.data.update(kind="folder", path=str(tmp_path), held_out=1)
    return config


def test_statistics_come_from_the_held_out_images(config):
    images = open_images(task_for(config))
    assert images.examples is images.crops and images.crops.shape == (1, 64, 64, 3)


def test_without_held_out_images_they_come_from_training_images(config):
    config.data.held_out = 0
    images = open_images(task_for(config))
    assert len(images.held_out) == len(images.crops) == 0
    assert images.examples.shape == (3, 64, 64, 3)
    np.testing.assert_array_equal(images.examples[:, 0, 0, 0], [0, 1, 2])
    config.data.kind = "synthetic"
    assert len(open_images(task_for(config)).examples) == EXAMPLES


def test_one_image_can_be_trained_on_but_not_held_out(config, tmp_path):
    for i in range(2):
        (tmp_path / f"{i}.png").unlink()
    with pytest.raises(RdcError, match=r"data\.held_out: cannot hold out 1 of 1 images; hold out"):
        open_images(task_for(config))
    config.data.held_out = 0
    assert len(open_images(task_for(config)).examples) == 1
