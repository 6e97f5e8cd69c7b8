"""The bytes of an `.rdc` file: header, sections, tiles and checksums, but no probabilities."""
