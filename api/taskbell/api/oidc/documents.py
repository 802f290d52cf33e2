"""What a provider publishes: its metadata and its keys. They are fetched when first needed, one fetch at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import orjson
import structlog
from joserfc.jwk import Key
from pydantic import BaseModel, ConfigDict, ValidationError

from taskbell.api import metrics
from taskbell.api.oidc.errors import ProviderUnavailable
from taskbell.api.oidc.providers import Provider, address_fault
from taskbell.api.oidc.signatures import choose_key, read_keys
from taskbell.kit.jwt import TokenRefused
from taskbell.kit.outgoing import NoAnswer, Outgoing

_log = structlog.get_logger(__name__)
T = TypeVar("T")
METADATA_FRESH = 3600.0
KEYS_FRESH = 600.0
"""Seconds after which a document is fetched again; a key that the provider withdrew verifies for so long."""
KEPT = 86_400.0
"""Seconds for which the last document serves while the provider does not answer."""
COOL_DOWN = 60.0
"""Seconds between fetches of keys because of a `kid` that is not known."""
PAUSE = 10.0
"""Seconds for which a provider that did not answer is left alone."""
_OK = 200


def well_known(issuer: str) -> str:
    """Where the metadata of an issuer are (OpenID Connect Discovery, section 4)."""
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


class Metadata(BaseModel):
    """The part of a provider's metadata that is used (OpenID Connect Discovery, section 3)."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Malformed(ValueError):
    """The document is not what it should be."""


class _Document(Generic[T]):
    """The last good form of one document, and when it may be fetched again."""

    def __init__(
        self, name: str, provider: Provider, outgoing: Outgoing, read: Callable[[Mapping[str, Any]], T], *, fresh: float
    ) -> None:
        self._name = name
        self._provider = provider
        self._outgoing = outgoing
        self._read = read
        self._fresh = fresh
        self._fetching = asyncio.Lock()
        self._found: T | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._failed = False

    @property
    def found(self) -> T | None:
        """The last good form, if it is not too old to serve."""
        return self._found if time.monotonic() - self._fetched_at < KEPT else None

    @property
    def is_fresh(self) -> bool:
        return self._found is not None and time.monotonic() - self._fetched_at < self._fresh

    async def get(self, url: str) -> T:
        """The document; the last good one, while another call fetches it or the provider does not answer."""
        found = self.found
        if not self.is_fresh and (found is None or not self._fetching.locked()):
            await self.renew(url, unless=lambda: self.is_fresh)
            found = self.found
        if found is None:
            raise ProviderUnavailable(self._provider.name, wait=PAUSE)
        return found

    async def renew(self, url: str, *, unless: Callable[[], bool], pause: float = 0.0) -> None:
        """Fetch it, unless another call did meanwhile or the last try was a moment ago. A failure is only noted."""
        async with self._fetching:
            since = time.monotonic() - self._tried_at
            if unless() or since < max(pause, PAUSE if self._failed else 0.0):
                return
            self._tried_at = time.monotonic()
            try:
                self._found = self._read(await self._fetch(url))
            except (NoAnswer, _Malformed, ValidationError) as failed:
                self._failed = True
                metrics.PROVIDER_FETCHES.labels(provider=self._provider.id, document=self._name, outcome="failed").inc()
                _log.warning(
                    "provider_fetch_failed", provider=self._provider.id, document=self._name, error=str(failed)
                )
                return
            self._failed = False
            self._fetched_at = time.monotonic()
            metrics.PROVIDER_FETCHES.labels(provider=self._provider.id, document=self._name, outcome="ok").inc()

    async def _fetch(self, url: str) -> Mapping[str, Any]:
        answer = await self._outgoing.request(url, headers=[("Accept", "application/json")])
        if answer.status != _OK:
            raise _Malformed(f"answered {answer.status}")
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise _Malformed("the document is not a JSON object")
        return found


class Documents:
    """A provider's metadata and keys. `ProviderUnavailable`: there are none, and the provider gives none."""

    def __init__(self, provider: Provider, outgoing: Outgoing) -> None:
        """Take the provider, and what reaches it. Nothing is fetched yet."""
        self._provider = provider
        self._metadata = _Document("metadata", provider, outgoing, self._read_metadata, fresh=METADATA_FRESH)
        self._keys = _Document("keys", provider, outgoing, _read_keys, fresh=KEYS_FRESH)

    async def metadata(self) -> Metadata:
        """Where the provider's endpoints are.

        Raises:
            ProviderUnavailable: It does not answer as it should.
        """
        return await self._metadata.get(well_known(self._provider.issuer))

    async def key(self, header: Mapping[str, Any]) -> Key:
        """The key that a token's header names. A name that is not known fetches the keys, at most once a minute.

        Raises:
            TokenRefused: The provider has no such key.
            ProviderUnavailable: It does not answer as it should.
        """
        url = (await self.metadata()).jwks_uri
        found = choose_key(await self._keys.get(url), header)
        if found is None:
            await self._keys.renew(url, unless=lambda: self._known(header) is not None, pause=COOL_DOWN)
            found = self._known(header)
        if found is None:
            raise TokenRefused("the token is signed with a key that the provider does not have")
        return found

    def _known(self, header: Mapping[str, Any]) -> Key | None:
        return choose_key(self._keys.found or (), header)

    def _read_metadata(self, document: Mapping[str, Any]) -> Metadata:
        found = Metadata.model_validate(document)
        if found.issuer != self._provider.issuer:
            raise _Malformed("the metadata are of another issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if fault := address_fault(getattr(found, name), loopback_http=self._provider.allow_private):
                raise _Malformed(f"{name} {fault}")
        return found


def _read_keys(document: Mapping[str, Any]) -> list[Key]:
    found = read_keys(document)
    if not found:
        raise _Malformed("there is no key for signatures")
    return found
