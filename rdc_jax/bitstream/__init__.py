"""The bytes of a file: header, sections, tiles and checksums. No probabilities."""
