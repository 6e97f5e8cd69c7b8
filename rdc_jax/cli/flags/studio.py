"""Arguments of the studio."""

from typing import Any

from rdc_jax.cli.flags.shared import model, new_command, number


def add_studio(commands: Any) -> None:
    p = new_command(
        commands, "studio", "encode, paint importance and compare in a browser",
        epilog="This machine serves the page; neither a network nor other packages are needed. "
        "Ctrl-C ends it. Photos up to 24 megapixels.",
    )  # fmt: skip
    p.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="address to listen at; default: %(default)s, which no other machine can reach",
    )  # fmt: skip
    p.add_argument(
        "--port", type=number(int, 0, 65535), default=8047, metavar="N",
        help="default: %(default)s; 0 takes a free port",
    )  # fmt: skip
    p.add_argument("--no-browser", action="store_true", help="only print the address")
    model(p)
