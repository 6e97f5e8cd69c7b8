"""Decoding with ONNX Runtime, and export of the graphs."""
