"""Painting a mask in a Colab notebook with the brush of the studio.

    mask = notebook_brush.paint(photo)      waits until "Done" is pressed below the cell

In other notebooks a cell cannot wait for the page; use the brush of `rdc studio` there.
"""

import json
from importlib import resources

import numpy as np
from PIL import Image

from rdc_jax.errors import RdcError
from rdc_jax.web.studio import images, request_fields

SHOWN = 1000  # longer side of the photo in the notebook, pixels


def paint(pixels: np.ndarray) -> np.ndarray | None:
    """The mask that the user paints over a photo uint8 [H,W,3]: uint8 [H,W], 255 = important.

    Returns None if nothing is painted. Raises RdcError outside Colab.
    """
    try:
        from google.colab import output
        from IPython.display import Javascript, display
    except ImportError:
        raise RdcError(
            "painting in a notebook works only in Colab; paint in `rdc studio`, or give a mask as "
            "an image"
        ) from None
    display(Javascript(script()))
    mask = request_fields.mask(json.loads(output.eval_js(call(pixels))))
    return None if mask is None else images.resized(mask, *pixels.shape[:2])


def script() -> str:
    """The script that defines `rdcPaint` on a page."""
    page = resources.files(__package__).joinpath("page")
    painter, brush = (page.joinpath(f"{n}.js").read_text("utf-8") for n in ("painting", "notebook"))
    return f"{painter.replace('export class', 'globalThis.Painter = class')}\n{brush}" + (
        "\nglobalThis.rdcPaint = rdcPaint;\n"
    )


def call(pixels: np.ndarray) -> str:
    """The expression that asks for a mask of these pixels, shown at up to SHOWN pixels."""
    photo = Image.fromarray(pixels)
    photo.thumbnail((SHOWN, SHOWN))
    url = images.data_url(np.asarray(photo))
    return f"rdcPaint({json.dumps(url)}, {photo.width}, {photo.height})"
