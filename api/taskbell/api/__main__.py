"""Entry of one API process: `taskbell-api` or `python -m taskbell.api`."""

from __future__ import annotations

import argparse

import uvicorn

from taskbell.api.app import create_app
from taskbell.api.http.protocol import BoundedProtocol
from taskbell.api.settings import ApiSettings
from taskbell.kit.listening import listen
from taskbell.kit.logs import configure_logs
from taskbell.kit.settings import load
from taskbell.kit.trace import Tracing


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests at work are finished first (at most 10 s)."""
    parser = argparse.ArgumentParser(prog="taskbell-api", description="Serve the Taskbell API.")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 -- a pod's default
    parser.add_argument("--port", type=int, default=8000, help="port to listen on")
    parser.add_argument("--fd", type=int, help="an inherited listening socket to use instead of an address")
    arguments = parser.parse_args()
    settings = load(ApiSettings)
    configure_logs(service="api", level=settings.log_level)
    tracing = Tracing.from_environment(service="taskbell-api")
    config = uvicorn.Config(
        create_app(settings, tracing=tracing),
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
    )
    try:
        uvicorn.Server(config).run(sockets=[listen(host=arguments.host, port=arguments.port, fd=arguments.fd)])
    except OSError as refused:
        raise SystemExit(f"taskbell-api: {refused}") from None
    finally:
        tracing.close()


if __name__ == "__main__":
    main()
