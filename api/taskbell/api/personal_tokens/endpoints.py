"""`/v1/tokens`: personal access tokens."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.paging import PageQuery, PageRequest
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.api.personal_tokens import schemas
from taskbell.api.personal_tokens.service import PersonalTokens
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/tokens", tags=["tokens"], route_class=DirectRoute)

Service = Annotated[PersonalTokens, Depends(service("personal_tokens"))]
TokenId = Annotated[UUID, Path(description="The id of the token; not the token itself.")]
Paging = Annotated[PageQuery, Depends(query_parameters(PageQuery))]


@router.post(
    "",
    status_code=201,
    response_model=schemas.MadePersonalToken,
    responses=refuses(ProblemCode.LIMIT_REACHED),
    summary="Make a personal access token",
)
async def create_token(
    actor: Actor,
    tokens: Service,
    body: Annotated[schemas.PersonalTokenCreate, Depends(json_body(schemas.PersonalTokenCreate))],
) -> Response:
    """Returns the token this once. With it a program calls the API in your name, within its scopes.

    With as many tokens as you may have (50 by default): 409 `limit_reached`. One that would live for longer than the
    installation permits (366 days by default): 422 at `/expires_at`.
    """
    return shown_once(await tokens.make(actor.user_id, body))


def shown_once(made: schemas.MadePersonalToken) -> Response:
    """The answer that shows a new token; nothing on its way may keep it."""
    return Response(
        made.model_dump_json(), status_code=201, media_type="application/json", headers={"Cache-Control": "no-store"}
    )


@router.get("", summary="List your personal access tokens")
async def list_tokens(request: Request, actor: Actor, tokens: Service, query: Paging) -> schemas.PersonalTokenPage:
    """Pages through your tokens, oldest first, also those that have expired. The tokens themselves are not shown."""
    wanted = PageRequest.of(request, query, f"tokens-{actor.user_id}")
    return wanted.page(schemas.PersonalTokenPage, await tokens.page(actor.user_id, wanted))


@router.delete("/{token_id}", status_code=204, summary="Delete a personal access token")
async def delete_token(actor: Actor, tokens: Service, token_id: TokenId) -> None:
    """Ends a token: every process refuses it within a second, and its connections to the gateway are closed."""
    await tokens.delete(actor.user_id, token_id)
