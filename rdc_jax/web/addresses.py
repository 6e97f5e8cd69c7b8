"""Tells requests of a server's own page from those of other sites in the same browser.

A foreign page can send requests to 127.0.0.1. With a name that points there (DNS rebinding) it can
even read the answers. Its requests have its own name as Host or Origin.
"""

import ipaddress
import socket
from collections.abc import Mapping

WILDCARDS = ("0.0.0.0", "::")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def bracketed(host: str) -> str:
    """A host as it is written in a URL."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_own(headers: Mapping[str, str], bound: str, port: int) -> bool:
    """Whether a request names the server's address and comes from its own page or from no page.

    A server that listens everywhere accepts any numeric address and this machine's name, because a
    foreign site has neither. A link to the studio may be followed from anywhere.

    Args:
        headers: The headers of the request.
        bound: The address that the server listens at.
        port: Its port.
    """
    host, origin = (headers.get("Host") or "").lower(), headers.get("Origin")
    if origin is not None:
        origin = origin.lower()
    if not _names(host, bound.lower(), port) or origin not in (None, f"http://{host}"):
        return False
    followed = headers.get("Sec-Fetch-Mode") == "navigate"
    return followed or headers.get("Sec-Fetch-Site") in (None, "same-origin", "none")


def _names(host: str, bound: str, port: int) -> bool:
    name, _, number = host.rpartition(":")
    if port == 80 and number != "80":  # browsers omit the default port
        name, number = host, "80"
    if number != str(port):
        return False
    if bound not in WILDCARDS:
        return name == bracketed(bound) or (is_loopback(bound) and name in LOOPBACK)
    if name in (*LOOPBACK, socket.gethostname().lower()):
        return True
    try:
        return bool(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return False
