"""What a training step costs on hardware that is not here: memory, time, FLOPs."""
