"""Names that can be used once, across all pods: a JetStream key-value bucket with a time to live."""

from __future__ import annotations

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from taskbell.kit.nats_bus import BusUnavailable


class OneTimeNames:
    """Admits the first use of a name and refuses later ones until its time to live is over."""

    def __init__(self, client: Client, *, bucket: str) -> None:
        """Take a connection, which the caller closes, and a bucket with a time to live, which somebody else makes."""
        self._jetstream = client.jetstream(timeout=2)
        self._bucket = bucket
        self._store: KeyValue | None = None

    async def use(self, name: str) -> bool:
        """Use a name (letters, digits, `-`) and tell whether this is its first use.

        Raises:
            BusUnavailable: NATS does not answer, or has no such bucket. Whether the name was used is unknown.
        """
        try:
            store = self._store = self._store or await self._jetstream.key_value(self._bucket)
            await store.create(name, b"")
        except KeyWrongLastSequenceError:
            return False
        except (NatsError, TimeoutError) as away:
            self._store = None
            raise BusUnavailable(type(away).__name__) from away
        return True
