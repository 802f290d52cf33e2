"""A forgotten password: a token in a message to the account's address, with which whoever reads it sets another."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256

from taskbell.api import metrics
from taskbell.api.accounts import repository
from taskbell.api.accounts.errors import PasswordResetRefused, SignInThrottled
from taskbell.api.accounts.passwords import Passwords
from taskbell.api.accounts.policy import Source, mailbox_of
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.http.client_address import ClientAddress
from taskbell.kit.ids import bare_uuid, new_id
from taskbell.kit.postgres.statements import load
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Database

MOST_AT_A_TIME = 3
"""Messages that one mailbox gets within the lifetime of a token. Whoever asks again has one that still works."""
SENDER_ALLOWED = 10
"""Messages that one address may ask for in 15 minutes before pauses begin."""
TOKENS_ALLOWED = 20
"""Wrong tokens from one address in 15 minutes before pauses begin."""
_RETRIED_FOR = timedelta(hours=1)
_FIND_OWNER = load(__package__, "find_reset_owner")
_FORGET_STRANGER = load(__package__, "forget_stranger")
_REQUEST = load(__package__, "request_password_reset")
_RESET = load(__package__, "reset_password")


class PasswordResets:
    """Sends tokens and takes them back. A token works once, while the account's address and password are the same.

    Whether an address has an account shows in no answer and in no path: the same statements run for each address, and
    they write rows of the same kind.
    """

    def __init__(
        self,
        database: Database,
        *,
        passwords: Passwords,
        throttle: Throttle,
        ttl: timedelta,
        failures_allowed: int,
    ) -> None:
        """Take how long a token works, and how many wrong passwords a stranger may send: a reset forgives them."""
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self._ttl = ttl
        self._failures_allowed = failures_allowed

    async def request(self, email: str, *, address: ClientAddress) -> None:
        """Have a message with a new token sent, if the address has an account with a password; earlier tokens go on.

        Raises:
            SignInThrottled: This client has asked too often, for whatever addresses.
        """
        try:
            await self._throttle.count(Source.password_reset(address=address.host, allowed=SENDER_ALLOWED))
        except SignInThrottled:
            metrics.PASSWORD_RESETS.labels(outcome="throttled").inc()
            raise
        token = secrets.token_urlsafe(32)
        await _REQUEST.value(
            self._database,
            email=email,
            mailbox=mailbox_of(email),
            token=token,
            token_hash=_digest(token),
            lifetime=self._ttl,
            retry_for=min(_RETRIED_FOR, self._ttl),
            most=MOST_AT_A_TIME,
            event_id=new_id(),
            traceparent=traceparent(),
        )
        metrics.PASSWORD_RESETS.labels(outcome="asked").inc()

    async def confirm(self, token: str, *, password: str, address: ClientAddress) -> None:
        """Set the password of the account that a token was sent for; all its sessions and device tokens end.

        An account whose address was not confirmed loses its personal access tokens, its devices and its personal
        workspace's webhooks, too: somebody else may have registered it. Failed sign-ins from this
        address, and those of all strangers, are forgotten: the user may sign in at once.

        Raises:
            PasswordResetRefused: The token is unknown, expired or used, or the account has another password or address
                since.
            SignInThrottled: Too many wrong tokens came from this address.
            PasswordHashingSaturated: Too many passwords wait to be hashed.
        """
        try:
            email = await self._confirm(_digest(token), password, address.host)
        except PasswordResetRefused:
            metrics.PASSWORD_RESETS.labels(outcome="refused").inc()
            raise
        await self._throttle.forget(Source.stranger(email=email, address=address.host, allowed=self._failures_allowed))
        metrics.PASSWORD_RESETS.labels(outcome="done").inc()

    async def _confirm(self, token_hash: bytes, password: str, address: str) -> str:
        source = Source.password_reset_token(address=address, allowed=TOKENS_ALLOWED)
        async with self._throttle.attempt(source, place=lambda: self._passwords.place(source.lane)) as place:
            owner = await _FIND_OWNER.value(self._database, token_hash=token_hash)
            if owner is None:
                raise PasswordResetRefused
            user_id = bare_uuid(owner)
            hashed = await self._passwords.hash(password, place=place)
            async with self._database.acting(user_id) as connection:
                account = await _RESET.row(connection, token_hash=token_hash, new=hashed)
                if account is None:
                    raise PasswordResetRefused
                await repository.revoke_other_sessions(connection, user_id=user_id, keep=None, reason="password_reset")
                await repository.end_email_changes(connection, user_id=user_id)
                if account["was_unconfirmed"]:
                    personal = account["personal_workspace_id"]
                    await _FORGET_STRANGER.count(connection, user_id=user_id, personal_workspace_id=personal)
        email: str = account["email"]
        return email


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
