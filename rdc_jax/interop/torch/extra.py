"""Import of PyTorch for all modules of this room, with a one-line error if it is missing."""

from rdc_jax.errors import RdcError

try:
    import torch
except ImportError:
    raise RdcError("decoding in PyTorch needs torch: pip install torch") from None

Tensor = torch.Tensor
nn = torch.nn
functional = torch.nn.functional

__all__ = ["Tensor", "functional", "nn", "torch"]
