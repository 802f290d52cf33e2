"""What `taskbell-api` does: serve requests."""

from __future__ import annotations

import os
import signal
from types import FrameType

import uvicorn

from taskbell.api.app import create_app
from taskbell.api.http.connections import ConnectionLimits
from taskbell.api.http.protocol import bounded_by
from taskbell.api.settings import ApiSettings
from taskbell.kit import entry
from taskbell.kit.logs import configure_logs
from taskbell.kit.settings import load
from taskbell.kit.trace import Tracing


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests at work are finished first (at most 10 s)."""
    arguments = entry.parser("taskbell-api", "Serve the Taskbell API.", port=8000).parse_args()
    settings = load(ApiSettings)
    entry.allow_open_files()
    configure_logs(service="api", level=settings.log_level)
    tracing = Tracing.from_environment(service="taskbell-api")
    limits = ConnectionLimits(
        most=settings.api_max_connections,
        head_seconds=settings.request_head_timeout.total_seconds(),
        request_seconds=settings.request_timeout.total_seconds(),
        reading_seconds=settings.response_timeout.total_seconds(),
    )
    config = uvicorn.Config(
        create_app(settings, tracing=tracing),
        loop="uvloop",
        http=bounded_by(limits),
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # `http.client_address` reads them
        server_header=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=int(settings.keep_alive_timeout.total_seconds()),
    )
    entry.collect_rarely()
    try:
        _Server(config).run(sockets=[entry.listen(host=arguments.host, port=arguments.port, fd=arguments.fd)])
    except OSError as refused:
        raise SystemExit(f"taskbell-api: {refused}") from None
    finally:
        tracing.close()


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End at once before the first request, else after those at work; uvicorn would raise the signal again."""
        del frame
        if not self.started:
            os._exit(0)
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
