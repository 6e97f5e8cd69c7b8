"""Quality of decoded images, size of files, and comparison of codecs."""
