"""Which images a validation looks at: the views of a decoder, and the parameters they need."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import PARTS, Networks

FAITHFUL, REALISTIC, AUXILIARY = "", "_tau_1", "_y_p"
TAUS = {FAITHFUL: 0.0, "_tau_0.5": 0.5, REALISTIC: 1.0}


class Decoder(NamedTuple):
    """The networks of a decoder and its views, the suffixes of the metrics of its images."""

    networks: Networks
    fusion: Fusion | None
    views: tuple[str, ...]


def of_codec(networks: Networks) -> Decoder:
    """A codec without a fusion module: the faithful image only."""
    return Decoder(networks, None, (FAITHFUL,))


def of_module(networks: Networks, fusion: Fusion) -> Decoder:
    """A codec with its fusion module at tau 0, 0.5 and 1."""
    return Decoder(networks, fusion, tuple(TAUS))


def of_auxiliary(networks: Networks, fusion: Fusion) -> Decoder:
    """The faithful image, and that of the auxiliary encoder's latent y_p."""
    return Decoder(networks, fusion, (FAITHFUL, AUXILIARY))


def used(decoder: Decoder, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of the parameters that a decoder needs; equal trees share a compiled program."""
    names = [*PARTS]
    if REALISTIC in decoder.views:
        names.append("transform")
    if AUXILIARY in decoder.views:
        names.append("auxiliary")
    return {name: params[name] for name in names if name in params}
