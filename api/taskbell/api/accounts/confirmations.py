"""Confirmation of an account's e-mail address: a token in a message, which the signed-in user gives back."""

from __future__ import annotations

import secrets
from datetime import UTC, timedelta
from hashlib import sha256
from uuid import UUID

import orjson

from taskbell.api.accounts import repository
from taskbell.api.accounts.errors import AccountGone, ConfirmationRefused, ConfirmationsThrottled, EmailConfirmed
from taskbell.api.accounts.policy import Source, mailbox_of
from taskbell.api.accounts.schemas import ConfirmationSent, User
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.http.client_address import ClientAddress
from taskbell.contract.emails import CONFIRMATION_TYPE
from taskbell.kit.ids import new_id
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Database

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
        token = secrets.token_urlsafe(32)
        async with self._database.acting(actor) as connection:
            user = await repository.get_profile(connection, actor)
            if user is None:
                raise AccountGone
            if user.email_confirmed_at is not None:
                raise EmailConfirmed
            mailbox = mailbox_of(user.email)
            sent = await repository.reserve_confirmation(connection, mailbox=mailbox, period=PERIOD)
            if sent.number >= MOST_A_DAY:
                raise ConfirmationsThrottled(sent.oldest + PERIOD - sent.now)
            expires_at = sent.now + self._ttl
            await repository.add_confirmation(
                connection,
                user_id=actor,
                email=user.email,
                mailbox=mailbox,
                token_hash=_digest(token),
                expires_at=expires_at,
            )
            data = {"token": token, "expires_at": expires_at.astimezone(UTC).isoformat(timespec="minutes")}
            await repository.add_message(
                connection,
                event_id=new_id(),
                user_id=actor,
                workspace_id=user.personal_workspace_id,
                event_type=CONFIRMATION_TYPE,
                payload=orjson.dumps({"type": CONFIRMATION_TYPE, "data": data}).decode(),
                traceparent=traceparent(),
                retry_for=min(_RETRIED_FOR, self._ttl),
            )
        return ConfirmationSent(email=user.email, expires_at=expires_at)

    async def confirm(self, actor: UUID, token: str) -> User:
        """Confirm the account's address.

        Raises:
            ConfirmationRefused: The token is unknown, of another account or address, expired, or was used.
        """
        async with self._database.acting(actor) as connection:
            if not await repository.use_confirmation(connection, user_id=actor, token_hash=_digest(token)):
                raise ConfirmationRefused
            user = await repository.confirm_email(connection, actor)
        if user is None:
            raise AccountGone
        return user


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
