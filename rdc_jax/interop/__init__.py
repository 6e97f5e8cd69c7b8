"""Exchange with other software: CompressAI, diffusers, ONNX and PyTorch."""
