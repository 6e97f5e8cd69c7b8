"""Images from a TensorFlow Datasets (TFDS) set, read without TensorFlow."""

from pathlib import Path
from typing import Any

from rdc_jax.data import records
from rdc_jax.data.record_source import RecordSource
from rdc_jax.errors import RdcError

MASK_FEATURES = frozenset(
    "mask segmentation_mask segmentation segmentation_label annotation panoptic_image".split()
)
"""Names of the image features that hold segment numbers."""


class TfdsSource(RecordSource):
    """The images of one split of a set that TFDS has prepared as ArrayRecord.

    This class downloads nothing. `tfds build NAME --file_format=array_record` prepares a set. The
    image is the feature "image", or else the first image feature. The mask is one of MASK_FEATURES.
    Unreadable images and images with a side below `records.MIN_SIDE` are replaced (see
    ReplacingSource).

    Args:
        name: TFDS name of the set, such as "oxford_iiit_pet", "imagenet2012:5.1.0" or "coco/2017".
        split: TFDS split, such as "train", "train[:10%]" or "train+validation".
        data_dir: Folder where TFDS keeps its sets; None for the default of TFDS.

    Raises:
        RdcError: the set or split is missing or empty, has no images, or has another format.
    """

    def __init__(self, name: str, split: str = "train", data_dir: str | Path | None = None):
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder(name, data_dir=data_dir or None)
            features = builder.info.features.items()
            images = [k for k, v in features if isinstance(v, tfds.features.Image)]
            self._image = next(k for k in ("image", *images) if k in set(images) - MASK_FEATURES)
            self._mask = next((k for k in images if k in MASK_FEATURES), None)
            found = builder.as_data_source(
                split, decoders={k: tfds.decode.SkipDecoding() for k in images}
            )
        except StopIteration:
            raise RdcError(f"data.path: the TFDS set '{name}' has no image feature") from None
        except Exception as error:  # TFDS passes on exceptions of any type
            reason = str(error).strip().split("\n")[0].rstrip(".")
            raise RdcError(
                f"data.path: cannot open the TFDS set '{name}', split '{split}': {reason}; "
                "`tfds build NAME --file_format=array_record` prepares a set"
            ) from error
        super().__init__(found, f"of {name} {split}")

    def _load(self, key: int) -> dict[str, Any]:
        fields = self._record(key)
        mask = fields[self._mask] if self._mask else None
        return records.opened(records.Record(fields[self._image], mask), self._label(key))
