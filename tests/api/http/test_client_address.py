"""The address of a client behind proxies."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from taskbell.api.http.client_address import ClientAddresses

TRUSTED = [ip_network(text) for text in ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8")]


def address(peer, *forwarded, trusted=TRUSTED):
    """What is found for this peer with these header lines."""
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    client = None if peer is None else (peer, 4711)
    return ClientAddresses(trusted).of(Request({"type": "http", "headers": headers, "client": client}))


def host(*arguments, **more):
    """Only the address of it."""
    return address(*arguments, **more).host


@pytest.mark.feature("T17")
@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.1.2.3", ["203.0.113.9"], "203.0.113.9"),
        ("10.1.2.3", ["203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("10.1.2.3", ["203.0.113.9", "10.9.9.9, 192.0.2.7"], "203.0.113.9"),
        ("::ffff:10.1.2.3", ["203.0.113.9"], "203.0.113.9"),
        ("fd00::1%eth0", ["2001:db8::9"], "2001:db8::9"),
        ("10.1.2.3", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.1.2.3", ["[2001:db8::9]:4711"], "2001:db8::9"),
        ("10.1.2.3", ["[2001:db8::9]"], "2001:db8::9"),
        ("10.1.2.3", ["::ffff:203.0.113.9"], "203.0.113.9"),
    ],
)
def test_trusted_proxies_are_believed(peer, forwarded, expected):
    """The first address from the right that is not a trusted proxy's is the client's, however it is written."""
    assert host(peer, *forwarded) == expected


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1, 10.1.1.1"], "203.0.113.5"),
        ("10.1.2.3", ["198.51.100.1, 203.0.113.5"], "203.0.113.5"),
        ("10.1.2.3", ["198.51.100.1", "203.0.113.5, 10.4.4.4"], "203.0.113.5"),
        ("10.1.2.3", ["198.51.100.1, unknown, 10.4.4.4"], "10.4.4.4"),
        ("10.1.2.3", ["198.51.100.1, , "], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1, 10.0.0.1.evil"], "10.1.2.3"),
        ("10.1.2.3", [""], "10.1.2.3"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1," + "10.1.1.1," * 5000 + "10.7.7.7"], "10.1.1.1"),
        ("unix:", ["198.51.100.1"], "unix:"),
        (None, ["198.51.100.1"], ""),
    ],
)
def test_spoofed_headers_help_nobody(peer, forwarded, expected):
    """What a client wrote itself is never its address: left of its own address, malformed, or from an unknown peer."""
    assert host(peer, *forwarded) == expected


def test_nobody_is_believed_unless_listed():
    """Without trusted proxies the header is ignored."""
    found = address("10.1.2.3", "203.0.113.9", trusted=())
    assert (found.host, found.header_ignored) == ("10.1.2.3", True)
    assert not address("10.1.2.3", "203.0.113.9").header_ignored
