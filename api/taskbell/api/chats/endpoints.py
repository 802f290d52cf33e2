"""`/v1/me/channels/slack` and `/v1/me/channels/teams`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from taskbell.api.chats import schemas
from taskbell.api.chats.policy import Chat
from taskbell.api.chats.service import Chats
from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.route import DirectRoute
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/me/channels", tags=["channels"], route_class=DirectRoute)

Service = Annotated[Chats, Depends(service("chats"))]
Change = Annotated[schemas.ChatChannelChange, Depends(json_body(schemas.ChatChannelChange))]


@router.get("/slack", responses=refuses(ProblemCode.NOT_FOUND), summary="Read your Slack channel")
async def get_slack_channel(actor: Actor, chats: Service) -> schemas.ChatChannel:
    """Tells whether your alerts go to Slack: 404 if they do not. The address itself is never shown."""
    return await chats.get(actor.user_id, Chat.SLACK)


@router.put(
    "/slack",
    status_code=201,
    response_model=schemas.ChatChannel,
    responses={200: {"model": schemas.ChatChannel, "description": "It was set before"}},
    summary="Set your Slack channel",
)
async def set_slack_channel(actor: Actor, chats: Service, body: Change) -> Response:
    """Sends your alerts to an incoming webhook of Slack, from now on.

    The address begins with `https://hooks.slack.com/services/` (or `hooks.slack-gov.com`). An installation may permit
    other hosts that take Slack's messages, such as its Mattermost (`TASKBELL_CHAT_HOSTS`). Another address replaces the
    former one. To silence it for a while, use a preference of the channel `slack`.
    """
    return _told(*await chats.set(actor.user_id, Chat.SLACK, url=body.url))


@router.delete("/slack", status_code=204, responses=refuses(ProblemCode.NOT_FOUND), summary="Remove your Slack channel")
async def delete_slack_channel(actor: Actor, chats: Service) -> None:
    """Forgets the address, and ends what waits for it."""
    await chats.delete(actor.user_id, Chat.SLACK)


@router.get("/teams", responses=refuses(ProblemCode.NOT_FOUND), summary="Read your Teams channel")
async def get_teams_channel(actor: Actor, chats: Service) -> schemas.ChatChannel:
    """Tells whether your alerts go to Teams: 404 if they do not. The address itself is never shown."""
    return await chats.get(actor.user_id, Chat.TEAMS)


@router.put(
    "/teams",
    status_code=201,
    response_model=schemas.ChatChannel,
    responses={200: {"model": schemas.ChatChannel, "description": "It was set before"}},
    summary="Set your Teams channel",
)
async def set_teams_channel(actor: Actor, chats: Service, body: Change) -> Response:
    """Sends your alerts to a workflow of Teams ("When a Teams webhook request is received"), from now on.

    Its address is at `*.logic.azure.com`, `*.logic.azure.us` or `*.environment.api.powerplatform.com`; an installation
    may permit other hosts (`TASKBELL_CHAT_HOSTS`). Another address replaces the former one. To silence it for a while,
    use a preference of the channel `teams`.
    """
    return _told(*await chats.set(actor.user_id, Chat.TEAMS, url=body.url))


@router.delete("/teams", status_code=204, responses=refuses(ProblemCode.NOT_FOUND), summary="Remove your Teams channel")
async def delete_teams_channel(actor: Actor, chats: Service) -> None:
    """Forgets the address, and ends what waits for it."""
    await chats.delete(actor.user_id, Chat.TEAMS)


def _told(channel: schemas.ChatChannel, is_new: bool) -> Response:  # noqa: FBT001 -- the pair of the service
    status = 201 if is_new else 200
    return Response(channel.model_dump_json(), status_code=status, media_type="application/json")
