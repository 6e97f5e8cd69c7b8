"""Exchange with diffusers: U-Nets, autoencoders and schedulers."""
