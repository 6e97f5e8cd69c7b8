"""Colour spaces by number, as in PNG cICP and AVIF nclx: ITU-T H.273, tables 2 and 3.

The reference white of HDR (BT.2408, 203 cd/m2) becomes white. What is brighter is clipped.
"""

import numpy as np

from rdc_jax.images.icc_writer import Colours, Curve

SRGB_CURVE = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
HDR = (16, 18)  # transfer characteristics of PQ and HLG
UNSPECIFIED = (0, 2, 3)
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_PRIMARIES = {
    1: SRGB_PRIMARIES,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_BT709 = Curve(1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVES = {
    **dict.fromkeys((1, 6, 11, 12, 14, 15), _BT709),
    4: Curve(2.2),
    5: Curve(2.8),
    7: Curve(1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4.0, 0.0912),
    8: Curve(1.0),
    13: SRGB_CURVE,
}
_NAMES = {1: "BT.709", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_WHITE = 203.0  # cd/m2
_STEPS = np.linspace(0.0, 1.0, 1024)


def colours(primaries: int, transfer: int) -> Colours | None:
    """Returns the colour space of two code points; None if both are unspecified.

    A single unspecified one counts as that of sRGB.

    Raises ValueError for code points that are not supported.
    """
    if primaries in UNSPECIFIED and transfer in UNSPECIFIED:
        return None
    corners = SRGB_PRIMARIES if primaries in UNSPECIFIED else _PRIMARIES.get(primaries)
    curve = SRGB_CURVE if transfer in UNSPECIFIED else _curve(transfer)
    if corners is None or curve is None:
        raise ValueError(f"colour space {primaries}/{transfer} is not supported")
    name = f"{_NAMES.get(primaries, f'Primaries {primaries}')}, curve {transfer}"
    return Colours(name, *corners, curves=(curve,))


def _curve(transfer: int) -> Curve | None:
    if transfer == 16:
        light = 10_000 * _pq(_STEPS) / _WHITE
    elif transfer == 17:
        light = 52.37 / 48 * _STEPS**2.6
    elif transfer == 18:  # a display of 1000 cd/m2, whose system gamma is 1.2
        light = 1000 * _hlg(_STEPS) ** 1.2 / _WHITE
    elif transfer in (9, 10):
        decades = 2.0 if transfer == 9 else 2.5
        light = np.where(_STEPS > 0, 10 ** (decades * (_STEPS - 1)), 0)
    else:
        return _CURVES.get(transfer)
    return Curve(table=tuple(np.clip(light, 0, 1).tolist()))


def _pq(values: np.ndarray) -> np.ndarray:
    """Inverse of the PQ curve of SMPTE ST 2084: light as a share of 10,000 cd/m2."""
    power = values ** (1 / 78.84375)
    above = np.maximum(power - 0.8359375, 0)
    return (above / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def _hlg(values: np.ndarray) -> np.ndarray:
    """Inverse of the HLG curve of BT.2100: scene light, 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
