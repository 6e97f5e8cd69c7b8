"""Options given by keyword: a misspelt one is named, with the option that was probably meant."""

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from rdc_jax.errors import RdcError


def check_keywords(name: str, given: Iterable[str], *functions: Callable[..., Any]) -> None:
    """Checks the keywords of a call that are passed on to other functions.

    Args:
        name: The function that was called, for the message.
        given: Keywords of the call.
        *functions: Functions whose keyword-only parameters are the options.

    Raises:
        RdcError: There is no such option.
    """
    options = [
        parameter.name
        for function in functions
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind == parameter.KEYWORD_ONLY
    ]
    for keyword in given:
        if keyword not in options:
            nearest = difflib.get_close_matches(keyword, options, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"give {', '.join(options)}"
            raise RdcError(f"{name} has no option {keyword!r}; {hint}")
