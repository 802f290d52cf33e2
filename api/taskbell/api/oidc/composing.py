"""Composition: what speaks to the providers of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from joserfc.jwk import KeySet

from taskbell.api.accounts.sessions import Sessions
from taskbell.api.accounts.throttle import Throttle
from taskbell.api.oidc.bearer import ProviderTokens
from taskbell.api.oidc.documents import Documents
from taskbell.api.oidc.providers import Provider
from taskbell.api.oidc.service import ProviderSignIns
from taskbell.api.settings import ApiSettings
from taskbell.kit.outgoing import open_outgoing
from taskbell.store.pool import Database

if TYPE_CHECKING:
    from taskbell.api.oidc.code_exchange import CodeExchange

_RESOLVERS: Final = 8
"""Threads that look the names of one provider up: a name server that hangs must not stop the other providers."""


@contextmanager
def open_providers(
    settings: ApiSettings, database: Database, *, sessions: Sessions, keys: KeySet, throttle: Throttle
) -> Iterator[tuple[ProviderSignIns, ProviderTokens]]:
    """Open what signs people in through providers, and what accepts their tokens. No provider is asked yet."""
    with ExitStack() as stack:
        exchanges: list[tuple[Provider, CodeExchange]] = []
        documents: list[tuple[Provider, Documents]] = []
        for provider in settings.oidc_providers:
            from taskbell.api.oidc.code_exchange import CodeExchange  # noqa: PLC0415 -- it would slow down every start

            outgoing = stack.enter_context(
                open_outgoing(
                    within=settings.oidc_timeout.total_seconds(),
                    allow_private=provider.allow_private,
                    threads=_RESOLVERS,
                )
            )
            published = Documents(provider, outgoing)
            documents.append((provider, published))
            exchanges.append((provider, CodeExchange(provider, published, outgoing)))
        yield (
            ProviderSignIns(
                database,
                known=exchanges,
                redirects=frozenset(settings.oidc_redirect_uris),
                sessions=sessions,
                keys=keys,
                throttle=throttle,
            ),
            ProviderTokens(database, known=documents),
        )
