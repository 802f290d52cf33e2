"""What people do with their accounts."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from taskbell.api import metrics
from taskbell.api.accounts import repository
from taskbell.api.accounts.devices import Devices
from taskbell.api.accounts.emails import normalised_or_same
from taskbell.api.accounts.errors import AccountGone, CredentialsRefused, CurrentPasswordWrong, SignInThrottled
from taskbell.api.accounts.fairness import Purpose
from taskbell.api.accounts.passwords import Passwords
from taskbell.api.accounts.policy import Source
from taskbell.api.accounts.schemas import ProfileChange, TokenPair, User
from taskbell.api.accounts.sessions import Sessions
from taskbell.api.accounts.shared_address import SharedAddressWatch
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.http.client_address import ClientAddress
from taskbell.api.second_factors.challenges import Challenge, Challenges
from taskbell.api.second_factors.errors import SecondFactorRequired
from taskbell.contract.tokens import Claims
from taskbell.kit.ids import new_id
from taskbell.store.pool import Database

_FIRST_PASSWORD = 1
"""The version of a new account's password, as the table's default has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What one source may do in 15 minutes before pauses begin.

    Attributes:
        failures: Wrong passwords for one account.
        registrations: New accounts, and tries to make one.
    """

    failures: int
    registrations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A password that may be replaced, since its owner gave it.

    Attributes:
        actor: Whose it is, in which session.
        old: Its hash.
        new: The hash of the one that takes its place.
    """

    actor: Claims
    old: str
    new: str


