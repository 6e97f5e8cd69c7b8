"""Decoding with ONNX Runtime, and the export of its graphs."""
