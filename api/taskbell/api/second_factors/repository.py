"""SQL about second factors, within a transaction of their user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from taskbell.api.second_factors.schemas import SecondFactorState
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection

_ADD_CODES = load(__package__, "add_recovery_codes")
_CONFIRM = load(__package__, "confirm_second_factor")
_DELETE = load(__package__, "delete_second_factor")
_GET = load(__package__, "get_second_factor")
_LOCK = load(__package__, "lock_second_factor")
_SET = load(__package__, "set_second_factor")
_USE_CODE = load(__package__, "use_recovery_code")
_USE_STEP = load(__package__, "use_step")


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A second factor, whose row is locked.

    Attributes:
        secret: Sealed.
        last_step: The last step whose code was used.
        confirmed_at: Since when sign-ins ask for it; None before.
        workspace_id: The personal workspace of its user.
    """

    secret: str
    last_step: int | None
    confirmed_at: datetime | None
    workspace_id: UUID


async def enrol(connection: Connection, user_id: UUID, *, sealed: str) -> bool:
    """Write a secret that waits to be confirmed. Returns False if the user has a confirmed one."""
    return await _SET.count(connection, user_id=user_id, secret=sealed) == 1


async def lock(connection: Connection, user_id: UUID) -> SecondFactor | None:
    """The second factor of a user; no other transaction uses it before this one ends."""
    row = await _LOCK.row(connection, user_id=user_id)
    if row is None:
        return None
    workspace_id = bare_uuid(row["personal_workspace_id"])
    return SecondFactor(row["secret"], row["last_step"], row["confirmed_at"], workspace_id)


async def get_state(connection: Connection, user_id: UUID) -> SecondFactorState:
    """What the user may know of the own second factor."""
    row = await _GET.row(connection, user_id=user_id)
    if row is None:
        return SecondFactorState(enabled=False, enabled_at=None, recovery_codes_left=0)
    return SecondFactorState(enabled=True, enabled_at=row["confirmed_at"], recovery_codes_left=row["codes"])


async def confirm(connection: Connection, user_id: UUID, *, step: int, code_hashes: Sequence[bytes]) -> None:
    """Let sign-ins ask for it from now on, and write its recovery codes."""
    await _CONFIRM.count(connection, user_id=user_id, step=step)
    await _ADD_CODES.count(connection, user_id=user_id, hashes=list(code_hashes))


async def use_step(connection: Connection, user_id: UUID, step: int) -> None:
    """Note that the code of a step was used."""
    await _USE_STEP.count(connection, user_id=user_id, step=step)


async def use_recovery_code(connection: Connection, user_id: UUID, code_hash: bytes) -> bool:
    """Use a recovery code; returns whether there was one that was not used."""
    return await _USE_CODE.count(connection, user_id=user_id, code_hash=code_hash) == 1


async def delete(connection: Connection, user_id: UUID) -> None:
    """Delete the second factor with its recovery codes."""
    await _DELETE.count(connection, user_id=user_id)
