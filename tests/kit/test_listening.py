"""Services listen where their command line says."""

import contextlib
import socket

import pytest

from taskbell.kit.listening import listen


def _reached(family, address, port):
    with socket.socket(family) as client:
        return client.connect_ex((address, port)) == 0


@pytest.mark.parametrize(("host", "four", "six"), [("0.0.0.0", True, False), ("::", True, True), ("::1", False, True)])
def test_an_address_says_which_of_both_worlds_comes_in(host, four, six):
    """`::` takes IPv4 and IPv6, as pods of clusters with either want it; other addresses take their own kind."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with contextlib.closing(listen(host=host, port=0)) as server:
        port = server.getsockname()[1]
        assert _reached(socket.AF_INET, "127.0.0.1", port) is four
        assert _reached(socket.AF_INET6, "::1", port) is six


def test_an_inherited_socket_is_used_instead():
    """A file descriptor that a parent gives is the socket, whatever the address."""
    with socket.create_server(("127.0.0.1", 0)) as parents:
        address = parents.getsockname()
        with contextlib.closing(listen(host="0.0.0.0", port=1, fd=parents.dup().detach())) as inherited:
            assert inherited.getsockname() == address
