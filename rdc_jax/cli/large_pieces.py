"""What `rdc encode` says of a picture that is coded in larger pieces than decoders take."""

from rdc_jax.bitstream.container import DEFAULT_MAX_PIXELS
from rdc_jax.decoding.opened_file import PIECE_SHARE


def note(height: int, width: int, tile: int | None) -> str:
    """Why a decoder will refuse the file unless told otherwise; empty where it will not.

    tile: side in pixels, 0 for none, None for the encoder's own choice, which is always decoded.
    """
    if tile is None:
        return ""
    largest = min(height, tile or height) * min(width, tile or width)
    needed = max(PIECE_SHARE * largest, height * width)
    if needed <= DEFAULT_MAX_PIXELS:
        return ""
    return (
        f"is coded in pieces of up to {largest} pixels, so `rdc decode` needs --max-pixels "
        f"{needed}; with the default of --tile it does not"
    )
