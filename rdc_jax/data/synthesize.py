"""A folder of synthetic screen content, for training with `data.mix`.

The folder holds `KIND/NUMBER.png`, and `manifest.json` with the settings, the fonts and the kind of
each file. An image depends only on the seed, its number and the fonts. So an interrupted run can
continue, and a set can be enlarged later.
"""

import importlib.metadata
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from rdc_jax.data.shards import MANIFEST
from rdc_jax.data.synthesis import kinds
from rdc_jax.data.synthesis.fonts import SYSTEM_FONTS, Font, find_fonts
from rdc_jax.errors import RdcError
from rdc_jax.images import atomic_write


def synthesize(
    out: str | Path,
    count: int,
    *,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    fonts: str | Path | None = None,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Draws all missing images.

    Args:
        out: Folder of the images, created if it does not exist.
        count: Number of images, including existing ones.
        seed: Seed of the set, 0 or more.
        size: (width, height) of all images; None for varied sizes.
        fonts: Folder of fonts in addition to Matplotlib's; None for the system's fonts.
        progress: True to show a progress bar; None to show it on a terminal.

    Returns:
        The content of the manifest.

    Raises:
        RdcError: Matplotlib or the folder of fonts is missing, `out` holds other files, or `out`
            cannot be written.
    """
    if fonts is not None and not Path(fonts).expanduser().is_dir():
        raise RdcError(f"no folder '{fonts}' of fonts")
    out = Path(out).expanduser()
    found_fonts = find_fonts(SYSTEM_FONTS if fonts is None else str(Path(fonts).expanduser()))
    settings = {
        "seed": seed,
        "size": list(size) if size else None,
        "fonts": [font.name for font in found_fonts],
    }
    _start(out, settings)
    names = [f"{kinds.kind_of(number)}/{number:05d}.png" for number in range(count)]
    missing = [number for number, name in enumerate(names) if not (out / name).is_file()]
    bar = tqdm(
        missing, initial=count - len(missing), total=count, unit="image",
        disable=None if progress is None else not progress,
    )  # fmt: skip
    for number in bar:
        _write(out / names[number], number, seed, found_fonts, size)
    found = sorted(path.relative_to(out).as_posix() for path in out.glob("*/*.png"))
    manifest = settings | {
        "drawn_with": {name: importlib.metadata.version(name) for name in ("matplotlib", "pillow")},
        "files": [{"file": name, "kind": name.split("/")[0]} for name in found],
    }
    _save(out, manifest)
    return manifest


def _start(out: Path, settings: dict[str, Any]) -> None:
    """Creates the folder, or checks that it holds images drawn with the same settings."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        strange = any(out.iterdir()) and not (out / MANIFEST).is_file()
        stored = json.loads((out / MANIFEST).read_text()) if (out / MANIFEST).is_file() else None
    except (OSError, ValueError) as error:
        raise RdcError(f"cannot use '{out}' as output: {error}") from None
    if strange:
        raise RdcError(f"'{out}' holds other files; name a new folder")
    if stored is None:
        _save(out, settings)
        return
    for name, value in settings.items():
        if not isinstance(stored, dict) or stored.get(name) != value:
            raise RdcError(
                f"'{out}' was drawn with other settings ({name}, see its {MANIFEST}); "
                "name a new folder"
            )


def _write(
    path: Path, number: int, seed: int, fonts: Sequence[Font], size: tuple[int, int] | None
) -> None:
    file = io.BytesIO()
    Image.fromarray(kinds.draw(number, seed, fonts, size)).save(file, "PNG")
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise RdcError(f"cannot write '{path}': {error.strerror or error}") from None
    atomic_write(path, file.getvalue(), overwrite=True)


def _save(out: Path, manifest: dict[str, Any]) -> None:
    atomic_write(out / MANIFEST, json.dumps(manifest, indent=1).encode(), overwrite=True)
