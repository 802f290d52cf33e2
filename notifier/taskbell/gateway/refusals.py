"""Refusals as frames."""

from __future__ import annotations

from taskbell.contract.frames import CloseCode
from taskbell.contract.scopes import Scope
from taskbell.gateway import frames
from taskbell.gateway.actions import Refusal

SCOPE_MISSING = Refusal(
    "insufficient_scope", f"the token needs the scope {Scope.EVENTS_READ}", close_code=CloseCode.FORBIDDEN
)
TOKEN_ENDED = Refusal("token_ended", "the personal access token was deleted, or has expired")
UNKNOWN_CHANNEL = Refusal("unknown_channel", "channels are me and workspace:<id>")


def too_many_connections(most: int) -> Refusal:
    """Report that a user has as many connections as are allowed, at all gateways together."""
    message = f"a user has at most {most} connections"
    return Refusal("too_many_connections", message, close_code=CloseCode.TOO_MANY_CONNECTIONS)


def channel_refused(channel: str, refusal: Refusal) -> bytes:
    """Report that a channel is refused, or has ended, outside of a reply."""
    return frames.error(refusal.code, refusal.message, retryable=refusal.retryable, channel=channel)


def not_ok(request_id: str | int | None, refusal: Refusal, channel: str | None = None) -> bytes:
    """Answer a request that is refused."""
    more = {} if channel is None else {"channel": channel}
    return frames.reply(
        request_id, ok=False, code=refusal.code, retryable=refusal.retryable, message=refusal.message, **more
    )
