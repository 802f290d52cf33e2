"""`GET /v1/me/export`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response, StreamingResponse

from taskbell.api.data_exports.service import DataExports
from taskbell.api.deps import Actor, service
from taskbell.api.http.route import DirectRoute

router = APIRouter(prefix="/v1/me", tags=["accounts"], route_class=DirectRoute)
Service = Annotated[DataExports, Depends(service("data_exports"))]
_HEADERS = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="taskbell.ndjson"'}


class Lines(StreamingResponse):
    """A stream of JSON documents, one a line."""

    media_type = "application/x-ndjson"


@router.get("/export", response_class=Lines, summary="Export your data")
async def get_data_export(actor: Actor, exports: Service) -> Response:
    """Streams everything that is kept about you, as lines of JSON: `{"kind": "task", "data": {...}}`.

    Secrets are left out: passwords, tokens, addresses of devices and chats. What other people wrote is not in it. The
    last line is `{"kind": "end"}`; without it the stream broke off. After 5 exports within 15 minutes: 429 with
    `Retry-After`.
    """
    return Lines(await exports.begin(actor.user_id), headers=_HEADERS)
