"""The fonts to draw with: those that come with Matplotlib, and the system's if it has any."""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ImageFont

from rdc_jax.data.synthesis.draws import pick
from rdc_jax.data.synthesis.words import LANGUAGES
from rdc_jax.errors import RdcError

SYSTEM_FONTS = "/usr/share/fonts"
_SERIFS = (
    *("serif", "stix", "times", "roman", "georgia", "garamond", "bodoni", "cmr", "cmti", "cmb"),
    *("palatino", "schola", "bookman", "termes", "pagella", "baskerville"),
)
_SYMBOLS = "─│┼═║╬█"
_NOT_FOR_TEXT = (
    *("lastresort", "emoji", "symbol", "nonuni", "display", "dingbat", "icon", "math"),
    *("cmex", "cmmi", "cmsy"),  # formulas: other glyphs in the places of letters
)


class Font(NamedTuple):
    """A font file.

    kind: serif, sans or mono. languages: the keys of LANGUAGES that it has all letters of.
    symbols: has the lines and blocks that terminals draw tables with, too.
    """

    path: str
    family: str
    kind: str
    bold: bool
    italic: bool
    languages: tuple[str, ...]
    symbols: bool

    @property
    def name(self) -> str:
        return Path(self.path).name


class Face(NamedTuple):
    """A font at a size in pixels."""

    path: str
    size: int


def find_fonts(system: str = SYSTEM_FONTS) -> tuple[Font, ...]:
    """All usable fonts, sorted by file name; where two files share a name, Matplotlib's own.

    Args:
        system: folder of further fonts; it need not exist.

    Raises:
        RdcError: Matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise RdcError("drawing pictures needs matplotlib: pip install 'rdc_jax[plot]'")
    import matplotlib
    from matplotlib import font_manager

    own = Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")
    found = {Path(path).name: str(path) for path in sorted(font_manager.findSystemFonts([system]))}
    found |= {path.name: str(path) for path in own}
    fonts = (_font(found[name]) for name in sorted(found))
    return tuple(font for font in fonts if font is not None)


def choose(
    rng: np.random.Generator,
    fonts: Sequence[Font],
    language: str = "English",
    *,
    kind: str | None = None,
    bold: bool = False,
    italic: bool = False,
    symbols: bool = False,
) -> Font:
    """A random font with the letters of the language; all families are equally likely.

    Args:
        rng: source of all randomness.
        fonts: result of `find_fonts`.
        language: a key of LANGUAGES that at least one of the fonts has.
        kind: serif, sans, mono or any; ignored where no such font has the letters.
        bold, italic: likewise.
        symbols: True for a font that has them; likewise.
    """
    able = [font for font in fonts if language in font.languages]
    for wanted in (
        lambda f: f.symbols or not symbols,
        lambda f: kind in (None, f.kind),
        lambda f: f.bold == bold,
        lambda f: f.italic == italic,
    ):
        able = [font for font in able if wanted(font)] or able
    family = pick(rng, sorted({font.family for font in able}))
    return pick(rng, [font for font in able if font.family == family])


def languages_of(fonts: Sequence[Font]) -> list[str]:
    """The languages that some font has, in the order of LANGUAGES."""
    known = {language for font in fonts for language in font.languages}
    return [language for language in LANGUAGES if language in known]


@functools.lru_cache(maxsize=512)
def load(face: Face) -> ImageFont.FreeTypeFont:
    # The basic layout engine is part of every Pillow, so results do not depend on libraqm.
    return ImageFont.truetype(face.path, face.size, layout_engine=ImageFont.Layout.BASIC)


def _font(path: str) -> Font | None:
    """None for a file that is damaged or has no Latin letters, and for fonts of symbols."""
    from matplotlib.ft2font import FT2Font

    if any(word in Path(path).name.lower() for word in _NOT_FOR_TEXT):
        return None
    try:
        letters = set(FT2Font(path).get_charmap())
        loaded = load(Face(path, 20))
        family, style = (text or "" for text in loaded.getname())
        same_width = loaded.getlength("i") == loaded.getlength("W")
    except (OSError, RuntimeError, ValueError):
        return None
    languages = tuple(name for name, language in LANGUAGES.items() if language.letters <= letters)
    if "English" not in languages:
        return None
    name = f"{family} {Path(path).stem}".lower()
    kind = "serif" if any(word in name for word in _SERIFS) and "sans" not in name else "sans"
    style = f"{style} {Path(path).stem}".lower()
    return Font(
        path=path,
        family=family,
        kind="mono" if same_width else kind,
        bold=any(word in style for word in ("bold", "black", "heavy", "bol", "cmb")),
        italic=any(word in style for word in ("italic", "oblique", "ita", "cmti")),
        languages=languages,
        symbols=set(map(ord, _SYMBOLS)) <= letters,
    )
