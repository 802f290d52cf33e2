"""Signs people in through providers of identity, and registers them at their first sign-in."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from joserfc.jwk import KeySet

from taskbell.api import metrics
from taskbell.api.accounts.errors import EmailTaken
from taskbell.api.accounts.policy import Source
from taskbell.api.accounts.provided import add_provided_account, find_account_id
from taskbell.api.accounts.schemas import TokenPair
from taskbell.api.accounts.sessions import Sessions
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.http.client_address import ClientAddress
from taskbell.api.oidc import begun_tokens, repository
from taskbell.api.oidc.errors import (
    AccountNotConfirmed,
    IdentityTaken,
    ProviderUnavailable,
    ProviderUnknown,
    RedirectRefused,
    SecondFactorOn,
    SignInRefused,
)
from taskbell.api.oidc.policy import Begun, Person, read_person
from taskbell.api.oidc.providers import Provider
from taskbell.api.oidc.redirects import is_allowed
from taskbell.api.oidc.repository import Account
from taskbell.contract.problems import Refused
from taskbell.store.pool import Connection, Database

if TYPE_CHECKING:
    from taskbell.api.oidc.code_exchange import CodeExchange

ALLOWED = 300
"""Sign-ins that one address may finish within 15 minutes before pauses begin: an office shares an address."""
_KEPT = timedelta(minutes=10)
"""How long a used sign-in is remembered after its token has expired: clocks of hosts differ."""
_TRIES = 3
"""Two first sign-ins of one person may meet; the one that comes second finds what the other made."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a client needs to go on."""

    authorization_url: str
    begun: Begun
    token: str


