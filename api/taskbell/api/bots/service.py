"""What administrators do with the bots of a workspace. The service owns the transaction."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.bots import repository
from taskbell.api.bots.errors import BotNotFound, BotsNotPermitted, ScopeNotForBots
from taskbell.api.bots.policy import MANAGERS, refused
from taskbell.api.bots.schemas import Bot, BotCreate
from taskbell.api.events.recorder import EventRecorder
from taskbell.api.http.paging import PageRequest, Slice
from taskbell.api.invitations.errors import WorkspaceFull
from taskbell.api.personal_tokens.schemas import MadePersonalToken, PersonalToken, PersonalTokenCreate
from taskbell.api.personal_tokens.service import PersonalTokens
from taskbell.api.workspaces.membership import require_role
from taskbell.api.workspaces.service import Workspaces
from taskbell.contract.events import EventType
from taskbell.kit.ids import new_id
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Connection, Database


class Bots:
    """Bots on behalf of a signed-in user who administers their workspace."""

    def __init__(
        self,
        database: Database,
        *,
        tokens: PersonalTokens,
        workspaces: Workspaces,
        recorder: EventRecorder,
        most_members: int,
    ) -> None:
        """Take the parts, and how many members a workspace may have, bots included."""
        self._database = database
        self._tokens = tokens
        self._workspaces = workspaces
        self._recorder = recorder
        self._most_members = most_members

    async def make(self, actor: UUID, workspace_id: UUID, wanted: BotCreate) -> Bot:
        """Make a bot. It can do nothing before it has a token.

        Raises:
            WorkspaceNotFound: The actor does not belong to the workspace.
            BotsNotPermitted: The actor does not administer it.
            WorkspaceFull: It has enough members.
        """
        async with self._database.acting(actor) as connection:
            await _require_manager(connection, actor, workspace_id)
            if await repository.members(connection, workspace_id) >= self._most_members:
                raise WorkspaceFull(f"A workspace has at most {self._most_members} members.")
            bot = await repository.make(
                connection,
                bot_id=new_id(),
                workspace_id=workspace_id,
                name=wanted.name,
                role=wanted.role,
                traceparent=traceparent(),
            )
            if bot is None:  # demoted since the role was read
                raise BotsNotPermitted
        await self._recorder.committed(EventType.MEMBER_ADDED)
        return bot

    async def page(self, actor: UUID, workspace_id: UUID, wanted: PageRequest) -> Slice[Bot]:
        """Read a page of a workspace's bots, by id. Raises `WorkspaceNotFound`, `BotsNotPermitted`."""
        async with self._database.acting(actor) as connection:
            await _require_manager(connection, actor, workspace_id)
            return await repository.page(connection, workspace_id, after=wanted.after, limit=wanted.limit)

    async def delete(self, actor: UUID, workspace_id: UUID, bot_id: UUID) -> None:
        """End a bot: its tokens and its membership. What it made keeps its name.

        Raises:
            WorkspaceNotFound, BotsNotPermitted, BotNotFound: As above.
        """
        async with self._database.acting(actor) as connection:
            await self._require(connection, actor, workspace_id, bot_id)
            await repository.delete_tokens(connection, bot_id)
        await self._workspaces.remove_member(actor, workspace_id, bot_id)

    async def make_token(
        self, actor: UUID, workspace_id: UUID, bot_id: UUID, wanted: PersonalTokenCreate
    ) -> MadePersonalToken:
        """Make a token of a bot.

        Raises:
            WorkspaceNotFound, BotsNotPermitted, BotNotFound: As above.
            ScopeNotForBots: No bot may do this.
            ExpiryRefused, TooManyPersonalTokens: As for a user's own.
        """
        if found := refused(wanted.scopes):
            raise ScopeNotForBots(found)
        await self._check(actor, workspace_id, bot_id)
        return await self._tokens.make(actor, wanted, owner=bot_id)

    async def tokens(self, actor: UUID, workspace_id: UUID, bot_id: UUID, wanted: PageRequest) -> Slice[PersonalToken]:
        """Read a page of a bot's tokens, by id."""
        await self._check(actor, workspace_id, bot_id)
        return await self._tokens.page(actor, wanted, owner=bot_id)

    async def delete_token(self, actor: UUID, workspace_id: UUID, bot_id: UUID, token_id: UUID) -> None:
        """End a token of a bot. Raises `PersonalTokenNotFound`, too."""
        await self._check(actor, workspace_id, bot_id)
        await self._tokens.delete(actor, token_id, owner=bot_id)

    async def _check(self, actor: UUID, workspace_id: UUID, bot_id: UUID) -> None:
        async with self._database.acting(actor) as connection:
            await self._require(connection, actor, workspace_id, bot_id)

    @staticmethod
    async def _require(connection: Connection, actor: UUID, workspace_id: UUID, bot_id: UUID) -> None:
        await _require_manager(connection, actor, workspace_id)
        if await repository.find(connection, workspace_id, bot_id) is None:
            raise BotNotFound


async def _require_manager(connection: Connection, actor: UUID, workspace_id: UUID) -> None:
    if await require_role(connection, actor=actor, workspace_id=workspace_id) not in MANAGERS:
        raise BotsNotPermitted
