"""Frames and close codes of the WebSocket protocol `taskbell.v1.json`."""

from __future__ import annotations

from enum import IntEnum, StrEnum

SUBPROTOCOL = "taskbell.v1.json"
MAX_CLIENT_FRAME_BYTES = 16 * 1024
"""A client frame larger than this closes the connection with `BAD_FRAME`."""
SIGN_IN_SECONDS = 5.0
"""Seconds to sign in; later the connection is closed with `SIGN_IN`."""


class ServerFrame(StrEnum):
    """Values of `t` in frames from the server."""

    WELCOME = "welcome"
    EVENT = "event"
    REPLY = "reply"
    ERROR = "error"
    GOAWAY = "goaway"
    PING = "ping"


class ClientFrame(StrEnum):
    """Values of `t` in frames from a client."""

    HELLO = "hello"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    PONG = "pong"
    REFRESH = "refresh"


class Resume(StrEnum):
    """The answer of a `welcome` to the client's cursor."""

    OK = "ok"
    """Everything after the cursor follows, exactly and in order."""
    GAP = "gap"
    """The cursor is too old, of another epoch or too far behind: fetch the state again."""
    NEW = "new"
    """The client brought no cursor."""


class CloseCode(IntEnum):
    """Application close codes (RFC 6455, section 7.4.2: 4000-4999 are private use)."""

    BAD_FRAME = 4001
    FORBIDDEN = 4003
    TOO_MANY_CONNECTIONS = 4004
    DRAIN = 4200
    NO_PONG = 4201
    SIGN_IN = 4401
    SLOW = 4408
    BACK_OFF = 4429
