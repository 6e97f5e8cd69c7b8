"""Published peaks of accelerators, for utilisation in the log and for predictions.

Sources: the system pages of Google Cloud TPU (docs.cloud.google.com/tpu/docs/v4, v5e, v5p, v6e,
tpu7x) and NVIDIA's data sheets of A100, H100 (SXM and PCIe), H200 and HGX B200 (dense bfloat16,
without sparsity). Names are JAX's `device_kind`.
"""

from typing import NamedTuple

GIB = 2**30


class Peaks(NamedTuple):
    """Of one device."""

    flops: float  # bfloat16 operations a second
    memory: float  # bytes
    bandwidth: float  # of that memory, bytes a second
    interconnect: float  # between neighbours of a slice or node, bytes a second, all links
    tile: int  # side of the matrix unit: channels are worked on in multiples of it
    clock: float  # cycles a second
    vector: float = 0.0  # elementwise float32 operations a second; 0 where predictions need none


LANES = 8 * 128 * 4  # of a TPU core's vector unit: registers of 8 x 128, four at a time

PEAKS = {
    "TPU v4": Peaks(275e12, 32 * GIB, 1228e9, 300e9, 128, 1.05e9, 2 * LANES * 1.05e9),
    "TPU v5 lite": Peaks(197e12, 16 * GIB, 819e9, 200e9, 128, 1.5e9, LANES * 1.5e9),
    "TPU v5": Peaks(459e12, 95 * GIB, 2765e9, 600e9, 128, 1.75e9, 2 * LANES * 1.75e9),
    "TPU v6 lite": Peaks(918e12, 32 * GIB, 1640e9, 448e9, 256, 1.75e9, LANES * 1.75e9),
    # JAX sees the two cores of a TPU7x chip as two devices, so these are halves of 2307 TFLOP/s,
    # 192 GiB, 7380 GB/s and 1200 GB/s. Google publishes no clock. This one is a guess: it gives
    # the peak if a core has as many matrix units of 256 x 256 as a v6e.
    "TPU7x": Peaks(1153.5e12, 96 * GIB, 3690e9, 600e9, 256, 2.2e9, LANES * 2.2e9),
    "NVIDIA A100-SXM4-40GB": Peaks(312e12, 40 * GIB, 1555e9, 600e9, 16, 1.41e9),
    "NVIDIA A100-SXM4-80GB": Peaks(312e12, 80 * GIB, 2039e9, 600e9, 16, 1.41e9),
    "NVIDIA H100 80GB HBM3": Peaks(989e12, 80 * GIB, 3350e9, 900e9, 16, 1.83e9),
    "NVIDIA H100 PCIe": Peaks(756e12, 80 * GIB, 2000e9, 600e9, 16, 1.755e9),
    "NVIDIA H200": Peaks(989e12, 141e9, 4800e9, 900e9, 16, 1.83e9),
    "NVIDIA B200": Peaks(2250e12, 180e9, 7700e9, 1800e9, 16, 1.965e9),
}


def peaks_of(device_kind: str) -> Peaks | None:
    """None for a device that is not in the table."""
    return PEAKS.get(device_kind)
