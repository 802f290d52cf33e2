"""`/docs`, `/redoc` and the files that they load."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from taskbell.api.viewers import pages
from taskbell.contract.problems import ProblemCode, Refused

router = APIRouter(include_in_schema=False)
_CACHED = "public, max-age=3600"


class AssetNotFound(Refused):
    """There is no such file."""

    code = ProblemCode.NOT_FOUND


@router.get("/docs")
async def get_docs() -> Response:
    """The viewer that also tries requests."""
    return HTMLResponse(pages.SWAGGER, headers=pages.HEADERS)


@router.get("/redoc")
async def get_redoc() -> Response:
    """The viewer to read."""
    return HTMLResponse(pages.REDOC, headers=pages.HEADERS)


@router.get("/docs/assets/{name}")
async def get_asset(request: Request, name: str) -> Response:
    """A script or a style sheet of the viewers."""
    asset = await asyncio.to_thread(pages.asset, name)  # the first time it is read from the disk
    if asset is None:
        raise AssetNotFound
    headers = {"ETag": asset.etag, "Cache-Control": _CACHED, "X-Content-Type-Options": "nosniff"}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, headers={**headers, "Content-Type": asset.media_type})
