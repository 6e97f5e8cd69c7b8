"""The exception type whose message is for the user."""


class RdcError(ValueError):
    """An error with a one-line message for the user: what is wrong and how to fix it."""
