"""`/v1/devices`: where push alerts of a user go."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.deps import Actor, service
from taskbell.api.devices import schemas
from taskbell.api.devices.service import PushDevices
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.paging import PageRequest
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/devices", tags=["devices"], route_class=DirectRoute)

DeviceId = Annotated[UUID, Path(description="The device's id.")]
Service = Annotated[PushDevices, Depends(service("devices"))]
_BODIES: dict[str, type[schemas.AnyDevice]] = {
    "fcm": schemas.FcmDevice,
    "apns": schemas.ApnsDevice,
    "webpush": schemas.WebPushDevice,
}


async def _read_registration(request: Request) -> schemas.AnyDevice:
    """The body, read as its `kind` wants it, so that the place of an error is told without the kind."""
    chosen = await json_body(schemas.ChosenKind)(request)
    return await json_body(_BODIES[chosen.kind])(request)


_read_registration.json_body_model = schemas.DeviceRegistration  # type: ignore[attr-defined]  # read by http.openapi


@router.post(
    "",
    status_code=201,
    response_model=schemas.Device,
    responses={
        200: {"model": schemas.Device, "description": "It was registered already, and is renewed"},
        **refuses(ProblemCode.LIMIT_REACHED, ProblemCode.CONFLICT),
    },
    summary="Register a device",
)
async def register_device(
    actor: Actor, devices: Service, body: Annotated[schemas.AnyDevice, Depends(_read_registration)]
) -> Response:
    """Sends your push alerts to a device from now on. Repeat it at every start of the app: that renews it.

    A token or an endpoint is one device: registering it again returns 200 and the same id, with its new keys. If
    another account registered it before, it is yours now, under a new id, and alerts that wait for the other account do
    not reach it. With as many devices as you may have (20 by default): 409 `limit_reached`; none is replaced silently.
    """
    device, is_new = await devices.register(actor.user_id, body)
    status = 201 if is_new else 200
    return Response(device.model_dump_json(), status_code=status, media_type="application/json")


@router.get("", summary="List your devices")
async def list_devices(
    request: Request,
    actor: Actor,
    devices: Service,
    query: Annotated[schemas.DeviceQuery, Depends(query_parameters(schemas.DeviceQuery))],
) -> schemas.DevicePage:
    """Pages through your devices, the first registered first. Tokens and endpoints are never shown."""
    wanted = PageRequest.of(request, query, f"devices-{actor.user_id}")
    return wanted.page(schemas.DevicePage, await devices.page(actor.user_id, wanted))


@router.get("/webpush-key", responses=refuses(ProblemCode.NOT_SET_UP), summary="Read the public key of Web Push")
async def get_webpush_key(actor: Actor, devices: Service) -> schemas.WebPushKey:  # noqa: ARG001 -- only who is signed in
    """The key that a browser needs to subscribe. Where Web Push is not set up: 404 `not_set_up`."""
    return devices.webpush_key()


@router.patch("/{device_id}", summary="Rename a device")
async def update_device(
    actor: Actor,
    devices: Service,
    device_id: DeviceId,
    body: Annotated[schemas.DeviceChange, Depends(json_body(schemas.DeviceChange))],
) -> schemas.Device:
    """Changes the name that you see in the list."""
    return await devices.rename(actor.user_id, device_id, name=body.name)


@router.delete("/{device_id}", status_code=204, summary="Remove a device")
async def delete_device(actor: Actor, devices: Service, device_id: DeviceId) -> None:
    """Sends it no more alerts. An app does this when its user signs out."""
    await devices.delete(actor.user_id, device_id)
