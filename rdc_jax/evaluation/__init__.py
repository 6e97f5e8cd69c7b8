"""How good a picture is, how long its file is, and how codecs compare."""
