"""Which files are taken from the folders among the inputs, and which are only mentioned."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rdc_jax.errors import RdcError
from rdc_jax.images.formats import OTHER_IMAGES, is_named


class Input(NamedTuple):
    """A file to code.

    Attributes:
        path: The file.
        within: Its folder, relative to the folder that was named; "." for that folder itself.
    """

    path: Path
    within: Path


def expanded(
    names: list[str], extensions: tuple[str, ...], recursive: bool, output: str | None
) -> list[Input]:
    """The files of the inputs; each once, even if it is named twice.

    Args:
        names: Files and folders.
        extensions: Extensions of the files that are taken from a folder.
        recursive: Whether folders in folders are searched too.
        output: The folder of the outputs, which is not searched.

    Raises:
        RdcError: A folder has no such file.
    """
    found: dict[str, Input] = {}
    for name in names:
        if not os.path.isdir(name):
            found.setdefault(os.path.abspath(name), Input(Path(name), Path(".")))
            continue
        files = list(_files(Path(name), extensions, recursive, output))
        if not files:
            inside = "" if not recursive else " or below it"
            raise RdcError(
                f"the folder '{name}' has no files ending in {' '.join(extensions)}{inside}"
            )
        for file in files:
            found.setdefault(os.path.abspath(file.path), file)
    return list(found.values())


def _files(
    folder: Path, extensions: tuple[str, ...], recursive: bool, output: str | None
) -> Iterator[Input]:
    out = None if output is None else os.path.realpath(output)
    for place, folders, files in os.walk(folder, onerror=_raise):
        for name in sorted(files):
            path = Path(place) / name
            if is_named(path, extensions) and os.path.isfile(path):
                yield Input(path, Path(os.path.relpath(place, folder)))
        wanted = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        folders[:] = [n for n in wanted if os.path.realpath(os.path.join(place, n)) != out]


def _raise(error: OSError) -> None:
    raise RdcError(f"cannot read the folder '{error.filename}': {error.strerror}")


def notes(name: str, extensions: tuple[str, ...], recursive: bool, output: str | None) -> list[str]:
    """What is left out of a folder: folders in it, and images that are not taken.

    Args:
        name: An input.
        extensions: As in `expanded`.
        recursive: As in `expanded`.
        output: The folder of the outputs.
    """
    if not os.path.isdir(name):
        return []
    out = None if output is None else os.path.realpath(output)
    entries = sorted(Path(name).iterdir())
    found = []
    visible = [path for path in entries if not path.name.startswith(".")]
    folders = sum(os.path.isdir(p) and os.path.realpath(p) != out for p in visible)
    if folders and not recursive:
        ignored = "1 folder, which is" if folders == 1 else f"{folders} folders, which are"
        found.append(f"'{name}' contains {ignored} ignored; --recursive takes them too")
    others = [path.name for path in entries if is_named(path, OTHER_IMAGES)]
    if others and ".rdc" not in extensions:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        found.append(
            f"'{name}' contains other images, which are ignored: {', '.join(others[:3])}{more}; "
            "name them to have them coded"
        )
    return found
