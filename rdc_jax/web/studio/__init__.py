"""The studio: a page of this machine to encode images, paint importance and compare."""
