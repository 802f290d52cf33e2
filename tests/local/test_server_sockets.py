import contextlib
import socket
import sys

import pytest

from taskbell.local.data_dir import StartRefused
from taskbell.local.server_sockets import listen, listen_for_each, port_of


@pytest.mark.feature("M46")
def test_processes_listen_on_one_port_together():
    """Each process has a socket of the same port, and every one of them is given connections."""
    with contextlib.ExitStack() as held:
        sockets = listen_for_each(2, 0, setting="TASKBELL_API_PORT")
        for one in {*sockets}:
            held.enter_context(one)
            one.settimeout(5)
        assert len({port_of(one) for one in sockets}) == 1
        if sys.platform != "linux":
            pytest.skip("only Linux spreads connections over sockets of one port")
        for _ in range(64):
            held.enter_context(socket.create_connection(("127.0.0.1", port_of(sockets[0]))))
        for one in sockets:
            held.enter_context(one.accept()[0])


def test_a_port_that_others_share_is_taken():
    """A second platform cannot slip onto a port that the first one's processes share."""
    with contextlib.ExitStack() as held:
        sockets = listen_for_each(2, 0, setting="TASKBELL_API_PORT")
        for one in {*sockets}:
            held.enter_context(one)
        port = port_of(sockets[0])
        with pytest.raises(StartRefused, match=f"port {port} is in use.*TASKBELL_API_PORT"):
            listen_for_each(2, port, setting="TASKBELL_API_PORT")
        with pytest.raises(StartRefused, match="in use"):
            listen(port, setting="TASKBELL_API_PORT")
