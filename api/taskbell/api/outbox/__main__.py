"""Entry of the relay: `taskbell-relay` or `python -m taskbell.api.outbox`."""

from __future__ import annotations

import argparse

import uvloop

from taskbell.api.outbox.app import serve
from taskbell.api.outbox.settings import RelaySettings
from taskbell.kit.listening import listen
from taskbell.kit.logs import configure_logs
from taskbell.kit.settings import load


def main() -> None:
    """Carry events, or stand by, until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="taskbell-relay", description="Carry committed events to the stream.")
    parser.add_argument("--host", default="0.0.0.0", help="address of the probes")  # noqa: S104 -- a pod's default
    parser.add_argument("--port", type=int, default=8002, help="port of the probes")
    parser.add_argument("--fd", type=int, help="an inherited listening socket to use instead of an address")
    arguments = parser.parse_args()
    settings = load(RelaySettings)
    configure_logs(service="relay", level=settings.log_level)
    try:
        listening = listen(host=arguments.host, port=arguments.port, fd=arguments.fd)
    except OSError as refused:
        raise SystemExit(f"taskbell-relay: {refused}") from None
    uvloop.run(serve(settings, listening=listening))


if __name__ == "__main__":
    main()
