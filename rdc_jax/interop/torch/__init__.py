"""The decoder and its networks in PyTorch."""
