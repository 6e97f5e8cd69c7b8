"""The exception type whose message is for the user, and what its messages have in common."""

import contextlib
from collections.abc import Iterator

_flags_are_named = False


class RdcError(ValueError):
    """An error with a one-line message for the user: what is wrong and how to fix it."""


def reason(error: OSError) -> str:
    """Why the operating system could not read a file, for "cannot read NAME: REASON"."""
    if isinstance(error, IsADirectoryError):
        return "it is a folder; name a file"
    return error.strerror or str(error) or type(error).__name__


def option(flag: str, argument: str) -> str:
    """The name of an option for a message: what the caller can give.

    Args:
        flag: Its name on the command line, such as "--max-pixels".
        argument: Its name in a Python program, such as "max_pixels".
    """
    return flag if _flags_are_named else argument


@contextlib.contextmanager
def naming_flags() -> Iterator[None]:
    """Inside, in all threads, `option` names flags of the command line."""
    global _flags_are_named
    before, _flags_are_named = _flags_are_named, True
    try:
        yield
    finally:
        _flags_are_named = before
