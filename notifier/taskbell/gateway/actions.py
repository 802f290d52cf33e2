"""What a session asks of its socket, and the answers."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from taskbell.contract.frames import CloseCode, Resume
from taskbell.gateway.inputs import Credential


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a verified credential, and until when it is valid (on the session's clock, seconds).

    Attributes:
        personal_token_id: The personal access token that it is, or that a ticket was made with.
        signed_in_as: Otherwise the session of the account (`sid`) that it belongs to. Its end ends the connection.
    """

    user_id: str
    expires_at: float
    personal_token_id: str | None = None
    signed_in_as: UUID | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was refused. `retryable`: only because PostgreSQL, NATS or the API is away."""

    code: str
    message: str
    retryable: bool = False
    close_code: int = CloseCode.SIGN_IN


@dataclass(frozen=True, slots=True)
class Joined:
    """The connection is registered; its events wait in the queue from now on.

    Attributes:
        epoch: The stream's identity.
        cursor: The resumed cursor, that of the handshake, or the reader's position.
        resume: The answer to its cursor.
        channels: Its channels, `me` included.
        refused: Channels that it asked for and did not get, with the reasons.
        replays: Whether events after `cursor` are to be replayed.
    """

    epoch: int
    cursor: str
    resume: Resume
    channels: tuple[str, ...]
    refused: tuple[tuple[str, Refusal], ...] = ()
    replays: bool = False


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A channel was added; its missed events follow if `resume` is ok.

    `cursor` is None while events before the reader's position wait to be sent.
    """

    channel: str
    cursor: str | None
    resume: Resume


@dataclass(frozen=True, slots=True)
class Send:
    """Write this frame, given as its JSON text, now, before anything in the queue."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class VerifySignIn:
    """Find out the user of the credential; answer `signed_in` or `sign_in_refused`."""

    credential: Credential


@dataclass(frozen=True, slots=True)
class VerifyRefresh:
    """Find out the user of the newer token; answer `refreshed` or `refresh_refused`."""

    credential: Credential
    id: str | int | None


@dataclass(frozen=True, slots=True)
class Join:
    """Register the connection; answer `joined` or `sign_in_refused`.

    `late`: It is registered, and its `hello` has come after the `welcome`.
    """

    user_id: str
    channels: tuple[str, ...]
    resume: str | None
    late: bool = False


@dataclass(frozen=True, slots=True)
class AddChannel:
    """Check membership and subscribe; answer `subscribed` or `subscribe_refused`."""

    workspace_id: str
    id: str | int | None
    resume: str | None


@dataclass(frozen=True, slots=True)
class DropChannel:
    """End a subscription. Needs no answer."""

    workspace_id: str


@dataclass(frozen=True, slots=True)
class Replay:
    """Write what the resumed channels missed; answer `replayed` or `replay_failed`."""


Now = Send | Close
"""Actions that take no time."""
Action = Now | VerifySignIn | VerifyRefresh | Join | AddChannel | DropChannel | Replay
