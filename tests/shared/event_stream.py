"""Fixtures: the event stream as the relay writes it, users with memberships and tokens, the API's public keys."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any
from uuid import UUID

import asyncpg
import nats
import orjson
import pytest
from joserfc.jwk import KeySet
from nats.aio.client import Client
from nats.js.api import StreamConfig

from taskbell.contract.subjects import (
    EVENTS_ROOT,
    HEADER_AUDIENCE,
    METADATA_EPOCH,
    STREAM,
    event_subject,
)
from taskbell.contract.tokens import AUDIENCE, ISSUER, TokenType
from taskbell.kit import jwt
from taskbell.kit.ids import new_id
from taskbell.kit.nats_message import MESSAGE_ID
from taskbell.kit.nats_provision import Provision
from taskbell.relay.stream import PROVISION


class EventStream:
    """The event stream, written as the relay writes it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.jetstream = client.jetstream()

    async def create(self, *, epoch: int = 1) -> None:
        """Make it, and what else the relay makes."""
        await Provision(self.client, PROVISION).ensure()
        await self.jetstream.add_stream(
            StreamConfig(name=STREAM, subjects=[f"{EVENTS_ROOT}.>"], metadata={METADATA_EPOCH: str(epoch)})
        )

    async def recreate(self, *, epoch: int) -> None:
        """Lose it and make another."""
        await self.jetstream.delete_stream(STREAM)
        await self.create(epoch=epoch)

    async def publish(
        self,
        workspace: UUID,
        *,
        number: int = 0,
        audience: Iterable[UUID] = (),
        event_type: str = "task.created",
        subject: UUID | None = None,
        pad: str = "",
        event_id: str | None = None,
    ) -> int:
        """Publish one event; return its stream sequence."""
        event_id = event_id or str(new_id())
        event = {
            "id": event_id,
            "type": event_type,
            "subject": str(subject or new_id()),
            "data": {"number": number, "pad": pad},
        }
        headers = {MESSAGE_ID: event_id}
        if audience:
            headers[HEADER_AUDIENCE] = ",".join(str(user) for user in audience)
        acknowledged = await self.jetstream.publish(
            event_subject(workspace_id=workspace, event_type=event_type), orjson.dumps(event), headers=headers
        )
        return acknowledged.seq

    async def publish_many(self, workspace: UUID, numbers: Iterable[int], **options: Any) -> None:
        """Publish an event for each number."""
        for number in numbers:
            await self.publish(workspace, number=number, **options)


@dataclasses.dataclass
class People:
    """Users, workspaces, memberships and tokens."""

    superuser_url: str
    keys: KeySet

    async def user(self, *, workspaces: Iterable[UUID] = ()) -> UUID:
        """Make a user who belongs to these workspaces, which are made where they are not there."""
        user = new_id()
        connection = await asyncpg.connect(self.superuser_url)
        try:
            await connection.execute(
                "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, $2, 'u', $1)", user, f"{user}@x"
            )
            for workspace in workspaces:
                await connection.execute(
                    "INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'w', $2) ON CONFLICT DO NOTHING",
                    workspace,
                    user,
                )
                await connection.execute(
                    "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'member')", user, workspace
                )
        finally:
            await connection.close()
        return user

    async def join(self, user: UUID, workspace: UUID) -> None:
        """Make a user a member in the database."""
        connection = await asyncpg.connect(self.superuser_url)
        try:
            await connection.execute(
                "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'member')", user, workspace
            )
        finally:
            await connection.close()

    async def remove(self, user: UUID, workspace: UUID) -> None:
        """End a membership in the database."""
        connection = await asyncpg.connect(self.superuser_url)
        try:
            await connection.execute(
                "DELETE FROM memberships WHERE user_id = $1 AND workspace_id = $2", user, workspace
            )
        finally:
            await connection.close()

    def token(
        self,
        user: UUID,
        *,
        token_type: TokenType = TokenType.ACCESS,
        ttl: float = 600,
        keys: KeySet | None = None,
        **further: str,
    ) -> str:
        """Sign a token as the API does, with further claims."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user),
            "ws": str(user),
            "sid": str(user),
            "jti": str(new_id()),
            "exp": int(time.time() + ttl),
            **further,
        }
        return jwt.sign(claims, token_type=token_type, keys=keys or self.keys)

    def ticket(self, user: UUID, *, personal_token_id: UUID | None = None) -> str:
        """Sign a ticket as the API does, perhaps as one that was made with a personal access token."""
        further = {} if personal_token_id is None else {"pat": str(personal_token_id)}
        return self.token(user, token_type=TokenType.TICKET, ttl=30, **further)


@dataclasses.dataclass
class JwksServer:
    """Serves a JWK Set over HTTP, and counts."""

    document: dict[str, Any]
    url: str = ""
    requests: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        body = orjson.dumps(self.document)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture(scope="session")
def signing_keys() -> KeySet:
    """Keys of an API that is not there."""
    return jwt.parse_keys(jwt.generate_keys())


@pytest.fixture
async def jwks(signing_keys: KeySet) -> AsyncIterator[JwksServer]:
    """The API's public keys over HTTP."""
    server = JwksServer(jwt.public_keys(signing_keys))
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/jwks.json"
    yield server
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def people(database: Any, signing_keys: KeySet) -> People:
    """Users and their tokens."""
    return People(database.superuser_url, signing_keys)


@pytest.fixture(name="event_stream")
def event_stream_fixture() -> type[EventStream]:
    """The class of streams, for a server of one's own."""
    return EventStream


@pytest.fixture
async def stream(nats_url: str) -> AsyncIterator[EventStream]:
    """An empty event stream of epoch 1."""
    client = await nats.connect(nats_url)
    found = EventStream(client)
    await found.create()
    yield found
    await client.close()
