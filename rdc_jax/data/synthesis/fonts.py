"""Fonts for synthetic images: those of Matplotlib and those of the system."""

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
    *("cmex", "cmmi", "cmsy"),  # fonts for formulas have other glyphs in place of letters
)


class Font(NamedTuple):
    """A font file.

    Attributes:
        path: Path of the file.
        family: Name of the font family.
        kind: "serif", "sans" or "mono".
        bold: True for a bold font.
        italic: True for an italic font.
        languages: Keys of LANGUAGES whose letters the font has.
        symbols: True if the font has the lines and blocks of tables in terminals.
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
    """Returns all usable fonts, sorted by file name.

    If a system font has the same file name as a font of Matplotlib, the latter is used.

    Args:
        system: Folder of additional fonts. It may be missing.

    Raises:
        RdcError: Matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise RdcError("drawing images needs matplotlib: pip install matplotlib")
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
    """Chooses a random font with the letters of a language. All families are equally likely.

    A wish for kind, bold, italic or symbols is ignored if no remaining font meets it.

    Args:
        rng: Source of all randomness.
        fonts: Result of `find_fonts`.
        language: A key of LANGUAGES that at least one font supports.
        kind: "serif", "sans", "mono", or None for any.
        bold: True for a bold font.
        italic: True for an italic font.
        symbols: True for a font with the symbols of terminals.
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
    """Returns the languages that at least one font supports, in the order of LANGUAGES."""
    known = {language for font in fonts for language in font.languages}
    return [language for language in LANGUAGES if language in known]


@functools.lru_cache(maxsize=512)
def load(face: Face) -> ImageFont.FreeTypeFont:
    """Loads a font at its size."""
    # Every Pillow has the basic layout engine, so results do not depend on libraqm.
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
