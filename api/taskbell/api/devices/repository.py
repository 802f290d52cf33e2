"""SQL about devices, within a transaction of the actor."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from taskbell.api.devices.schemas import AnyDevice, ApnsDevice, Device, WebPushDevice
from taskbell.api.http.paging import Place, Slice
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection

_COUNT = load(__package__, "count_devices")
_DELETE = load(__package__, "delete_device")
_LIST = load(__package__, "list_devices")
_LOCK = load(__package__, "lock_devices")
_REGISTER = load(__package__, "register_device")
_RENAME = load(__package__, "rename_device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What is stored of a device; `name` is None to keep the name that it has."""

    kind: str
    address: str
    p256dh: str | None
    auth: str | None
    environment: str | None
    name: str | None

    @classmethod
    def of(cls, wanted: AnyDevice) -> Registration:
        """Take it from a request."""
        keys = wanted.subscription.keys if isinstance(wanted, WebPushDevice) else None
        return cls(
            kind=wanted.kind,
            address=wanted.subscription.endpoint if isinstance(wanted, WebPushDevice) else wanted.token,
            p256dh=None if keys is None else keys.p256dh,
            auth=None if keys is None else keys.auth,
            environment=wanted.environment if isinstance(wanted, ApnsDevice) else None,
            name=wanted.name,
        )


async def count_others(connection: Connection, actor: UUID, wanted: Registration) -> int:
    """Count the devices of the actor besides this one; others that would add one wait until this transaction ends."""
    await _LOCK.value(connection, user_id=actor)
    count: int = await _COUNT.value(connection, user_id=actor, kind=wanted.kind, address=wanted.address)
    return count


async def register(connection: Connection, device_id: UUID, wanted: Registration) -> Device | None:
    """Add a device under this id, renew it under its own, or take it over from another account.

    Returns None when another account took it meanwhile.
    """
    row = await _REGISTER.row(
        connection,
        id=device_id,
        kind=wanted.kind,
        address=wanted.address,
        p256dh=wanted.p256dh,
        auth=wanted.auth,
        environment=wanted.environment,
        name=wanted.name,
    )
    return None if row is None else Device.of(row)


async def list_devices(connection: Connection, actor: UUID, *, after: Place | None, limit: int) -> Slice[Device]:
    """Devices of the actor, by id."""
    past = None if after is None else after.id
    rows = await _LIST.rows(connection, user_id=actor, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=Device.of, place=lambda row: Place(row["id"]))


async def rename(connection: Connection, actor: UUID, device_id: UUID, *, name: str) -> Device | None:
    """Give it another name; None when the actor has no such device."""
    row = await _RENAME.row(connection, id=device_id, user_id=actor, name=name)
    return None if row is None else Device.of(row)


async def delete(connection: Connection, actor: UUID, device_id: UUID) -> bool:
    """Delete it; returns whether the actor had it."""
    return await _DELETE.count(connection, id=device_id, user_id=actor) == 1
