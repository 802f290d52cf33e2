"""What `taskbell-operator` does."""

from __future__ import annotations

import socket
import sys

import uvloop

from taskbell.kit import entry
from taskbell.kit.logs import configure_logs
from taskbell.kit.settings import load
from taskbell.operator.app import run
from taskbell.operator.cluster import ClusterRefused
from taskbell.operator.lease import LeaseLost
from taskbell.operator.preflight import NotReadyToWork
from taskbell.operator.settings import OperatorSettings
from taskbell.operator.simulation.command import main as simulate


def main() -> None:
    """Run until SIGTERM or SIGINT. Exits with status 1 if the Lease is lost or permissions are missing.

    With the word `simulate` it only runs a load through a pool's decisions.
    """
    if sys.argv[1:2] == ["simulate"]:
        simulate(sys.argv[2:])
        return
    command = entry.parser(
        "taskbell-operator", "Keep the CronJobs and the pool sizes of Taskbell in a cluster.", port=8080
    )
    command.add_argument(
        "--server", default="", help="address of an API server without sign-in, such as `kubectl proxy`"
    )
    command.epilog = (
        "taskbell-operator simulate: run a load through a WorkerPool's decisions, without a cluster (--help)"
    )
    arguments = command.parse_args()
    settings = load(OperatorSettings)
    configure_logs(service="operator", level=settings.log_level)
    try:
        listening = entry.listen(host=arguments.host, port=arguments.port, fd=arguments.fd)
        uvloop.run(_serve(settings, listening=listening, url=arguments.server))
    except (NotReadyToWork, ClusterRefused, LeaseLost, OSError) as refused:
        raise SystemExit(f"taskbell-operator: {refused}") from None


async def _serve(settings: OperatorSettings, *, listening: socket.socket, url: str) -> None:
    await run(settings, listening=listening, stop=entry.asked_to_stop(), url=url)
