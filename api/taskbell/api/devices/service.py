"""What users do with their devices. The service owns the transaction."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.devices import repository
from taskbell.api.devices.errors import (
    DeviceNotFound,
    EndpointRefused,
    RegisteredMeanwhile,
    TooManyDevices,
    WebPushNotSetUp,
)
from taskbell.api.devices.policy import push_service_fault
from taskbell.api.devices.repository import Registration
from taskbell.api.devices.schemas import AnyDevice, Device, WebPushDevice, WebPushKey
from taskbell.api.http.paging import PageRequest, Slice
from taskbell.contract.problems import FieldError
from taskbell.kit.ids import new_id
from taskbell.store.pool import Database

_TRIES = 3


class PushDevices:
    """The devices of a signed-in user."""

    def __init__(self, database: Database, *, most: int, allow_private: bool, webpush_key: str | None) -> None:
        """Take how many devices a user may have, and the public key of Web Push if it is set up.

        `allow_private` accepts push services that have no public host name.
        """
        self._database = database
        self._most = most
        self._allow_private = allow_private
        self._webpush_key = webpush_key

    async def register(self, actor: UUID, wanted: AnyDevice) -> tuple[Device, bool]:
        """Add a device or renew it, and return whether it is new. One of another account becomes the actor's.

        Raises:
            EndpointRefused: The endpoint of the subscription cannot be a push service's.
            TooManyDevices: It would be new, and there are enough.
            RegisteredMeanwhile: Other accounts registered it at the same time, again and again.
        """
        if isinstance(wanted, WebPushDevice):
            self._check(wanted.subscription.endpoint)
        registration, device_id = Registration.of(wanted), new_id()
        async with self._database.acting(actor) as connection:
            if await repository.count_others(connection, actor, registration) >= self._most:
                raise TooManyDevices(f"You have at most {self._most} devices: remove one first.")
            for _ in range(_TRIES):
                device = await repository.register(connection, device_id, registration)
                if device is not None:
                    return device, device.id == device_id
            raise RegisteredMeanwhile

    async def page(self, actor: UUID, wanted: PageRequest) -> Slice[Device]:
        """Read a page of the actor's devices, by id."""
        async with self._database.acting(actor) as connection:
            return await repository.list_devices(connection, actor, after=wanted.after, limit=wanted.limit)

    async def rename(self, actor: UUID, device_id: UUID, *, name: str) -> Device:
        """Give a device another name. Raises `DeviceNotFound`."""
        async with self._database.acting(actor) as connection:
            device = await repository.rename(connection, actor, device_id, name=name)
        if device is None:
            raise DeviceNotFound
        return device

    async def delete(self, actor: UUID, device_id: UUID) -> None:
        """Remove a device; alerts on their way to it end. Raises `DeviceNotFound`."""
        async with self._database.acting(actor) as connection:
            if not await repository.delete(connection, actor, device_id):
                raise DeviceNotFound

    def webpush_key(self) -> WebPushKey:
        """The key that browsers subscribe with. Raises `WebPushNotSetUp`."""
        if self._webpush_key is None:
            raise WebPushNotSetUp
        return WebPushKey(public_key=self._webpush_key)

    def _check(self, endpoint: str) -> None:
        if fault := push_service_fault(endpoint, allow_private=self._allow_private):
            pointer = "/subscription/endpoint"
            raise EndpointRefused(f"{pointer}: {fault}", errors=(FieldError(pointer, "endpoint", fault),))
