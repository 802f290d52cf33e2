"""`GET /v1/events`: the change feed."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from taskbell.api.deps import Actor, service
from taskbell.api.events.service import ChangeFeed
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.paging import Page, PageMeta, documents_page
from taskbell.api.http.query import QueryParameters, query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.api.workspaces.membership import require_role
from taskbell.contract.problems import ProblemCode
from taskbell.store.pool import Database

router = APIRouter(prefix="/v1", tags=["events"], route_class=DirectRoute)
Events = Annotated[ChangeFeed, Depends(service("events"))]
Primary = Annotated[Database, Depends(service("database"))]


class FeedQuery(QueryParameters):
    """Query parameters of the change feed."""

    workspace_id: UUID | None = None
    """The workspace; your personal one by default."""
    after: str | None = Field(default=None, max_length=64)
    """The cursor of the last event you have, from this feed or from a WebSocket frame. `latest` means the end of the
    feed; without it the feed starts at the oldest event kept."""
    limit: int = Field(default=100, ge=1, le=1000)
    """Events in a page."""


class FeedItem(BaseModel):
    """One event with its cursor."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    cursor: str
    """Continue after this event with it, here or in a WebSocket's `hello`."""
    event: dict[str, Any]
    """A CloudEvents 1.0 document."""


class FeedMeta(PageMeta):
    """The position of a page in the feed."""

    next_cursor: str
    """Send it as `after`. The last page has one too, so that you can poll."""


class Feed(Page[FeedItem]):
    """A page of the change feed."""

    meta: FeedMeta


@router.get(
    "/events",
    response_model=Feed,
    responses=refuses(ProblemCode.INVALID_CURSOR, ProblemCode.CURSOR_EXPIRED),
    summary="Read a workspace's events",
)
async def list_events(
    actor: Actor,
    database: Primary,
    events: Events,
    query: Annotated[FeedQuery, Depends(query_parameters(FeedQuery))],
) -> Response:
    """Pages through the events of a workspace in the order WebSockets deliver them.

    An expired cursor gets a 410 with a `Link` to the end of the feed.
    """
    workspace_id = query.workspace_id or actor.workspace_id
    await require_role(database, actor=actor.user_id, workspace_id=workspace_id)
    page = await events.page(workspace_id=workspace_id, reader=actor.user_id, after=query.after, limit=query.limit)
    meta = FeedMeta(limit=query.limit, has_more=page.has_more, next_cursor=str(page.next_cursor))
    return documents_page([f'{{"cursor":"{cursor}","event":{event.decode()}}}' for cursor, event in page.items], meta)
