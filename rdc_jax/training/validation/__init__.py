"""Figures of held-out images during training, at equal rate where runs differ in rate."""
