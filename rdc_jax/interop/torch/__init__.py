"""The decoder and its networks in PyTorch. It does not need JAX."""
