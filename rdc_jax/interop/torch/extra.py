"""PyTorch, or one line that says how to get it. The other torch_* modules take it from here."""

from rdc_jax.errors import RdcError

try:
    import torch
except ImportError:
    raise RdcError("decoding in PyTorch needs torch: pip install 'rdc_jax[torch]'") from None

Tensor = torch.Tensor
nn = torch.nn
functional = torch.nn.functional

__all__ = ["Tensor", "functional", "nn", "torch"]
