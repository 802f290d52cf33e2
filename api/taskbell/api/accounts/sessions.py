"""Sessions: a sign-in and the pairs of tokens that descend from it."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

import structlog
from joserfc.jwk import KeySet

from taskbell.api import metrics
from taskbell.api.accounts import repository
from taskbell.api.accounts.devices import Device, Devices
from taskbell.api.accounts.errors import RefreshTokenRefused, RefreshTokenReused, SessionNotFound
from taskbell.api.accounts.policy import RefreshDecision, judge
from taskbell.api.accounts.schemas import SignIn, TokenPair
from taskbell.api.accounts.tokens import issue
from taskbell.api.http.paging import PageRequest, Slice
from taskbell.contract.tokens import REFRESH_PREFIX, Claims, TokenType
from taskbell.kit.ids import new_id
from taskbell.store.pool import Connection, Database

_CLIENT_LENGTH = 200
_log = structlog.get_logger(__name__)


class Sessions:
    """Begins, continues and ends sessions. Refresh tokens are random; only their SHA-256 is stored."""

    def __init__(
        self, database: Database, *, keys: KeySet, devices: Devices, access_ttl: timedelta, refresh_ttl: timedelta
    ) -> None:
        self._database = database
        self._keys = keys
        self._devices = devices
        self._access_ttl = access_ttl
        self._refresh_ttl = refresh_ttl

    async def begin(
        self,
        connection: Connection,
        *,
        user_id: UUID,
        workspace_id: UUID,
        password_version: int,
        client: str | None = None,
    ) -> TokenPair:
        """Begin a session within the caller's transaction. `client` is what the client calls itself, if it does."""
        session_id, token = new_id(), _new_token()
        await repository.add_session(
            connection,
            session_id=session_id,
            user_id=user_id,
            client=shortened(client),
            token_hash=_digest(token),
            ttl=self._refresh_ttl,
        )
        device = Device(user_id=user_id, id=session_id, password_version=password_version)
        return self._pair(token, device, workspace_id=workspace_id)

    async def refresh(self, token: str) -> TokenPair:
        """Exchange a refresh token for the next pair.

        Raises:
            RefreshTokenRefused: It is unknown, expired or revoked.
            RefreshTokenReused: It was used before; its session is revoked with that.
        """
        used = _digest(token)
        user_id = await repository.find_token_owner(self._database, used)
        if user_id is None:
            raise RefreshTokenRefused
        successor = _new_token()
        async with self._database.acting(user_id) as connection:
            found = await repository.lock_token(connection, used)
            decision = RefreshDecision.REFUSED if found is None else judge(found.state, now=found.now)
            if found is not None and decision is RefreshDecision.ROTATE:
                await repository.rotate_token(
                    connection,
                    used=used,
                    successor=_digest(successor),
                    session_id=found.session_id,
                    user_id=user_id,
                    ttl=self._refresh_ttl,
                )
            elif found is not None and decision is RefreshDecision.REUSED:
                await repository.revoke_session(connection, found.session_id, reason="refresh_token_reused")
        if found is None or decision is RefreshDecision.REFUSED:
            raise RefreshTokenRefused
        if decision is RefreshDecision.REUSED:
            metrics.REFRESH_REUSES.inc()
            _log.warning("refresh_token_reused", user_id=str(user_id), session_id=str(found.session_id))
            raise RefreshTokenReused
        device = Device(user_id=user_id, id=found.session_id, password_version=found.password_version)
        return self._pair(successor, device, workspace_id=found.workspace_id)

    async def page(self, actor: Claims, wanted: PageRequest) -> Slice[SignIn]:
        """One's sessions that have not ended, the newest first."""
        async with self._database.acting(actor.user_id) as connection:
            return await repository.list_sessions(
                connection,
                user_id=actor.user_id,
                present=actor.session_id,
                after=wanted.after,
                limit=wanted.limit,
            )

    async def revoke(self, actor: Claims, session_id: UUID) -> None:
        """End one of one's sessions, be it the present one. Raises `SessionNotFound`."""
        async with self._database.acting(actor.user_id) as connection:
            if not await repository.revoke_session(connection, session_id, reason="revoked"):
                raise SessionNotFound

    async def revoke_others(self, actor: Claims) -> None:
        """End all of one's sessions but the present one."""
        async with self._database.acting(actor.user_id) as connection:
            await repository.revoke_other_sessions(
                connection, user_id=actor.user_id, keep=actor.session_id, reason="revoked"
            )

    async def end(self, *, user_id: UUID, session_id: UUID) -> None:
        """End a session: its refresh tokens are worth nothing any more, nor soon its access tokens (`Revocations`)."""
        async with self._database.acting(user_id) as connection:
            await repository.revoke_session(connection, session_id, reason="signed_out")

    async def end_by_token(self, token: str) -> None:
        """End the session of a refresh token; an unknown one has none (RFC 7009, section 2.2)."""
        digest = _digest(token)
        user_id = await repository.find_token_owner(self._database, digest)
        if user_id is not None:
            async with self._database.acting(user_id) as connection:
                await repository.revoke_session_of_token(connection, digest, reason="signed_out")

    def _pair(self, refresh_token: str, device: Device, *, workspace_id: UUID) -> TokenPair:
        access_token = issue(
            token_type=TokenType.ACCESS,
            user_id=device.user_id,
            workspace_id=workspace_id,
            session_id=device.id,
            ttl=self._access_ttl,
            keys=self._keys,
        )
        return TokenPair(
            access_token=access_token,
            refresh_token=refresh_token,
            expires_in=int(self._access_ttl.total_seconds()),
            device_token=self._devices.issue(device),
        )


def shortened(client: str | None) -> str | None:
    """What a client calls itself, as it is kept: one line of printable characters, 200 at most; None for nothing."""
    if client is None:
        return None
    kept = "".join(character if character.isprintable() else " " for character in client)
    return " ".join(kept.split())[:_CLIENT_LENGTH].rstrip() or None


def _new_token() -> str:
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
