"""Entry of one operator process: `taskbell-operator` or `python -m taskbell.operator`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket

import uvloop

from taskbell.kit.listening import listen
from taskbell.kit.logs import configure_logs
from taskbell.kit.settings import load
from taskbell.operator.app import run
from taskbell.operator.cluster import ClusterRefused
from taskbell.operator.lease import LeaseLost
from taskbell.operator.preflight import NotReadyToWork
from taskbell.operator.settings import OperatorSettings


def main() -> None:
    """Work until SIGTERM or SIGINT. Status 1: the Lease was lost, or something is missing in the cluster."""
    parser = argparse.ArgumentParser(prog="taskbell-operator", description="Keep Taskbell's objects in a cluster.")
    parser.add_argument("--host", default="0.0.0.0", help="address of the probes")  # noqa: S104 -- a pod's default
    parser.add_argument("--port", type=int, default=8080, help="port of the probes")
    parser.add_argument("--fd", type=int, help="an inherited listening socket to use instead of an address")
    parser.add_argument("--server", default="", help="an API server without sign-in, as `kubectl proxy` gives one")
    arguments = parser.parse_args()
    settings = load(OperatorSettings)
    configure_logs(service="operator", level=settings.log_level)
    try:
        listening = listen(host=arguments.host, port=arguments.port, fd=arguments.fd)
        uvloop.run(_serve(settings, listening=listening, url=arguments.server))
    except (NotReadyToWork, ClusterRefused, LeaseLost, OSError) as refused:
        raise SystemExit(f"taskbell-operator: {refused}") from None


async def _serve(settings: OperatorSettings, *, listening: socket.socket, url: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, listening=listening, stop=stop, url=url)


if __name__ == "__main__":
    main()
