"""The studio: encoding, painting and looking at pictures in a browser, served by this machine."""
