"""Image files: reading and writing.

The names below are the ones that other rooms use.
"""

from rdc_jax.images.atomic_files import atomic_write
from rdc_jax.images.image import LoadedImage
from rdc_jax.images.reading import MAX_PIXELS, read_image
from rdc_jax.images.writing import image_bytes, write_image, write_loaded_image

__all__ = [
    "MAX_PIXELS",
    "LoadedImage",
    "atomic_write",
    "image_bytes",
    "read_image",
    "write_image",
    "write_loaded_image",
]
