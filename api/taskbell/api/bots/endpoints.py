"""`/v1/workspaces/{id}/bots` and their tokens."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.bots import schemas
from taskbell.api.bots.service import Bots
from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.paging import PageQuery, PageRequest
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.api.personal_tokens.endpoints import shown_once
from taskbell.api.personal_tokens.schemas import MadePersonalToken, PersonalTokenCreate, PersonalTokenPage
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/workspaces/{workspace_id}/bots", tags=["bots"], route_class=DirectRoute)

Service = Annotated[Bots, Depends(service("bots"))]
WorkspaceId = Annotated[UUID, Path(description="The workspace's id.")]
BotId = Annotated[UUID, Path(description="The bot's user id.")]
TokenId = Annotated[UUID, Path(description="The id of the token; not the token itself.")]
Paging = Annotated[PageQuery, Depends(query_parameters(PageQuery))]


@router.post(
    "", status_code=201, responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.LIMIT_REACHED), summary="Create a bot"
)
async def create_bot(
    actor: Actor,
    bots: Service,
    workspace_id: WorkspaceId,
    body: Annotated[schemas.BotCreate, Depends(json_body(schemas.BotCreate))],
) -> schemas.Bot:
    """Creates a user without a password who is a member of this workspace alone. Owners and admins may.

    Give it a token next. It counts as a member; no e-mail and no push is sent to it.
    """
    return await bots.make(actor.user_id, workspace_id, body)


@router.get("", responses=refuses(ProblemCode.FORBIDDEN), summary="List a workspace's bots")
async def list_bots(
    request: Request, actor: Actor, bots: Service, workspace_id: WorkspaceId, query: Paging
) -> schemas.BotPage:
    """Pages through the bots, oldest first, for owners and admins."""
    wanted = PageRequest.of(request, query, f"bots-{workspace_id}")
    return wanted.page(schemas.BotPage, await bots.page(actor.user_id, workspace_id, wanted))


@router.delete("/{bot_id}", status_code=204, responses=refuses(ProblemCode.FORBIDDEN), summary="Delete a bot")
async def delete_bot(actor: Actor, bots: Service, workspace_id: WorkspaceId, bot_id: BotId) -> None:
    """Ends its tokens and its membership. What it made keeps its name."""
    await bots.delete(actor.user_id, workspace_id, bot_id)


@router.post(
    "/{bot_id}/tokens",
    status_code=201,
    response_model=MadePersonalToken,
    responses=refuses(ProblemCode.FORBIDDEN, ProblemCode.LIMIT_REACHED),
    summary="Make a token of a bot",
)
async def create_bot_token(
    actor: Actor,
    bots: Service,
    workspace_id: WorkspaceId,
    bot_id: BotId,
    body: Annotated[PersonalTokenCreate, Depends(json_body(PersonalTokenCreate))],
) -> Response:
    """Returns the token this once. With it a program acts in the name of the bot, within its role and the scopes.

    The scopes `workspaces:write`, `notifications:write` and `profile:write` are not for bots: 422 at `/scopes`.
    """
    return shown_once(await bots.make_token(actor.user_id, workspace_id, bot_id, body))


@router.get("/{bot_id}/tokens", responses=refuses(ProblemCode.FORBIDDEN), summary="List the tokens of a bot")
async def list_bot_tokens(
    request: Request, actor: Actor, bots: Service, *, workspace_id: WorkspaceId, bot_id: BotId, query: Paging
) -> PersonalTokenPage:
    """Pages through its tokens, oldest first, also those that have expired. The tokens themselves are not shown."""
    wanted = PageRequest.of(request, query, f"bot-tokens-{bot_id}")
    return wanted.page(PersonalTokenPage, await bots.tokens(actor.user_id, workspace_id, bot_id, wanted))


@router.delete(
    "/{bot_id}/tokens/{token_id}",
    status_code=204,
    responses=refuses(ProblemCode.FORBIDDEN),
    summary="Delete a token of a bot",
)
async def delete_bot_token(
    actor: Actor, bots: Service, workspace_id: WorkspaceId, bot_id: BotId, token_id: TokenId
) -> None:
    """Ends a token of a bot: every process refuses it within a second."""
    await bots.delete_token(actor.user_id, workspace_id, bot_id, token_id)
