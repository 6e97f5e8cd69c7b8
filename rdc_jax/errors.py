"""The one exception type that is meant to be read by the user."""


class RdcError(ValueError):
    """An error whose text is one line for the user: what is wrong and how to mend it."""
