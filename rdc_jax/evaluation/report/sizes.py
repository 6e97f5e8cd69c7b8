"""Sizes of files for people to read, in units of 1000, as --target-size counts them."""

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def size_text(size: float) -> str:
    """Three digits and a unit: 640 bytes, 12.4 kB, 1.05 MB."""
    number, unit = float(size), 0
    while number >= 999.5 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    if unit == 0:
        return f"{size:.0f} byte{'s' * (round(size) != 1)}"
    decimals = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{decimals}f} {UNITS[unit]}"
