"""`/v1/me/preferences`: which alerts a user wants."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from taskbell.api.deps import Actor, service
from taskbell.api.http.body import json_body
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.api.preferences import schemas
from taskbell.api.preferences.service import AlertPreferences

router = APIRouter(prefix="/v1/me/preferences", tags=["channels"], route_class=DirectRoute)

Service = Annotated[AlertPreferences, Depends(service("preferences"))]


@router.get("", summary="Read your preferences")
async def get_preferences(actor: Actor, preferences: Service) -> schemas.Preferences:
    """Tells which alerts you switched on or off; at first none. They say nothing of the inbox, which gets everything.

    The most specific one decides: one for a workspace before one for all, then one for a kind before one for all kinds,
    then one for a channel before one for all channels. Without any: push and chats yes, e-mail as
    `/v1/me/channels/email` says.
    """
    return await preferences.get(actor.user_id)


@router.put("", summary="Set your preferences")
async def set_preferences(
    actor: Actor,
    preferences: Service,
    body: Annotated[schemas.PreferencesReplacement, Depends(json_body(schemas.PreferencesReplacement))],
) -> schemas.Preferences:
    """Replaces all of them, for notifications from now on. Of two requests at once the last one wins as a whole.

    A preference never switches e-mail on that `/v1/me/channels/email` has off.
    """
    return await preferences.replace(actor.user_id, body.items)


@router.get("/effective", summary="Read what your preferences come to")
async def get_effective_preferences(
    actor: Actor,
    preferences: Service,
    query: Annotated[schemas.EffectiveQuery, Depends(query_parameters(schemas.EffectiveQuery))],
) -> schemas.EffectivePreferences:
    """Decides for each kind and channel as the delivery workers do. A task that you muted tells you less than this."""
    return await preferences.effective(actor.user_id, query.workspace_id)
