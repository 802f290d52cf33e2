"""Names that can be used once, across all pods: a JetStream key-value bucket with a time to live."""

from __future__ import annotations

from datetime import timedelta

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from taskbell.kit.nats_bus import BusUnavailable


class OneTimeNames:
    """Admits the first use of a name and refuses later ones until its time to live is over."""

    def __init__(self, client: Client, *, bucket: str, ttl: timedelta) -> None:
        """Take a connection, which the caller closes. The bucket is created when it does not exist."""
        self._jetstream = client.jetstream(timeout=2)
        self._bucket = bucket
        self._ttl = ttl
        self._store: KeyValue | None = None

    async def use(self, name: str) -> bool:
        """Use a name (letters, digits, `-`) and tell whether this is its first use.

        Raises:
            BusUnavailable: NATS does not answer. Whether the name was used is unknown.
        """
        try:
            store = self._store or await self._opened()
            await store.create(name, b"")
        except KeyWrongLastSequenceError:
            return False
        except (NatsError, TimeoutError) as away:
            self._store = None
            raise BusUnavailable(type(away).__name__) from away
        return True

    async def _opened(self) -> KeyValue:
        try:
            self._store = await self._jetstream.key_value(self._bucket)
        except BucketNotFoundError:
            self._store = await self._jetstream.create_key_value(bucket=self._bucket, ttl=self._ttl.total_seconds())
        return self._store
