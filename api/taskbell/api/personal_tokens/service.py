"""What users do with their personal access tokens. The service owns the transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from taskbell.api.http.paging import PageRequest, Slice
from taskbell.api.personal_tokens import repository
from taskbell.api.personal_tokens.errors import ExpiryRefused, PersonalTokenNotFound, TooManyPersonalTokens
from taskbell.api.personal_tokens.policy import Lifetime
from taskbell.api.personal_tokens.schemas import MadePersonalToken, PersonalToken, PersonalTokenCreate
from taskbell.contract import personal_tokens
from taskbell.kit.ids import new_id
from taskbell.store.pool import Database


class PersonalTokens:
    """The personal access tokens of a signed-in user, and of the bots that the user looks after."""

    def __init__(self, database: Database, *, most: int, lifetime: Lifetime) -> None:
        """Take how many tokens a user may have, and how long they live."""
        self._database = database
        self._most = most
        self._lifetime = lifetime

    async def make(self, actor: UUID, wanted: PersonalTokenCreate, *, owner: UUID | None = None) -> MadePersonalToken:
        """Make a token, of the actor or of a bot (`owner`). Its text is in the result and nowhere else.

        Raises:
            ExpiryRefused: It would end too early or too late.
            TooManyPersonalTokens: There are enough.
        """
        now = datetime.now(UTC)
        if wanted.expires_at is not None and (fault := self._lifetime.fault(wanted.expires_at, now=now)):
            raise ExpiryRefused(fault)
        token = personal_tokens.make()
        async with self._database.acting(actor) as connection:
            if await repository.reserve(connection, owner or actor) >= self._most:
                raise TooManyPersonalTokens(f"At most {self._most} personal access tokens: delete one first.")
            made = await repository.add(
                connection,
                token_id=new_id(),
                user_id=owner or actor,
                name=wanted.name,
                scopes=[scope.value for scope in wanted.scopes],
                digest=personal_tokens.digest(token),
                expires_at=wanted.expires_at or self._lifetime.end(now=now),
            )
        return MadePersonalToken(**made.model_dump(), token=token)

    async def page(self, actor: UUID, wanted: PageRequest, *, owner: UUID | None = None) -> Slice[PersonalToken]:
        """Read a page of the actor's tokens, or of a bot's, by id."""
        async with self._database.acting(actor) as connection:
            return await repository.page(connection, owner or actor, after=wanted.after, limit=wanted.limit)

    async def end(self, actor: UUID, token_id: UUID) -> None:
        """End the token that a request came with; nothing happens if it has just been deleted."""
        async with self._database.acting(actor) as connection:
            await repository.delete(connection, actor, token_id)

    async def delete(self, actor: UUID, token_id: UUID, *, owner: UUID | None = None) -> None:
        """End a token: every process refuses it within a second. Raises `PersonalTokenNotFound`."""
        async with self._database.acting(actor) as connection:
            if not await repository.delete(connection, owner or actor, token_id):
                raise PersonalTokenNotFound
