"""Picture files: read as upright 8-bit pixels with alpha and metadata, and written again."""
