"""`/v1/realtime/tickets`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Depends
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from taskbell.api.accounts.tokens import issue
from taskbell.api.deps import Actor, service
from taskbell.api.http.route import DirectRoute
from taskbell.api.settings import ApiSettings
from taskbell.contract.tokens import TICKET_TTL, TokenType

router = APIRouter(prefix="/v1/realtime", tags=["realtime"], route_class=DirectRoute)
Keys = Annotated[KeySet, Depends(service("signing_keys"))]
Settings = Annotated[ApiSettings, Depends(service("settings"))]


class Ticket(BaseModel):
    """Admission to the gateway for one connection."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    ticket: str
    """Signed, valid for 30 seconds and for one connection."""
    url: str = Field(examples=["wss://taskbell.example.com/ws?ticket=..."])
    """The gateway's address with the ticket, ready to open."""
    expires_at: datetime
    """The connection must be opened before this time."""


@router.post("/tickets", status_code=201, response_model=Ticket, summary="Get a ticket for the WebSocket")
async def create_realtime_ticket(actor: Actor, keys: Keys, settings: Settings) -> Response:
    """Browsers cannot send a bearer header with a WebSocket, and an address must not contain an access token.

    Open `url` with subprotocol `taskbell.v1.json` within 30 seconds. A ticket is valid nowhere else. A connection by a
    ticket that was made with a personal access token ends with the token.
    """
    expires_at = datetime.now(UTC).replace(microsecond=0) + TICKET_TTL
    ticket = issue(
        token_type=TokenType.TICKET,
        user_id=actor.user_id,
        workspace_id=actor.workspace_id,
        session_id=actor.session_id,
        ttl=TICKET_TTL,
        keys=keys,
        personal_token_id=actor.personal_token_id,
    )
    made = Ticket(ticket=ticket, url=with_ticket(settings.gateway_url, ticket), expires_at=expires_at)
    return Response(
        made.model_dump_json(),
        status_code=201,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def with_ticket(address: str, ticket: str) -> str:
    """The address of the gateway with the ticket added to its query."""
    parts = urlsplit(address)
    query = "&".join(filter(None, (parts.query, urlencode({"ticket": ticket}))))
    return urlunsplit(parts._replace(query=query))
