"""Decoding in a web page: the folder of `rdc export --to web`."""
