"""The e-mail address of an account: a token in a message, which the signed-in user gives back, confirms or sets it."""

from __future__ import annotations

import secrets
from datetime import UTC, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from taskbell.api.accounts import repository
from taskbell.api.accounts.errors import (
    AccountGone,
    ConfirmationRefused,
    ConfirmationsThrottled,
    EmailConfirmed,
    EmailUnchanged,
)
from taskbell.api.accounts.policy import Source, mailbox_of
from taskbell.api.accounts.proofs import Proven
from taskbell.api.accounts.schemas import ConfirmationSent, User
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.http.client_address import ClientAddress
from taskbell.contract.emails import CONFIRMATION_TYPE, EMAIL_CHANGE_TYPE, EMAIL_CHANGED_TYPE
from taskbell.kit.ids import new_id
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Connection, Database

MOST_A_DAY = 5
"""Messages that one mailbox gets within a day: for its address, and as many for all accounts with tags together."""
PERIOD = timedelta(days=1)
SENDER_ALLOWED = 10
"""Messages that one address may ask for in 15 minutes before pauses begin."""
_RETRIED_FOR = timedelta(hours=1)


class Confirmations:
    """Sends tokens and takes them back. A token works once, for the account that asked, while its address is the same.

    The user must be signed in to confirm. So the owner of a stranger's mailbox cannot be made to confirm by a click.
    """

    def __init__(self, database: Database, *, throttle: Throttle, ttl: timedelta) -> None:
        self._database = database
        self._throttle = throttle
        self._ttl = ttl

    async def request(self, actor: UUID, *, address: ClientAddress) -> ConfirmationSent:
        """Have a message with a new token sent to the account's address; earlier tokens go on working.

        Raises:
            AccountGone: The account is gone.
            EmailConfirmed: There is nothing to confirm.
            ConfirmationsThrottled: The mailbox has got enough messages.
            SignInThrottled: This client has asked too often.
        """
        await self._throttle.count(Source.confirmation(address=address.host, allowed=SENDER_ALLOWED))
        async with self._database.acting(actor) as connection:
            user = await repository.get_profile(connection, actor)
            if user is None:
                raise AccountGone
            if user.email_confirmed_at is not None:
                raise EmailConfirmed
            return await self._send(
                connection, actor, email=user.email, workspace_id=user.personal_workspace_id, former=None
            )

    async def request_change(self, proven: Proven, email: str, *, address: ClientAddress) -> ConfirmationSent:
        """Have a message with a token sent to another address, which is the account's when the token comes back.

        Whether another account has it shows only to whoever reads its mailbox.

        Raises:
            EmailUnchanged: The account has this address.
            ConfirmationsThrottled: The mailbox has got enough messages.
            SignInThrottled: This client has asked too often.
        """
        if email == proven.email:
            raise EmailUnchanged
        await self._throttle.count(Source.confirmation(address=address.host, allowed=SENDER_ALLOWED))
        async with self._database.acting(proven.user_id) as connection:
            return await self._send(
                connection,
                proven.user_id,
                email=email,
                workspace_id=proven.personal_workspace_id,
                former=proven.email,
            )

    async def confirm(self, actor: UUID, token: str) -> User:
        """Confirm the account's address, or give it the one that the token was sent to: the former one is told.

        Raises:
            ConfirmationRefused: The token is unknown, of another account or address, expired, or was used.
            EmailTaken: Another account has the address by now.
        """
        async with self._database.acting(actor) as connection:
            confirmed = await repository.confirm_email(connection, user_id=actor, token_hash=_digest(token))
            if confirmed is None:
                raise ConfirmationRefused
            user, former = confirmed
            if former != user.email:
                await self._tell(
                    connection, actor, EMAIL_CHANGED_TYPE, {"to": former}, workspace_id=user.personal_workspace_id
                )
        return user

    async def _send(
        self, connection: Connection, actor: UUID, *, email: str, workspace_id: UUID, former: str | None
    ) -> ConfirmationSent:
        mailbox, token = mailbox_of(email), secrets.token_urlsafe(32)
        if former is not None:  # counted apart: nobody uses up what the mailbox's own account may get
            mailbox = sha256(b"change " + mailbox).digest()
        sent = await repository.reserve_confirmation(connection, mailbox=mailbox, period=PERIOD)
        if sent.number >= MOST_A_DAY:
            raise ConfirmationsThrottled(sent.oldest + PERIOD - sent.now)
        expires_at = sent.now + self._ttl
        await repository.add_confirmation(
            connection,
            user_id=actor,
            email=email,
            former_email=former,
            mailbox=mailbox,
            token_hash=_digest(token),
            expires_at=expires_at,
        )
        data = {"token": token, "expires_at": expires_at.astimezone(UTC).isoformat(timespec="minutes")}
        kind = CONFIRMATION_TYPE
        if former is not None:
            kind, data = EMAIL_CHANGE_TYPE, data | {"to": email}
        await self._tell(connection, actor, kind, data, workspace_id=workspace_id)
        return ConfirmationSent(email=email, expires_at=expires_at)

    async def _tell(
        self, connection: Connection, actor: UUID, kind: str, data: dict[str, Any], *, workspace_id: UUID
    ) -> None:
        await repository.add_message(
            connection,
            event_id=new_id(),
            user_id=actor,
            workspace_id=workspace_id,
            event_type=kind,
            payload=orjson.dumps({"type": kind, "data": data}).decode(),
            traceparent=traceparent(),
            retry_for=min(_RETRIED_FOR, self._ttl),
        )


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
