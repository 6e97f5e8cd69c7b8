"""`rdc studio`: serves the codec as a page in the browser."""

import os
import sys
import threading
import webbrowser
from argparse import Namespace
from typing import Any

from rdc_jax.cli.lazy_codec import LazyCodec
from rdc_jax.errors import RdcError


def run(args: Namespace) -> int:
    model = LazyCodec(args.model)
    from rdc_jax.web import addresses
    from rdc_jax.web.studio import server
    from rdc_jax.web.studio.workbench import Workbench

    bench = Workbench(lambda: model.codec)

    def announce(address: str) -> None:
        print(f"{address}  (Ctrl-C ends)", flush=True)
        if not addresses.is_loopback(args.host):
            print(
                "rdc: note: every machine that can reach this address can use the studio",
                file=sys.stderr,
            )
        threading.Thread(target=warm_up, args=(bench,), daemon=True).start()
        if not args.no_browser and has_desktop():
            webbrowser.open(address)

    server.serve(bench, args.host, args.port, announce)
    sys.stdout.flush()
    if bench.is_busy():  # running networks cannot be stopped, and there is nothing to save
        os._exit(0)
    return 0


def warm_up(bench: Any) -> None:
    """Loads and compiles while the page opens; prints errors, which the next request repeats."""
    try:
        bench.warm_up()
    except RdcError as error:
        print("rdc: error:", *str(error).split(), file=sys.stderr)


def has_desktop() -> bool:
    """Whether a browser would open a window instead of taking over this terminal."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
