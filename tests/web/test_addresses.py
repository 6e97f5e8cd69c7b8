"""Which requests come from the page of a server itself."""

import socket

import pytest

from rdc_jax.web import addresses


@pytest.mark.parametrize(
    ("bound", "host", "own"),
    [
        ("127.0.0.1", "127.0.0.1:5", True),
        ("127.0.0.1", "[::1]:5", True),
        ("127.0.0.1", "192.168.0.9:5", False),
        ("192.168.0.9", "192.168.0.9:5", True),
        ("192.168.0.9", "localhost:5", False),
        ("0.0.0.0", "192.168.0.9:5", True),
        ("0.0.0.0", "evil.example:5", False),
        ("0.0.0.0", f"{socket.gethostname()}:5", True),
        ("::", "[fe80::1]:5", True),
        ("fe80::1", "[fe80::1]:5", True),
        ("127.0.0.1", "5", False),
    ],
)
def test_which_hosts_are_the_studio(bound, host, own):
    assert addresses.is_own({"Host": host}, bound, 5) is own
    assert addresses.is_own({"Host": host, "Origin": f"http://{host}"}, bound, 5) is own
    assert not addresses.is_own({"Host": host, "Origin": "http://evil.example"}, bound, 5)


def test_the_usual_port_may_be_left_out():
    assert addresses.is_own({"Host": "127.0.0.1"}, "127.0.0.1", 80)
    assert not addresses.is_own({"Host": "evil.example"}, "0.0.0.0", 80)