class ProviderSignIns:
    """Sign-ins through the providers of the settings."""

    def __init__(
        self,
        database: Database,
        *,
        known: Iterable[tuple[Provider, CodeExchange]],
        redirects: Collection[str],
        sessions: Sessions,
        keys: KeySet,
        throttle: Throttle,
    ) -> None:
        """Take the providers with what speaks to each, and where they may send people back to."""
        self._database = database
        self._known = {provider.id: (provider, exchange) for provider, exchange in known}
        self._redirects = redirects
        self._sessions = sessions
        self._keys = keys
        self._throttle = throttle

    def providers(self) -> list[Provider]:
        """In the order of the settings."""
        return [provider for provider, _ in self._known.values()]

    async def start(self, provider_id: str, *, redirect_uri: str) -> Started:
        """Begin a sign-in; nothing is stored.

        Raises:
            ProviderUnknown: There is no such provider.
            RedirectRefused: The settings do not list the address.
            ProviderUnavailable: The provider does not answer as it should.
        """
        provider, exchange = self._provider(provider_id)
        if not is_allowed(redirect_uri, listed=self._redirects):
            raise RedirectRefused
        begun, token = begun_tokens.begin(provider=provider.id, redirect_uri=redirect_uri, keys=self._keys)
        return Started(authorization_url=await exchange.authorization_url(begun), begun=begun, token=token)

    async def finish(
        self, provider_id: str, *, code: str, state: str, token: str, issuer: str | None, address: ClientAddress
    ) -> TokenPair:
        """Finish a sign-in that this client began, and begin a session. It works once, whatever comes of it.

        Raises:
            ProviderUnknown: There is no such provider.
            SignInRefused: The token or the state is not valid, or was used.
            ProviderRefused: The code or the ID token is not valid.
            EmailNotVerified, EmailNotAllowed: The provider's word for the address is missing or not enough.
            AccountNotConfirmed, SecondFactorOn, IdentityTaken: There is an account that may not be linked.
            ProviderUnavailable: The provider does not answer as it should.
            SignInThrottled: Too many came from this address.
        """
        provider, exchange = self._provider(provider_id)
        try:
            begun = self._begun(provider, state=state, token=token, issuer=issuer)
            await self._throttle.count(Source.provider_sign_in(address=address.host, allowed=ALLOWED))
            expires_at = datetime.fromtimestamp(begun.expires_at, tz=UTC) + _KEPT
            if not await repository.use_sign_in(self._database, begun.id, expires_at=expires_at):
                raise SignInRefused("This sign-in was finished before, or tried; begin again.")
            person = read_person(provider, await exchange.claims(begun, code))
            pair = await self._sign_in(provider, person)
        except Refused as refused:
            outcome = "unavailable" if isinstance(refused, ProviderUnavailable) else "refused"
            metrics.PROVIDER_SIGN_INS.labels(provider=provider.id, outcome=outcome).inc()
            raise
        metrics.PROVIDER_SIGN_INS.labels(provider=provider.id, outcome="ok").inc()
        return pair

    def _provider(self, provider_id: str) -> tuple[Provider, CodeExchange]:
        try:
            return self._known[provider_id]
        except KeyError:
            raise ProviderUnknown from None

    def _begun(self, provider: Provider, *, state: str, token: str, issuer: str | None) -> Begun:
        begun = begun_tokens.read(token, keys=self._keys)
        if begun.provider != provider.id:
            raise SignInRefused("The sign_in_token is of another provider.")
        if not hmac.compare_digest(begun.state.encode(), state.encode("utf-8", "surrogatepass")):
            raise SignInRefused("The state does not belong to this sign_in_token: another client began that sign-in.")
        if issuer is not None and issuer != provider.issuer:
            raise SignInRefused("The answer comes from another provider (iss).")
        return begun

    async def _sign_in(self, provider: Provider, person: Person) -> TokenPair:
        for _ in range(_TRIES):
            account = await repository.find_account(self._database, issuer=provider.issuer, subject=person.subject)
            if account is not None:
                async with self._database.acting(account.user_id) as connection:
                    return await self._begin(connection, account)
            pair = await self._link(provider, person) or await self._register(provider, person)
            if pair is not None:
                return pair
        raise IdentityTaken

    async def _link(self, provider: Provider, person: Person) -> TokenPair | None:
        """Link the identity to the account with this address, if there is one; None: look again.

        The owner of the account has confirmed the same address that the provider vouches for. Otherwise whoever
        registers the address of somebody else first would share the account of its owner.
        """
        user_id = await find_account_id(self._database, person.email)
        if user_id is None:
            return None
        async with self._database.acting(user_id) as connection:
            found = await repository.lock_account(connection, user_id)
            if found is None or found.email != person.email:
                return None
            if not found.is_confirmed:
                raise AccountNotConfirmed
            if found.has_second_factor:
                raise SecondFactorOn
            try:
                await self._add_identity(connection, provider, person, found.account)
            except IdentityTaken:
                return None
            return await self._begin(connection, found.account)

    async def _register(self, provider: Provider, person: Person) -> TokenPair | None:
        """Make an account without a password for the identity; None: look again."""
        account = Account.of_newcomer()
        try:
            async with self._database.acting(account.user_id) as connection:
                await add_provided_account(
                    connection,
                    user_id=account.user_id,
                    workspace_id=account.workspace_id,
                    email=person.email,
                    name=person.name,
                )
                await repository.confirm_address(connection, account.user_id)
                await self._add_identity(connection, provider, person, account)
                return await self._begin(connection, account)
        except (EmailTaken, IdentityTaken):
            return None

    async def _add_identity(self, connection: Connection, provider: Provider, person: Person, account: Account) -> None:
        """Raises `IdentityTaken` if it, or another one of the provider, is linked already."""
        if not await repository.add_identity(
            connection, issuer=provider.issuer, subject=person.subject, user_id=account.user_id
        ):
            raise IdentityTaken

    async def _begin(self, connection: Connection, account: Account) -> TokenPair:
        return await self._sessions.begin(
            connection,
            user_id=account.user_id,
            workspace_id=account.workspace_id,
            password_version=account.password_version,
        )
