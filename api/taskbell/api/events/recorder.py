"""What follows a transaction that wrote events: they are counted, and the relay is poked."""

from __future__ import annotations

from functools import partial

from taskbell.api import metrics
from taskbell.contract.events import EventType
from taskbell.contract.subjects import RELAY_POKE
from taskbell.kit.nats_bus import Pokes
from taskbell.store.pool import shared

_WRITTEN = {kind: metrics.EVENTS_WRITTEN.labels(type=kind.value) for kind in EventType}


class EventRecorder:
    """Every service that writes events has one. The statement of the change writes the rows themselves."""

    def __init__(self, pokes: Pokes) -> None:
        """Take the pokes that wake the relay."""
        self._pokes = pokes

    async def committed(self, *kinds: EventType) -> None:
        """Count the events of a transaction that has committed, and poke the relay. Never fails, never waits.

        Within a shared transaction it is done once that has committed.
        """
        if (sharing := shared()) is not None:
            sharing.afterwards.append(partial(self._tell, kinds))
        else:
            await self._tell(kinds)

    async def _tell(self, kinds: tuple[EventType, ...]) -> None:
        for kind in kinds:
            _WRITTEN[kind].inc()
        await self._pokes.send(RELAY_POKE)
