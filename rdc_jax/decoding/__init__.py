"""Everything about decoding except the networks: NumPy only, shared by every back end."""
