"""`rdc info`: the contents of a .rdc file, accounting for every byte. Runs no network."""

import json
import sys
from argparse import Namespace
from typing import Any

import numpy as np

from rdc_jax.bitstream import container, tile_index
from rdc_jax.bitstream.framing import CRC_BYTES
from rdc_jax.bitstream.sections import SectionType, section_name
from rdc_jax.cli.jobs import read_bytes
from rdc_jax.cli.outputs import STREAM
from rdc_jax.cli.standard_streams import one_line
from rdc_jax.codec import metadata_sections
from rdc_jax.entropy import importance_coding
from rdc_jax.errors import RdcError
from rdc_jax.importance.timesteps import level_timesteps

SHADES = " .:-=+*#%@"
MAP_COLUMNS, MAP_ROWS = 64, 32  # largest size of a drawn map, characters


def run(args: Namespace) -> int:
    failures = []
    for number, name in enumerate(args.input):
        try:
            content = _contents_of(name, args.max_pixels or container.DEFAULT_MAX_PIXELS)
        except RdcError as error:
            if len(args.input) == 1:
                raise
            failures.append(error)
            continue
        if args.json:
            print(json.dumps({"file": name, **content}))
        else:
            print("\n" * (number > 0) + describe(name, content))
    for error in failures:
        print("rdc: error:", one_line(error), file=sys.stderr)
    return 2 if failures else 0


def _contents_of(name: str, max_pixels: int) -> dict[str, Any]:
    data = read_bytes(name)
    try:
        return contents(data, max_pixels)
    except RdcError as error:
        shown = "standard input" if name == STREAM else f"'{name}'"
        raise RdcError(f"{shown}: {error}") from error


def contents(data: bytes, max_pixels: int) -> dict[str, Any]:
    """Everything in the container and the map of a file, ready for JSON."""
    header, sections = container.unpack(data, max_pixels=max_pixels)
    payloads = {section.type: section.payload for section in sections}
    grid = importance_coding.decode_importance(
        payloads[SectionType.IMPORTANCE], header.map_shape, header.num_levels
    )
    timesteps = level_timesteps(header.timestep_background, header.timestep_roi, header.num_levels)
    return {
        "bytes": len(data),
        "bpp": 8 * len(data) / (header.width * header.height),
        "format_version": container.FORMAT_VERSION,
        "header": container.described(header),
        "header_bytes": sections[0].offset,
        "sections": [
            {
                "name": section_name(section.type).lower(),
                "offset": section.offset,
                "bytes": section.total_bytes,
                "payload_bytes": len(section.payload),
                **metadata_sections.said_of(section),
            }
            for section in sections
        ],
        "tiles": tiles_of(data, header, sections),
        "map": {
            "rows": grid.shape[0],
            "columns": grid.shape[1],
            "cells_per_level": np.bincount(grid.ravel(), minlength=header.num_levels).tolist(),
            "timestep_per_level": timesteps.tolist(),
            "levels": grid.tolist(),
        },
    }


def tiles_of(
    data: bytes, header: container.Header, sections: list[container.Section]
) -> dict[str, Any] | None:
    """The grid of tiles and their sizes; None for a file without tiles.

    Args:
        data: The file.
        header: Its header.
        sections: Its sections.
    """
    found = [section for section in sections if section.type == SectionType.TILES]
    if not found:
        return None
    end = found[0].offset + found[0].total_bytes - CRC_BYTES
    place = end - len(found[0].payload), end
    index = tile_index.read_index(
        lambda offset, length: data[offset : offset + length], *place, header.height, header.width
    )
    sizes = index.tile_bytes()
    return {
        "rows": index.grid.rows,
        "columns": index.grid.columns,
        "side": index.grid.side,
        "bytes": {"min": int(sizes.min()), "mean": float(sizes.mean()), "max": int(sizes.max())},
    }


def describe(name: str, content: dict[str, Any]) -> str:
    """The contents as text for people."""
    header, coded_map = content["header"], content["map"]
    lines = [
        f"{name}: rdc format version {content['format_version']}, {content['bytes']} bytes, "
        f"{content['bpp']:.4f} bits per pixel",
        "",
        *(f"  {field:<20} {value}" for field, value in header.items()),
        "",
        f"  {'part':<20} {'offset':>8} {'bytes':>8} {'payload':>8}   share",
        _part(content, "header", 0, content["header_bytes"], ""),
    ]
    for section in content["sections"]:
        row = (section["name"], section["offset"], section["bytes"], section["payload_bytes"])
        lines.append(_part(content, *row) + f"  {section.get('holds', '')}".rstrip())
    total = content["header_bytes"] + sum(section["bytes"] for section in content["sections"])
    lines += [_part(content, "total", "", total, ""), ""]
    if tiles := content["tiles"]:
        sizes = tiles["bytes"]
        lines += [
            f"  tiles: {tiles['columns']} x {tiles['rows']} of {tiles['side']} pixels, "
            f"{sizes['min']} to {sizes['max']} bytes each, {sizes['mean']:.0f} on average",
            "",
        ]
    cells = f"{coded_map['columns']} x {coded_map['rows']} cells"
    if header["num_levels"] == 1:
        lines.append(f"  importance map: none, all {cells} are equal")
        return "\n".join(lines)
    lines.append(f"  importance map: {cells} of {header['cell_size']} pixels")
    levels = zip(coded_map["timestep_per_level"], coded_map["cells_per_level"], strict=True)
    lines += [
        f"  level {level:>3} {_shade(level, header['num_levels'])}  timestep {timestep:>4}  "
        f"{count:>8} cells"
        for level, (timestep, count) in enumerate(levels)
        if count
    ]
    lines += ["", *drawing(np.array(coded_map["levels"]), header["num_levels"])]
    return "\n".join(lines)


def drawing(grid: np.ndarray, num_levels: int) -> list[str]:
    """A map of levels [rows, columns] as lines of text; a cell is two characters wide."""
    rows, columns = grid.shape
    stride = max(1.0, 2 * columns / MAP_COLUMNS, rows / MAP_ROWS)
    y = (np.arange(int(np.ceil(rows / stride))) * stride).astype(int)
    x = (np.arange(int(np.ceil(2 * columns / stride))) * stride / 2).astype(int)
    return [
        "  |" + "".join(_shade(level, num_levels) for level in row) + "|" for row in grid[y][:, x]
    ]


def _shade(level: int, num_levels: int) -> str:
    return SHADES[round(level / max(1, num_levels - 1) * (len(SHADES) - 1))]


def _part(content: dict[str, Any], name: str, offset: Any, size: int, payload: Any) -> str:
    share = 100 * size / content["bytes"]
    return f"  {name:<20} {offset:>8} {size:>8} {payload:>8} {share:>6.1f}%"
