"""Exchange with diffusers: U-Nets, autoencoders, schedulers."""
