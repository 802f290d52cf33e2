"""Client frames: read strictly, refused with a reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import orjson

from taskbell.contract.frames import MAX_CLIENT_FRAME_BYTES, ClientFrame

MAX_CHANNELS = 100
_MAX_ID_LENGTH = 128
_MAX_CREDENTIAL_LENGTH = 8192
_WORKSPACE = "workspace:"
ME = "me"


class FrameMalformed(ValueError):
    """The client sent a frame that the protocol does not allow."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client signs in with: an access token, or a one-time ticket."""

    text: str = field(repr=False)
    is_ticket: bool = False


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame: a credential (unless the address or a header brought one), a cursor, channels.

    `coalesce`: Events may give way to newer ones of the same task while the client is slow.
    """

    credential: Credential | None = None
    resume: str | None = None
    channels: tuple[str, ...] = ()
    coalesce: bool = True


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe to a channel, from a cursor on if one is given."""

    channel: str
    id: str | int | None = None
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Unsubscribe from a channel."""

    channel: str
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """A newer access token of the same user."""

    credential: Credential
    id: str | int | None = None


ClientInput = Hello | Subscribe | Unsubscribe | Pong | Refresh


def read(message: str | bytes) -> ClientInput:
    """Read one message. Unknown fields are ignored, so that newer clients can talk to older gateways.

    Raises:
        FrameMalformed: It is binary, too large, not a JSON object, of an unknown type, or a field has a wrong form.
    """
    if not isinstance(message, str):
        raise FrameMalformed("frames are text, not binary")
    if len(message) > MAX_CLIENT_FRAME_BYTES or len(message.encode()) > MAX_CLIENT_FRAME_BYTES:
        raise FrameMalformed(f"a frame has at most {MAX_CLIENT_FRAME_BYTES} bytes")
    try:
        fields = orjson.loads(message)  # it refuses more than 1,024 levels of nesting
    except orjson.JSONDecodeError:
        raise FrameMalformed("not JSON") from None
    if not isinstance(fields, dict):
        raise FrameMalformed("a frame is a JSON object")
    kind = fields.get("t")
    match kind:
        case ClientFrame.HELLO:
            return _hello(fields)
        case ClientFrame.SUBSCRIBE:
            return Subscribe(channel=_required(fields, "channel"), id=_id(fields), resume=_text(fields, "resume"))
        case ClientFrame.UNSUBSCRIBE:
            return Unsubscribe(channel=_required(fields, "channel"), id=_id(fields))
        case ClientFrame.PONG:
            return Pong()
        case ClientFrame.REFRESH:
            return Refresh(credential=Credential(_required(fields, "token", _MAX_CREDENTIAL_LENGTH)), id=_id(fields))
        case _:
            raise FrameMalformed("unknown frame type")


def read_address(address: str, *, last_id: str | None = None) -> Hello | None:
    """Read what an address says in place of a `hello`: `?resume=<cursor>&channels=<channel>,<channel>&coalesce=false`.

    Returns None when it says nothing of it. `last_id` is the cursor in the header `Last-Event-ID`, and takes the place
    of `resume`: an `EventSource` that connects again has the newer one there.

    Raises:
        FrameMalformed: One of them is repeated, or has a wrong form.
    """
    query = parse_qs(urlsplit(address).query, keep_blank_values=True)
    told = {name: query[name] for name in ("resume", "channels", "coalesce") if name in query}
    if any(len(values) > 1 for values in told.values()):
        raise FrameMalformed("resume, channels and coalesce come once in an address")
    fields: dict[str, Any] = {name: values[0] for name, values in told.items()}
    if "channels" in fields:
        fields["channels"] = [channel for channel in fields["channels"].split(",") if channel]
    if "coalesce" in fields:
        fields["coalesce"] = {"true": True, "false": False}.get(fields["coalesce"], fields["coalesce"])
    if last_id:
        fields["resume"] = last_id
    return _hello(fields) if fields else None


def workspace_of(channel: str) -> str | None:
    """Return the workspace id of a channel `workspace:<id>`, in canonical form; None for any other channel."""
    if not channel.startswith(_WORKSPACE):
        return None
    text = channel.removeprefix(_WORKSPACE)
    try:
        found = str(UUID(text))
    except ValueError:
        return None
    return found if found == text.lower() else None


def workspace_channel(workspace_id: str) -> str:
    """The channel of a workspace."""
    return _WORKSPACE + workspace_id


def _hello(fields: dict[str, Any]) -> Hello:
    token, ticket = _text(fields, "token", _MAX_CREDENTIAL_LENGTH), _text(fields, "ticket", _MAX_CREDENTIAL_LENGTH)
    if token is not None and ticket is not None:
        raise FrameMalformed("either token or ticket")
    credential = None
    if token is not None:
        credential = Credential(token)
    elif ticket is not None:
        credential = Credential(ticket, is_ticket=True)
    channels = fields.get("channels") or []
    if not isinstance(channels, list) or len(channels) > MAX_CHANNELS:
        raise FrameMalformed(f"channels is a list of at most {MAX_CHANNELS}")
    if not all(isinstance(channel, str) and len(channel) <= _MAX_ID_LENGTH for channel in channels):
        raise FrameMalformed(f"a channel is a text of at most {_MAX_ID_LENGTH} characters")
    coalesce = fields.get("coalesce", True)
    if not isinstance(coalesce, bool):
        raise FrameMalformed("coalesce is true or false")
    return Hello(
        credential=credential,
        resume=_text(fields, "resume"),
        channels=tuple(dict.fromkeys(channels)),
        coalesce=coalesce,
    )


def _text(fields: dict[str, Any], name: str, longest: int = _MAX_ID_LENGTH) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest:
        raise FrameMalformed(f"{name} is a text of at most {longest} characters")
    return value


def _required(fields: dict[str, Any], name: str, longest: int = _MAX_ID_LENGTH) -> str:
    value = _text(fields, name, longest)
    if value is None:
        raise FrameMalformed(f"{name} is missing")
    return value


def _id(fields: dict[str, Any]) -> str | int | None:
    value = fields.get("id")
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and len(value) <= _MAX_ID_LENGTH:
        return value
    raise FrameMalformed(f"id is a whole number or a text of at most {_MAX_ID_LENGTH} characters")
