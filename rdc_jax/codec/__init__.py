"""The codec in JAX: encoding, rate control, decoding."""
