"""A proof that it is the user who asks, for what a stolen access token must not do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from taskbell.api.accounts.errors import AccountGone, CurrentPasswordWrong, SignInTooOld
from taskbell.api.accounts.passwords import Passwords
from taskbell.api.accounts.policy import Source
from taskbell.api.accounts.throttle import Throttle
from taskbell.contract.tokens import Claims
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Database

FRESH = timedelta(minutes=15)
"""How long a sign-in counts in place of the password, for accounts that have none."""
_GET = load(__package__, "get_proof")


@dataclass(frozen=True, slots=True)
class Proven:
    """The account whose user has proved to be there."""

    user_id: UUID
    email: str
    personal_workspace_id: UUID
    has_password: bool


class Proofs:
    """Asks for the password again, or, of an account without one, for a sign-in of the last minutes."""

    def __init__(self, database: Database, *, passwords: Passwords, throttle: Throttle, failures_allowed: int) -> None:
        """Take how many wrong passwords one session may send before pauses begin."""
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self._allowed = failures_allowed

    async def demand(self, actor: Claims, *, password: str | None) -> Proven:
        """Check the proof. Wrong guesses count for this session, as at a change of the password.

        Raises:
            AccountGone: The account is gone.
            CurrentPasswordWrong: The password is wrong or missing.
            SignInTooOld: The account has none, and this session began too long ago.
            SignInThrottled: Too many guesses in this session.
            PasswordHashingSaturated: Too many passwords wait to be checked.
        """
        source = Source.session(user_id=actor.user_id, session_id=actor.session_id, allowed=self._allowed)
        async with self._throttle.attempt(source, place=lambda: self._passwords.place(source.lane)) as place:
            async with self._database.acting(actor.user_id) as connection:
                found = await _GET.row(connection, id=actor.user_id, session_id=actor.session_id, fresh=FRESH)
            if found is None:
                raise AccountGone
            hashed: str | None = found["password_hash"]
            if hashed is None:
                if not found["is_fresh"]:
                    raise SignInTooOld
            elif password is None or not await self._passwords.verify(password, hashed=hashed, place=place):
                raise CurrentPasswordWrong("/password")
        return Proven(
            user_id=actor.user_id,
            email=found["email"],
            personal_workspace_id=bare_uuid(found["personal_workspace_id"]),
            has_password=hashed is not None,
        )
