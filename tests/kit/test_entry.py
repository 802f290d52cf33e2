"""What the entries of all services share."""

import contextlib
import gc
import resource
import socket
import subprocess
import sys

import pytest

from taskbell.kit import entry
from taskbell.kit.entry import listen, parser


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


def test_every_service_takes_the_same_address_options():
    """Host, port and inherited socket are given alike everywhere; only the port's default is a service's own."""
    given = parser("taskbell-x", "Does x.", port=8009).parse_args(["--host", "::1"])
    assert (given.host, given.port, given.fd) == ("::1", 8009, None)


def test_a_second_signal_ends_at_once():
    """The first SIGTERM asks, so that work can be finished; the second does not wait for it."""
    program = (
        "import asyncio, os, signal\n"
        "from taskbell.kit.entry import asked_to_stop\n"
        "async def main():\n"
        "    asked = asked_to_stop()\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    await asked.wait()\n"
        "    print('asked', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "asked\n")


def test_a_program_may_open_as_many_files_as_the_system_permits():
    """The soft limit of open files is raised: with 1,024, a flood of connections would leave none for the stores."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        entry.allow_open_files()
        raised = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert raised == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_garbage_collector_runs_rarely():
    """What a program has loaded is spared, and 10,000 new objects begin a round."""
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        entry.collect_rarely()
        assert gc.get_threshold()[0] == 10_000
        assert gc.get_freeze_count() > frozen
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
