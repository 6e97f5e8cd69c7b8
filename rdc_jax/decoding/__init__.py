"""All of decoding but the networks, shared by every back end. NumPy only."""
