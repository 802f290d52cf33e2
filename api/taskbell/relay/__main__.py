"""Entry of the relay: `taskbell-relay` or `python -m taskbell.relay`."""

from __future__ import annotations

import uvloop

from taskbell.kit import entry
from taskbell.kit.logs import configure_logs
from taskbell.kit.settings import load
from taskbell.relay.app import serve
from taskbell.relay.settings import RelaySettings


def main() -> None:
    """Carry events, or stand by, until SIGTERM or SIGINT."""
    arguments = entry.parser("taskbell-relay", "Carry committed events to the stream.", port=8002).parse_args()
    settings = load(RelaySettings)
    configure_logs(service="relay", level=settings.log_level)
    try:
        listening = entry.listen(host=arguments.host, port=arguments.port, fd=arguments.fd)
    except OSError as refused:
        raise SystemExit(f"taskbell-relay: {refused}") from None
    uvloop.run(serve(settings, listening=listening))


if __name__ == "__main__":
    main()
