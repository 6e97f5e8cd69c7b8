import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from rdc_jax.data.sources import TfdsSource, open_source
from rdc_jax.errors import RdcError


def encoded(value):
    file = io.BytesIO()
    Image.new("L", (80, 70), value).save(file, "PNG")
    file.seek(0)
    return file


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A TFDS folder with the set `tiny_segments`, whose fourth image is damaged."""
    image = tfds.features.Image

    class TinySegments(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        url_infos = None  # else TFDS looks for checksums beside this file

        def _info(self):
            features = {"image": image(), "segmentation_mask": image(shape=(None, None, 1))}
            features = tfds.features.FeaturesDict(features | {"extra": image(), "label": np.int64})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i in range(5):
                yield (
                    i,
                    {
                        "image": io.BytesIO(b"no image") if i == 3 else encoded(10 * i),
                        "segmentation_mask": encoded(i),
                        "extra": encoded(99),
                        "label": i,
                    },
                )

    folder = tmp_path_factory.mktemp("tfds")
    TinySegments(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


def test_images_and_masks_of_a_set(data_dir):
    source = TfdsSource("tiny_segments", "train", data_dir)
    examples = [source[i] for i in range(5)]
    assert all(e["image"].shape == (70, 80, 3) for e in examples)
    found = sorted((int(e["image"][0, 0, 0]), int(e["mask"][0, 0])) for e in examples)
    assert len(found) == 5 and set(found) == {(0, 0), (10, 1), (20, 2), (40, 4)}
    assert len(source.skipped) == 1
    assert len(TfdsSource("tiny_segments:1.0.0", "train[:2]", data_dir)) == 2


def test_a_set_is_read_without_tensorflow(data_dir, user_environment):
    script = (
        "import sys; from rdc_jax.data.sources import open_source;"
        f"s = open_source('tfds', 'tiny_segments', tfds_dir={str(data_dir)!r});"
        "print(len(s), s[0]['image'].shape, {'tensorflow', 'jax'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=user_environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "5 (70, 80, 3) set()\n", done.stderr


@pytest.mark.parametrize(
    ("name", "split", "words"),
    [
        ("no_such_set", "train", "no_such_set.*tfds build"),
        ("tiny_segments", "test", "test.*tfds build"),
    ],
)
def test_unusable_sets_are_refused_in_one_line(data_dir, name, split, words):
    with pytest.raises(RdcError, match=rf"data\.path: .*{words}") as error:
        open_source("tfds", name, split=split, tfds_dir=str(data_dir))
    assert "\n" not in str(error.value)
