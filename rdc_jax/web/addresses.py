"""Which requests come from the own page of a server, and not from another site in the same browser.

A foreign page can send requests to 127.0.0.1, and by a name that it lets point there (DNS
rebinding) even read the answers. Its requests carry its own name as Host or Origin.
"""

import ipaddress
import socket
from collections.abc import Mapping

WILDCARDS = ("0.0.0.0", "::")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_own(headers: Mapping[str, str], bound: str, port: int) -> bool:
    """Whether a request names the address that is bound, and comes from its page if from any.

    headers: of the request. bound: the address that was listened at. A server that listens
    everywhere takes any numeric address and this machine's name: a foreign site has neither. A link
    to the studio may be followed from anywhere.
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
    if port == 80 and number != "80":  # browsers leave the usual port out
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
