"""Enrols, asks for and ends second factors."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import structlog

from taskbell.api import metrics
from taskbell.api.accounts import repository as accounts
from taskbell.api.accounts.errors import SignInThrottled
from taskbell.api.accounts.passwords import Passwords
from taskbell.api.accounts.policy import Source
from taskbell.api.accounts.proofs import Proven
from taskbell.api.accounts.schemas import TokenPair
from taskbell.api.accounts.sessions import Sessions
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.second_factors import policy, repository
from taskbell.api.second_factors.challenges import Challenge, Challenges
from taskbell.api.second_factors.errors import (
    ChallengeRefused,
    CodeWrong,
    PasswordMissing,
    SecondFactorExists,
    SecondFactorMissing,
    SecondFactorNotSetUp,
    SecondFactorRefused,
)
from taskbell.api.second_factors.repository import SecondFactor
from taskbell.api.second_factors.schemas import SecondFactorSecret, SecondFactorState
from taskbell.contract.tokens import Claims
from taskbell.kit.sealing import Seal
from taskbell.store.pool import Connection, Database

CODES_ALLOWED = 5
"""Wrong codes for one account in 15 minutes before pauses begin. Only who knows the password can send any."""
_log = structlog.get_logger(__name__)


class SecondFactors:
    """Secrets are sealed under keys of the settings. Without them nobody enrols, and only recovery codes sign in."""

    def __init__(
        self,
        database: Database,
        *,
        passwords: Passwords,
        sessions: Sessions,
        challenges: Challenges,
        throttle: Throttle,
        seal: Seal | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._sessions = sessions
        self._challenges = challenges
        self._throttle = throttle
        self._seal = seal
        self._clock = clock

    async def state(self, actor: Claims) -> SecondFactorState:
        """Whether one has a second factor, and how many recovery codes are left."""
        async with self._database.acting(actor.user_id) as connection:
            return await repository.get_state(connection, actor.user_id)

    async def enrol(self, proven: Proven) -> SecondFactorSecret:
        """Make a secret, which `confirm` puts into force; one that waits for that is replaced.

        Raises:
            SecondFactorNotSetUp: The settings have no key.
            SecondFactorExists: One is in force.
            PasswordMissing: The account has no password.
        """
        seal = self._sealing()
        if not proven.has_password:
            raise PasswordMissing
        secret = policy.new_secret()
        sealed = seal.seal(secret, owner=str(proven.user_id))
        async with self._database.acting(proven.user_id) as connection:
            if not await repository.enrol(connection, proven.user_id, sealed=sealed):
                raise SecondFactorExists
        return SecondFactorSecret(secret=secret, otpauth_uri=policy.address_of(secret, email=proven.email))

    async def confirm(self, actor: Claims, code: str) -> list[str]:
        """Put the enrolled secret into force by a code of it; returns the recovery codes.

        Raises:
            SecondFactorNotSetUp: The settings have no key.
            SecondFactorMissing: None waits to be confirmed.
            CodeWrong: The code is not of the secret, or not of now.
            SignInThrottled: Too many codes were wrong.
        """
        seal = self._sealing()
        codes = policy.new_recovery_codes()
        # Whoever has a session alone must not make the second step of sign-ins wait.
        source = Source.session(user_id=actor.user_id, session_id=actor.session_id, allowed=CODES_ALLOWED)
        async with self._attempt(source), self._database.acting(actor.user_id) as connection:
            found = await repository.lock(connection, actor.user_id)
            if found is None or found.confirmed_at is not None:
                raise SecondFactorMissing
            secret = seal.open(found.secret, owner=str(actor.user_id))
            step = policy.step_of(secret, code, now=self._clock(), last_step=found.last_step)
            if step is None:
                raise CodeWrong
            hashes = [policy.digest_of(each) for each in codes]
            await repository.confirm(connection, actor.user_id, step=step, code_hashes=hashes)
        _log.info("second_factor_enabled", user_id=str(actor.user_id))
        return codes

    async def sign_in(self, challenge: str, code: str, *, client: str | None) -> TokenPair:
        """Begin the session that a challenge is for.

        Raises:
            ChallengeRefused: The challenge is not valid, or the password was changed since.
            SecondFactorRefused: The code is wrong, too old, or was used.
            SecondFactorNotSetUp: The settings have no key any more.
            SignInThrottled: Too many codes were wrong.
        """
        read = self._challenges.read(challenge)
        if read is None:
            raise ChallengeRefused
        try:
            pair = await self._sign_in(read, code, client=client)
        except (SecondFactorRefused, SignInThrottled) as refused:
            outcome = "throttled" if isinstance(refused, SignInThrottled) else "refused"
            metrics.SECOND_FACTORS.labels(outcome=outcome).inc()
            raise
        metrics.SECOND_FACTORS.labels(outcome="ok").inc()
        return pair

    async def _sign_in(self, challenge: Challenge, code: str, *, client: str | None) -> TokenPair:
        user_id, version = challenge.user_id, challenge.password_version
        async with self._attempt(_codes_of(user_id)), self._database.acting(user_id) as connection:
            found = await repository.lock(connection, user_id)
            if found is None or found.confirmed_at is None or not await self._uses(connection, user_id, found, code):
                raise SecondFactorRefused
            if not await accounts.confirm_password(connection, user_id, version=version):
                raise ChallengeRefused
            return await self._sessions.begin(
                connection, user_id=user_id, workspace_id=found.workspace_id, password_version=version, client=client
            )

    async def disable(self, proven: Proven, *, code: str) -> None:
        """End the second factor, with its recovery codes.

        Raises:
            SecondFactorMissing: There is none.
            CodeWrong: The code is wrong, too old, or was used.
            SignInThrottled: Too many codes were wrong.
        """
        user_id = proven.user_id
        async with self._attempt(_codes_of(user_id)), self._database.acting(user_id) as connection:
            found = await repository.lock(connection, user_id)
            if found is None or found.confirmed_at is None:
                raise SecondFactorMissing
            if not await self._uses(connection, user_id, found, code):
                raise CodeWrong
            await repository.delete(connection, user_id)
        _log.info("second_factor_disabled", user_id=str(user_id))

    async def demand(self, proven: Proven, *, code: str | None) -> None:
        """Check a code, and use it up, if a second factor is in force.

        Raises:
            CodeWrong: The code is wrong, too old, was used, or is missing.
            SignInThrottled: Too many codes were wrong.
        """
        user_id = proven.user_id
        async with self._database.acting(user_id) as connection:
            enabled = (await repository.get_state(connection, user_id)).enabled
        if not enabled:
            return
        if code is None:
            raise CodeWrong
        async with self._attempt(_codes_of(user_id)), self._database.acting(user_id) as connection:
            found = await repository.lock(connection, user_id)
            if found is not None and not await self._uses(connection, user_id, found, code):
                raise CodeWrong

    async def _uses(self, connection: Connection, user_id: UUID, found: SecondFactor, code: str) -> bool:
        """Use a code, if it is valid: of the authenticator, later than the last one, or a recovery code."""
        if len(code) != policy.DIGITS:
            return await repository.use_recovery_code(connection, user_id, policy.digest_of(code))
        secret = self._sealing().open(found.secret, owner=str(user_id))
        step = policy.step_of(secret, code, now=self._clock(), last_step=found.last_step)
        if step is None:
            return False
        await repository.use_step(connection, user_id, step)
        return True

    def _attempt(self, source: Source) -> AbstractAsyncContextManager[Any]:
        return self._throttle.attempt(source, place=lambda: self._passwords.place(source.lane))

    def _sealing(self) -> Seal:
        if self._seal is None:
            raise SecondFactorNotSetUp
        return self._seal


def _codes_of(user_id: UUID) -> Source:
    return Source.second_factor(user_id=user_id, allowed=CODES_ALLOWED)
