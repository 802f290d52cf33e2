"""Structured logs: one JSON object per line on standard error, with the trace id of the current work."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from taskbell.kit import trace

_SECRET_WORDS = ("password", "token", "secret", "authorization", "signing_keys")


def configure_logs(*, service: str, level: str = "INFO") -> None:
    """Write Taskbell's records and those of libraries to standard error in one format."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        _hide_secrets,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(serializer=_dump),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.contextvars.bind_contextvars(service=service)


def _dump(record: Any, **_: Any) -> str:
    return orjson.dumps(record, default=str).decode()


def _add_trace(_: Any, __: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.current.get()
    if context is not None:
        record["trace_id"] = context.trace_id
    return record


def _hide_secrets(_: Any, __: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in record:
        if any(word in name.lower() for word in _SECRET_WORDS):
            record[name] = "[hidden]"
    return record
