"""Keeps the watches running: waits for definitions that are missing, and starts Kopf again when a watch does not run.

Kopf looks only once which kinds there are, and ends when one of them goes. So a definition that comes back is looked
for here, and a kind that is missing does not keep the others from being watched.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog

from taskbell.kit.probes.health import Check
from taskbell.kit.waiting import happens
from taskbell.operator.cluster import CRON_JOBS, REMINDER_SCHEDULES, WORKER_POOLS, Cluster, ClusterRefused, Resource
from taskbell.operator.metrics import WATCHES
from taskbell.operator.words import in_words

_log = structlog.get_logger(__name__)

CUSTOM = (REMINDER_SCHEDULES, WORKER_POOLS)
"""The kinds whose definitions may be missing."""
_LOOK_AGAIN = 5.0
"""Seconds between two looks for a definition that is missing."""
_LOOK_SOON = 1.0
"""Seconds between two such looks while a watch is down."""
_PATIENCE = 10.0
"""Seconds for which a watch may be down before Kopf is started again; Kopf itself tries for 4 s."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
"""Seconds before Kopf is started again; doubled each time while it does not stay up."""


class DefinitionMissing(Exception):
    """The custom resource definition is not installed, so that there is nothing to watch."""


class WatchDown(Exception):
    """The watch does not run: changes are not seen at once."""


class Watches:
    """Which watches there should be, and which run. One event loop only."""

    def __init__(self, namespaces: Collection[str] = ()) -> None:
        """Take the namespaces that are watched; none: the whole cluster."""
        places = tuple(namespaces) or ("",)
        self._paths = {kind: [kind.path(place) for place in places] for kind in (*CUSTOM, CRON_JOBS)}
        self._running: set[str] = set()
        self._wanted = False
        self.absent: tuple[Resource, ...] = ()
        self.up = asyncio.Event()
        """Set once all watches run for which there are definitions."""
        self.changed = asyncio.Event()

    def checks(self) -> dict[str, Check]:
        """A health check for each kind, under the name of the kind; a process that does not watch yet passes them."""

        def check(kind: Resource) -> Check:
            async def look() -> None:
                if self._wanted and kind in self.absent:
                    raise DefinitionMissing
                if self._wanted and not self._runs(kind):
                    raise WatchDown

            return look

        return {f"watch {kind.plural}.{kind.group}": check(kind) for kind in self._paths}

    def down(self) -> list[str]:
        """The kinds that are served and not watched, by their plurals."""
        return [kind.plural for kind in self._paths if kind not in self.absent and not self._runs(kind)]

    def answered(self, path: str, *, runs: bool) -> None:
        """Note whether a watch of a path runs; a server's address may put something before the path."""
        for known in (known for paths in self._paths.values() for known in paths if path.endswith(known)):
            (self._running.add if runs else self._running.discard)(known)
        self._tell()

    def begin(self, absent: Sequence[Resource]) -> None:
        """Expect watches of all kinds but these."""
        self._wanted, self.absent = True, tuple(absent)
        self._tell()

    def end(self) -> None:
        """Note that no watch runs."""
        self._running.clear()
        self._tell()

    def _runs(self, kind: Resource) -> bool:
        return self._running.issuperset(self._paths[kind])

    def _tell(self) -> None:
        for kind in self._paths:
            WATCHES.labels(resource=kind.plural).set(self._runs(kind))
        if self._wanted and not self.down():
            self.up.set()
        self.changed.set()


async def keep_watching(
    watches: Watches, cluster: Cluster, start: Callable[[Sequence[Resource]], Awaitable[None]]
) -> None:
    """Watch until cancelled. `start` watches the given kinds until it is cancelled or fails."""
    pause = _FIRST_PAUSE
    while True:
        kinds = await _served(watches, cluster)
        began, run = time.monotonic(), asyncio.ensure_future(start(kinds))
        run.add_done_callback(lambda _: watches.changed.set())
        try:
            reason = await _until_wrong(watches, cluster, run)
        finally:
            while not run.done():
                run.cancel()
                await asyncio.wait([run], timeout=1)
            watches.end()
        pause = _FIRST_PAUSE if time.monotonic() - began > _PATIENCE else min(2 * pause, _LONGEST_PAUSE)
        _log.warning("watches_start_again", reason=reason, again_in_s=round(pause, 1))
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 -- jitter, not a secret


async def _served(watches: Watches, cluster: Cluster) -> list[Resource]:
    """The custom kinds that the API server serves, as soon as there are any."""
    told: list[str] | None = None
    while True:
        try:
            found = [kind for kind in CUSTOM if await cluster.serves(kind)]
        except ClusterRefused as refused:
            _log.warning("definitions_not_read", error=str(refused))
        else:
            watches.begin([kind for kind in CUSTOM if kind not in found])
            missing = [f"{kind.plural}.{kind.group}" for kind in watches.absent]
            if missing and missing != told:
                advice = "install the chart's custom resource definitions; they are looked for until they are there"
                _log.warning("definitions_missing", missing=missing, advice=advice)
                told = missing
            if found:
                return found
        await asyncio.sleep(_LOOK_AGAIN)


async def _until_wrong(watches: Watches, cluster: Cluster, run: asyncio.Future[None]) -> str:
    """Wait until Kopf must be started again, and tell why."""
    down_since: float | None = None
    looked = time.monotonic()
    while not run.done():
        watches.changed.clear()
        now, down = time.monotonic(), watches.down()
        down_since = (down_since or now) if down else None
        if down_since is not None and now - down_since >= _PATIENCE:
            return f"no watch of {', '.join(down)}"
        pause = _LOOK_SOON if down else _LOOK_AGAIN
        if (down or watches.absent) and now - looked >= pause:
            looked = now
            if change := await _definitions_changed(watches, cluster):
                return change
        await happens(watches.changed, within=pause if down or watches.absent else _PATIENCE)
    failed = run.exception()
    return in_words(failed) if failed else "they ended"


async def _definitions_changed(watches: Watches, cluster: Cluster) -> str:
    """Which definition came back or went since Kopf was started, in words; empty if none did or that is unknown."""
    try:
        for kind in CUSTOM:
            if (served := await cluster.serves(kind)) == (kind in watches.absent):
                return f"the definition of {kind.plural} is {'back' if served else 'gone'}"
    except ClusterRefused as refused:
        _log.debug("definitions_not_read", error=str(refused))
    return ""