class Accounts:
    """Registration, sign-in, and the account's own page."""

    def __init__(
        self,
        database: Database,
        *,
        passwords: Passwords,
        sessions: Sessions,
        devices: Devices,
        challenges: Challenges,
        throttle: Throttle,
        allowed: Allowed,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self._devices = devices
        self._challenges = challenges
        self._allowed = allowed
        self._shared_address = SharedAddressWatch()
        self.sessions = sessions

    async def register(
        self, *, email: str, password: str, name: str | None, address: ClientAddress, client: str | None = None
    ) -> tuple[User, TokenPair]:
        """Make an account with a personal workspace, and sign in; `email` is normalised already.

        Raises:
            EmailTaken: Somebody has it.
            SignInThrottled: Too many came from this address.
            PasswordHashingSaturated: Too many passwords wait to be hashed.
        """
        source = Source.registration(address=address.host, allowed=self._allowed.registrations)
        await self._throttle.count(source)
        with self._passwords.place(source.lane, purpose=Purpose.REGISTRATION) as place:
            hashed = await self._passwords.hash(password, place=place)
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
            pair = await self.sessions.begin(
                connection,
                user_id=user_id,
                workspace_id=workspace_id,
                password_version=_FIRST_PASSWORD,
                client=client,
            )
        return profile, pair

    async def sign_in(
        self,
        *,
        account: str,
        password: str,
        device_token: str | None,
        address: ClientAddress,
        client: str | None = None,
    ) -> TokenPair:
        """Begin a session for the account with this e-mail address.

        An unknown account costs the same work and gets the same answer as a wrong password. With a device token of the
        account, failures of others do not count; one that is not valid is ignored.

        Raises:
            CredentialsRefused: There is no such account, or the password is not its.
            SecondFactorRequired: The password is right, and a second factor is in force.
            SignInThrottled: Too many have failed.
            PasswordHashingSaturated: Too many passwords wait to be checked.
        """
        try:
            user_id, pair = await self._sign_in(
                normalised_or_same(account), password, device_token, address=address.host, client=client
            )
        except CredentialsRefused:
            metrics.SIGN_INS.labels(outcome="refused").inc()
            raise
        except SignInThrottled:
            metrics.SIGN_INS.labels(outcome="throttled").inc()
            raise
        except SecondFactorRequired:
            metrics.SIGN_INS.labels(outcome="second_factor_required").inc()
            raise
        metrics.SIGN_INS.labels(outcome="ok").inc()
        self._shared_address.note(address, user_id=user_id)
        return pair

    async def _sign_in(
        self, email: str, password: str, device_token: str | None, *, address: str, client: str | None
    ) -> tuple[UUID, TokenPair]:
        source = await self._source(email, device_token, address)
        async with self._throttle.attempt(source, place=lambda: self._passwords.place(source.lane)) as place:
            found = await repository.find_account(self._database, email)
            hashed = None if found is None else found.password_hash
            right = await self._passwords.verify(password, hashed=hashed, place=place)
            if found is None or hashed is None or not right:
                raise CredentialsRefused
            renewed = None
            if self._passwords.is_outdated(hashed):
                renewed = await self._passwords.hash(password, place=place)
        async with self._database.acting(found.id) as connection:
            confirmed = await repository.confirm_password(connection, found.id, version=found.password_version)
            if confirmed is None:
                raise CredentialsRefused
            if renewed is not None:
                await repository.replace_password_hash(connection, found.id, old=hashed, new=renewed)
            if confirmed.has_second_factor:
                raise SecondFactorRequired(self._challenges.issue(Challenge(found.id, found.password_version)))
            pair = await self.sessions.begin(
                connection,
                user_id=found.id,
                workspace_id=found.personal_workspace_id,
                password_version=found.password_version,
                client=client,
            )
        return found.id, pair

    async def _source(self, email: str, device_token: str | None, address: str) -> Source:
        """Who is asking: a device that signed in to this account with its present password, or a stranger."""
        allowed = self._allowed.failures
        device = None if device_token is None else self._devices.read(device_token)
        if device is not None:
            found = await repository.find_account(self._database, email)
            if found is not None and (found.id, found.password_version) == (device.user_id, device.password_version):
                return Source.device(user_id=device.user_id, device_id=device.id, allowed=allowed)
        return Source.stranger(email=email, address=address, allowed=allowed)

    async def profile(self, user_id: UUID) -> User:
        """One's own account. Raises `AccountGone` if it is gone."""
        async with self._database.acting(user_id) as connection:
            found = await repository.get_profile(connection, user_id)
        if found is None:
            raise AccountGone
        return found

    async def change_profile(self, user_id: UUID, wanted: ProfileChange) -> User:
        """Change what is given. Raises `AccountGone` if the account is gone."""
        async with self._database.acting(user_id) as connection:
            found = await repository.change_profile(connection, user_id, wanted)
        if found is None:
            raise AccountGone
        return found

    async def renew_password(self, actor: Claims, *, current: str, new: str) -> Renewal:
        """Check the password and hash the new one, without a connection. Wrong guesses count for this session only.

        Raises:
            CurrentPasswordWrong: `current` is not the password.
            SignInThrottled: Too many guesses in this session.
            PasswordHashingSaturated: Too many passwords wait to be checked.
        """
        source = Source.session(user_id=actor.user_id, session_id=actor.session_id, allowed=self._allowed.failures)
        async with self._throttle.attempt(source, place=lambda: self._passwords.place(source.lane)) as place:
            async with self._database.acting(actor.user_id) as connection:
                hashed = await repository.get_password_hash(connection, actor.user_id)
            if hashed is None or not await self._passwords.verify(current, hashed=hashed, place=place):
                raise CurrentPasswordWrong
            return Renewal(actor=actor, old=hashed, new=await self._passwords.hash(new, place=place))

    async def change_password(self, renewal: Renewal) -> None:
        """Set the new password; all other sessions and all device tokens end.

        Raises:
            CurrentPasswordWrong: The password was changed in the meantime.
        """
        actor = renewal.actor
        async with self._database.acting(actor.user_id) as connection:
            if not await repository.change_password(connection, actor.user_id, old=renewal.old, new=renewal.new):
                raise CurrentPasswordWrong
            await repository.revoke_other_sessions(
                connection, user_id=actor.user_id, keep=actor.session_id, reason="password_changed"
            )
            await repository.end_email_changes(connection, user_id=actor.user_id)
