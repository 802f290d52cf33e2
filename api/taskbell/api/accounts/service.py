"""What people do with their accounts."""

from __future__ import annotations

from uuid import UUID

from taskbell.api import metrics
from taskbell.api.accounts import repository
from taskbell.api.accounts.emails import normalised_or_same
from taskbell.api.accounts.errors import AccountGone, CredentialsRefused, CurrentPasswordWrong, SignInThrottled
from taskbell.api.accounts.passwords import Passwords
from taskbell.api.accounts.schemas import TokenPair, User
from taskbell.api.accounts.sessions import Sessions
from taskbell.api.accounts.throttle import Throttle
from taskbell.contract.tokens import Claims
from taskbell.kit.ids import new_id
from taskbell.store.pool import Database


class Accounts:
    """Registration, sign-in, and the account's own page."""

    def __init__(self, database: Database, *, passwords: Passwords, sessions: Sessions, throttle: Throttle) -> None:
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self.sessions = sessions

    async def register(self, *, email: str, password: str, name: str | None) -> tuple[User, TokenPair]:
        """Make an account with a personal workspace, and sign in; `email` is normalised already.

        Raises:
            EmailTaken: Somebody has it.
            PasswordHashingSaturated: Too many passwords wait to be hashed.
        """
        with self._passwords.place():
            hashed = await self._passwords.hash(password)
        user_id, workspace_id = new_id(), new_id()
        async with self._database.acting(user_id) as connection:
            profile = await repository.add_account(
                connection,
                user_id=user_id,
                workspace_id=workspace_id,
                email=email,
                name=name or email.partition("@")[0],
                password_hash=hashed,
            )
            pair = await self.sessions.begin(connection, user_id=user_id, workspace_id=workspace_id)
        return profile, pair

    async def sign_in(self, *, account: str, password: str, address: str) -> TokenPair:
        """Begin a session for the account with this e-mail address; `address` is where the caller is.

        An unknown account costs the same work and gets the same answer as a wrong password.

        Raises:
            CredentialsRefused: There is no such account, or the password is not its.
            SignInThrottled: Too many have failed.
            PasswordHashingSaturated: Too many passwords wait to be checked.
        """
        try:
            pair = await self._sign_in(normalised_or_same(account), password, address)
        except CredentialsRefused:
            metrics.SIGN_INS.labels(outcome="refused").inc()
            raise
        except SignInThrottled:
            metrics.SIGN_INS.labels(outcome="throttled").inc()
            raise
        metrics.SIGN_INS.labels(outcome="ok").inc()
        return pair

    async def _sign_in(self, email: str, password: str, address: str) -> TokenPair:
        async with self._throttle.attempt(email=email, address=address, place=self._passwords.place):
            found = await repository.find_account(self._database, email)
            hashed = None if found is None else found.password_hash
            right = await self._passwords.verify(password, hashed=hashed)
            if found is None or hashed is None or not right:
                raise CredentialsRefused
            renewed = await self._passwords.hash(password) if self._passwords.is_outdated(hashed) else None
        async with self._database.acting(found.id) as connection:
            if renewed is not None:
                await repository.replace_password_hash(connection, found.id, old=hashed, new=renewed)
            return await self.sessions.begin(connection, user_id=found.id, workspace_id=found.personal_workspace_id)

    async def profile(self, user_id: UUID) -> User:
        """One's own account. Raises `AccountGone` if it is gone."""
        async with self._database.acting(user_id) as connection:
            found = await repository.get_profile(connection, user_id)
        if found is None:
            raise AccountGone
        return found

    async def change_profile(self, user_id: UUID, *, name: str | None, time_zone: str | None) -> User:
        """Change what is given. Raises `AccountGone` if the account is gone."""
        async with self._database.acting(user_id) as connection:
            found = await repository.change_profile(connection, user_id, name=name, time_zone=time_zone)
        if found is None:
            raise AccountGone
        return found

    async def change_password(self, actor: Claims, *, current: str, new: str, address: str) -> None:
        """Set a new password and end all other sessions. Wrong guesses count like failed sign-ins.

        Raises:
            CurrentPasswordWrong: `current` is not the password, or was changed in the meantime.
            SignInThrottled: Too many guesses.
            PasswordHashingSaturated: Too many passwords wait to be checked.
        """
        email = (await self.profile(actor.user_id)).email
        async with self._throttle.attempt(email=email, address=address, place=self._passwords.place):
            async with self._database.acting(actor.user_id) as connection:
                hashed = await repository.get_password_hash(connection, actor.user_id)
            if hashed is None or not await self._passwords.verify(current, hashed=hashed):
                raise CurrentPasswordWrong
            renewed = await self._passwords.hash(new)
        async with self._database.acting(actor.user_id) as connection:
            if not await repository.replace_password_hash(connection, actor.user_id, old=hashed, new=renewed):
                raise CurrentPasswordWrong
            await repository.revoke_other_sessions(
                connection, user_id=actor.user_id, keep=actor.session_id, reason="password_changed"
            )
