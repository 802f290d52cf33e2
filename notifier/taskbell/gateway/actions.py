"""What a session asks its shell to do, and what the shell answers."""

from __future__ import annotations

from dataclasses import dataclass

from taskbell.contract.frames import CloseCode, Resume
from taskbell.gateway.inputs import Credential


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a verified credential stands for, and until when (on the session's clock, seconds)."""

    user_id: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not granted. `retryable`: it was not judged at all, because a part is away."""

    code: str
    message: str
    retryable: bool = False
    close_code: int = CloseCode.SIGN_IN


@dataclass(frozen=True, slots=True)
class Joined:
    """The connection is registered; its events wait in the queue from now on.

    Attributes:
        epoch: The stream's identity.
        cursor: Where the client stands: the resumed cursor, or the reader's position.
        resume: How its cursor was answered.
        channels: The channels it has, `me` included.
        refused: Channels it asked for and did not get, with the reason.
    """

    epoch: int
    cursor: str
    resume: Resume
    channels: tuple[str, ...]
    refused: tuple[tuple[str, Refusal], ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A channel was added; its missed events follow if `resume` is ok.

    `cursor` is None when the client has not been sent everything before the reader's position.
    """

    channel: str
    cursor: str | None
    resume: Resume


@dataclass(frozen=True, slots=True)
class Send:
    """Write this frame now, before anything in the queue."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection; nothing follows."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class VerifySignIn:
    """Find out whom the credential stands for; answer `signed_in` or `sign_in_refused`."""

    credential: Credential


@dataclass(frozen=True, slots=True)
class VerifyRefresh:
    """Find out whom the newer token stands for; answer `refreshed` or `refresh_refused`."""

    credential: Credential
    id: str | int | None


@dataclass(frozen=True, slots=True)
class Join:
    """Register the connection; answer `joined` or `sign_in_refused`."""

    user_id: str
    channels: tuple[str, ...]
    resume: str | None


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
"""Actions that need no waiting."""
Action = Now | VerifySignIn | VerifyRefresh | Join | AddChannel | DropChannel | Replay
