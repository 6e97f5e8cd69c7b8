"""Arguments that several commands share, and the types of values."""

import argparse
import decimal
import math
import re
from collections.abc import Callable
from typing import Any


def number(kind: type, least: float, most: float = float("inf")) -> Callable[[str], Any]:
    """An argparse type for numbers in a range.

    Args:
        kind: int or float.
        least: Smallest value allowed.
        most: Largest value allowed.
    """

    def parse(text: str) -> Any:
        try:
            value = kind(text)
            if math.isnan(value):
                raise ValueError
        except (ValueError, OverflowError):
            noun = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"'{text}' is not a {noun}") from None
        if not least <= value <= most:
            limits = f"{least} to {most}" if most < float("inf") else f"{least} or more"
            raise argparse.ArgumentTypeError(f"{text} is not in the range {limits}")
        return value

    return parse


def size_in_bytes(text: str) -> int:
    """An argparse type: a size of at least one byte, such as 80000, 80k, 1.2M, 64KiB, 2MiB."""
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([kKM]?)(i?)[bB]?", text.strip())
    if not found or (found[3] and not found[2]):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a size; give bytes, such as 80000, 80k, 1.2M, 64KiB or 2MiB"
        )
    power = {"": 0, "k": 1, "m": 2}[found[2].lower()]
    size = math.floor(decimal.Decimal(found[1]) * (1024 if found[3] else 1000) ** power)
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than one byte")
    return size


def width_and_height(text: str) -> tuple[int, int]:
    """An argparse type: WxH in pixels, each side 256 to 8192."""
    found = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size; write WxH, such as 768x512")
    width, height = (number(int, 256, 8192)(side) for side in found.groups())
    return width, height


def percent_or_full(text: str) -> float:
    """An argparse type: a percentage from 0 to 99; "full" means 0."""
    return 0.0 if text == "full" else number(float, 0, 99)(text)


def words(text: str) -> list[str]:
    """An argparse type: words separated by commas."""
    if found := [word for word in text.split(",") if word]:
        return found
    raise argparse.ArgumentTypeError(f"'{text}' names nothing; separate several with commas")


def numbers(text: str) -> list[float]:
    """An argparse type: numbers separated by commas."""
    return [number(float, -float("inf"))(word) for word in words(text)]


def new_command(commands: Any, name: str, summary: str, **options: Any) -> argparse.ArgumentParser:
    """Adds a command to the subparsers `commands`.

    Args:
        commands: Of `add_subparsers`.
        name: The command; also the name of its module in `rdc_jax.cli.commands`.
        summary: What the command does, in one line without a period.
        **options: Further arguments of `add_parser`.
    """
    description = summary[0].upper() + summary[1:] + "."
    p = commands.add_parser(name, help=summary, description=description, **options)
    p.set_defaults(module=name)
    return p


def input_and_output(p: argparse.ArgumentParser, what: str, extension: str) -> None:
    """Adds the inputs, the output, and how several processes share them.

    Args:
        p: The parser.
        what: Help text of the inputs.
        extension: Extension of the outputs.
    """
    p.add_argument("input", nargs="+", metavar="INPUT", help=what)
    p.add_argument(
        "-o", "--output", metavar="OUT",
        help="file, - for standard output, or a folder for several inputs; default: the input's "
        f"name with {extension}",
    )  # fmt: skip
    force(p, "existing files")
    p.add_argument(
        "-r", "--recursive", action="store_true",
        help="also take the files of folders in folders; the outputs lie in folders of the same "
        "names",
    )  # fmt: skip
    p.add_argument(
        "--resume", action="store_true",
        help="skip inputs whose output exists and is complete; its model and settings are not "
        "compared",
    )  # fmt: skip
    sharing(p, "inputs")


def sharing(p: argparse.ArgumentParser, what: str) -> None:
    """Adds the arguments by which several processes share some work; `what` names it."""
    for name, meaning in (("index", "number of this process, from 0"), ("count", "their number")):
        p.add_argument(
            f"--process-{name}", type=number(int, 0), metavar="IN"[name == "count"],
            help=f"for several processes that share the {what}: {meaning}; default: from the "
            "environment, see launch/",
        )  # fmt: skip


def force(p: argparse.ArgumentParser, replaced: str) -> None:
    p.add_argument("-f", "--force", action="store_true", help=f"replace {replaced}")


def model(p: argparse.ArgumentParser) -> None:
    p.add_argument("--model", metavar="NAME_OR_PATH", help="a name from `rdc models`, or a folder")


def fusion(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--fusion", metavar="FOLDER",
        help="fusion module to use instead of the model's own; none: no fusion module",
    )  # fmt: skip


def quality(p: Any, help: str, default: float | None = None) -> None:
    """Adds --quality to a parser or a group."""
    p.add_argument(
        "-q", "--quality", type=number(float, 0, 100), default=default, metavar="Q", help=help
    )


def roi_gain(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--roi-gain", type=number(float, 0, 1000), metavar="G",
        help="timesteps between unimportant and important parts, 0 to 1000; default: 300",
    )  # fmt: skip


def steps(p: argparse.ArgumentParser, details: str) -> None:
    """details: Follows "sampler steps" in the help text: whose steps, and the default."""
    p.add_argument("--steps", type=number(int, 1, 255), metavar="N", help=f"sampler steps{details}")


def max_pixels(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--max-pixels", type=number(int, 1), metavar="N",
        help="refuse images of more pixels, and images coded in pieces of more than an eighth of "
        "N; default: 2^28",
    )  # fmt: skip


def config_and_overrides(
    p: argparse.ArgumentParser, config: str, overrides: str, metavar: str = "PATH[:VARIANT]"
) -> None:
    """Adds --config and the settings that change it.

    Args:
        p: The parser.
        config: Help text of --config.
        overrides: Examples of settings.
        metavar: Form of the value of --config.
    """
    p.add_argument("--config", required=True, metavar=metavar, help=config)
    p.add_argument(
        "overrides", nargs="*", metavar="key=value",
        help=f"settings to change, such as {overrides}; --config.key=value is the same",
    )  # fmt: skip


def json_lines(p: argparse.ArgumentParser) -> None:
    p.add_argument("-j", "--json", action="store_true", help="one line of JSON per file")


def common(p: argparse.ArgumentParser) -> None:
    json_lines(p)
    p.add_argument("--quiet", action="store_true", help="print errors only")
    p.add_argument("-v", "--verbose", action="store_true", help="print more about each file")
