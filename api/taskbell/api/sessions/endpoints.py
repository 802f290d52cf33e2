"""`/v1/me/sessions`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from taskbell.api.accounts import schemas
from taskbell.api.accounts.service import Accounts
from taskbell.api.deps import Actor, service
from taskbell.api.http.paging import PageQuery, PageRequest
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute

router = APIRouter(prefix="/v1/me/sessions", tags=["accounts"], route_class=DirectRoute)
Service = Annotated[Accounts, Depends(service("accounts"))]
SessionId = Annotated[UUID, Path(description="The session's id.")]
Paging = Annotated[PageQuery, Depends(query_parameters(PageQuery))]


@router.get("", summary="List your sessions")
async def list_sessions(request: Request, actor: Actor, accounts: Service, query: Paging) -> schemas.SignInPage:
    """Pages through your sessions that have not ended, the newest first: where you are signed in, and since when."""
    wanted = PageRequest.of(request, query, f"sessions-{actor.user_id}")
    return wanted.page(schemas.SignInPage, await accounts.sessions.page(actor, wanted))


@router.delete("", status_code=204, summary="End your other sessions")
async def revoke_other_sessions(actor: Actor, accounts: Service) -> None:
    """Ends all your sessions but the present one. Within a second, their access tokens are refused everywhere.

    Their WebSockets are closed with 4401.
    """
    await accounts.sessions.revoke_others(actor)


@router.delete("/{session_id}", status_code=204, summary="End a session")
async def revoke_session(actor: Actor, accounts: Service, session_id: SessionId) -> None:
    """Ends one of your sessions in the same way; the present one, too. One that has ended is a 404."""
    await accounts.sessions.revoke(actor, session_id)
