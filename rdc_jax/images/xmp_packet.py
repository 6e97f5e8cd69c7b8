"""Removes from an XMP packet what describes parts of the file that are not kept.

Phones describe in XMP where in the file a video, a gain map or a depth map is. Those parts are not
kept, so a viewer would look for them in vain. All other bytes of the packet stay.
"""

import re
from xml.parsers import expat

_PARTS = re.compile(
    rb"//ns\.[\w.-]+/photos/(?!1\.0/panorama)"  # Google and other makers: containers, depth
    rb"|gain-?map|depth-?map|pixeldatainfo"  # Adobe, Apple
    rb"|//ns\.adobe\.com/xmp/note/",  # where a second packet is
    re.IGNORECASE,
)
_NAMESPACE = re.compile(rb"""xmlns:[\w.-]{1,64}\s{0,9}=\s{0,9}["']([^"'<>]{1,300})["']""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")
_TAG_END = re.compile(rb"""(?:[^>"']|"[^"]*"|'[^']*')*>""")


def without_parts(xmp: bytes) -> bytes | None:
    """Removes the properties that describe other parts of the file.

    Args:
        xmp: The packet, UTF-8.

    Returns:
        The packet, unchanged if it has no such property; None if it has but cannot be parsed.
    """
    if not any(_PARTS.search(found[1]) for found in _NAMESPACE.finditer(xmp)):
        return xmp
    try:
        cuts = _Cuts(xmp).found
    except (expat.ExpatError, ValueError):
        return None
    kept, place = [], 0
    for start, end in sorted(cuts):
        kept.append(xmp[place:start])
        place = end
    return b"".join([*kept, xmp[place:]])


class _Cuts:
    """Finds the byte ranges of elements and attributes in unwanted namespaces."""

    def __init__(self, xmp: bytes):
        self.found: list[tuple[int, int]] = []
        self._xmp = xmp
        self._unwanted: list[frozenset[bytes]] = [frozenset()]  # prefixes, one set per open element
        # Of the element being cut: its depth, its place, and its end if it is empty.
        self._cut_from: tuple[int, int, int | None] | None = None
        parser = expat.ParserCreate("UTF-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = _refuse
        self._parser = parser
        parser.Parse(xmp.lstrip(b"\xef\xbb\xbf") if xmp[:3] == b"\xef\xbb\xbf" else xmp, True)

    def _place(self) -> int:
        return self._parser.CurrentByteIndex + (3 if self._xmp[:3] == b"\xef\xbb\xbf" else 0)

    def _tag_end(self, start: int) -> int:
        found = _TAG_END.match(self._xmp, start)
        if found is None:
            raise ValueError("a tag does not end")
        return found.end()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        start = self._place()
        end = self._tag_end(start)
        attribute_places = list(_ATTRIBUTE.finditer(self._xmp, start, end))
        prefixes = set(self._unwanted[-1])
        for found in attribute_places:
            if found[1] == b"xmlns" or found[1].startswith(b"xmlns:"):
                prefix = found[1].partition(b":")[2]
                (prefixes.add if _PARTS.search(found[2]) else prefixes.discard)(prefix)
        self._unwanted.append(frozenset(prefixes))
        if self._cut_from is not None:
            return
        if _prefix(name.encode()) in prefixes:
            is_empty = self._xmp[end - 2 : end] == b"/>"
            self._cut_from = len(self._unwanted), start, end if is_empty else None
            return
        for found in attribute_places:
            declares = found[1].startswith(b"xmlns:") and _PARTS.search(found[2])
            named = b":" in found[1] and _prefix(found[1]) in prefixes
            if declares or named:
                self.found.append(found.span())

    def _end(self, name: str) -> None:
        if self._cut_from is not None and self._cut_from[0] == len(self._unwanted):
            _, start, end = self._cut_from
            self.found.append((start, self._tag_end(self._place()) if end is None else end))
            self._cut_from = None
        self._unwanted.pop()


def _prefix(name: bytes) -> bytes:
    return name.partition(b":")[0] if b":" in name else b""


def _refuse(*arguments: object) -> None:
    raise ValueError("XMP has no document type")
