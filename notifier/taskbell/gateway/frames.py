"""Server frames: the JSON texts, and how a WebSocket frames them.

A frame from the server is not masked (RFC 6455, section 5.1), so that all receivers share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from taskbell.contract.frames import Resume, ServerFrame

_FINAL_TEXT = 0x81


def text_frame(payload: bytes) -> bytes:
    """Return the unfragmented, unmasked text frame of a payload (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((_FINAL_TEXT, size)) + payload
    if size < 65_536:
        return bytes((_FINAL_TEXT, 126)) + size.to_bytes(2) + payload
    return bytes((_FINAL_TEXT, 127)) + size.to_bytes(8) + payload


def text_of(frame: bytes) -> bytes:
    """Return the payload of a frame that `text_frame` made."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def event_frame(epoch: int, sequence: int, event: bytes) -> bytes:
    """Frame an event's JSON text, untouched, with the cursor that names its place."""
    return text_frame(b'{"t":"event","cursor":"%d-%d","event":%b}' % (epoch, sequence, event))


def welcome(
    *,
    connection_id: str,
    user_id: str,
    epoch: int,
    cursor: str,
    ping_seconds: float,
    resume: Resume,
    channels: Sequence[str],
) -> bytes:
    """The first frame after the sign-in. A client may keep `cursor`: no event before it is missing."""
    return _frame(
        ServerFrame.WELCOME,
        conn_id=connection_id,
        user_id=user_id,
        epoch=epoch,
        cursor=cursor,
        ping_s=ping_seconds,
        resume=resume,
        channels=list(channels),
    )


def reply(request_id: str | int | None, **outcome: Any) -> bytes:
    """Answer a client's frame; `ok` tells the outcome, `id` is the one that the client gave."""
    if request_id is not None:
        outcome["id"] = request_id
    return _frame(ServerFrame.REPLY, **outcome)


def error(code: str, message: str, *, retryable: bool = False, **more: Any) -> bytes:
    """Report an error outside of a reply. `retryable`: the same request may succeed later."""
    return _frame(ServerFrame.ERROR, code=code, retryable=retryable, message=message, **more)


def goaway(retry_after_ms: int) -> bytes:
    """Announce the end of the connection: the client reconnects after this time with its last cursor."""
    return _frame(ServerFrame.GOAWAY, retry_after_ms=retry_after_ms)


def ping(cursor: str | None) -> bytes:
    """Ask for a `pong`. A `cursor` moves the cursor of an idle client on: no event before it is missing."""
    if cursor is None:
        return b'{"t":"ping"}'
    return b'{"t":"ping","cursor":"%b"}' % cursor.encode()


def _frame(kind: ServerFrame, **fields: Any) -> bytes:
    return orjson.dumps({"t": kind, **fields})
