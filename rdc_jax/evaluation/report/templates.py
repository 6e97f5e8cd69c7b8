"""The templates of the report: HTML files in `page/`, rendered by Jinja2.

Every value is escaped unless it comes from `page/` itself.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import jinja2


def render(name: str, **values: Any) -> str:
    """The template of that name with these values, as text that can be stored as UTF-8.

    Text from results may hold lone surrogates (file names need not be UTF-8); they become "?".
    """
    page = _environment().get_template(name).render(**values)
    return page.encode("utf-8", "replace").decode("utf-8")


def source(name: str) -> str:
    """The text of a file in `page/`, such as the script."""
    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
