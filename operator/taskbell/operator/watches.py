"""Kopf watches the cluster and puts every object that changed on the queue; it does nothing else.

No handler keeps state in annotations, sets finalizers or fails, so Kopf never stops handling an object.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Collection
from typing import Any

import kopf

from taskbell.contract.crds import DEFINITIONS, GROUP, VERSION
from taskbell.operator.queue import Key

Enqueue = Callable[[Key], None]
_ERROR_BACKOFFS = (0.1, 0.2, 0.5, 1, 2)
"""Seconds before each retry of a request; after the last one Kopf gives up, and is started again."""
_SERVER_TIMEOUT = 290
"""Seconds after which the API server ends a watch and Kopf begins it again. The API server takes only an int."""


class WatchesEnded(Exception):
    """Kopf stopped watching by itself."""


def registered(enqueue: Enqueue, *, url: str = "") -> kopf.OperatorRegistry:
    """Handlers that enqueue. `url`: an API server without sign-in, instead of the pod's or the kubeconfig's."""
    registry = kopf.OperatorRegistry()
    kinds = {definition.kind for definition in DEFINITIONS}

    async def changed(body: kopf.Body, **_: Any) -> None:
        metadata = body["metadata"]
        enqueue(Key(body["kind"], metadata["namespace"], metadata["name"]))

    async def owned_changed(body: kopf.Body, **_: Any) -> None:
        metadata = body["metadata"]
        for owner in metadata.get("ownerReferences", []):
            if owner["kind"] in kinds and owner["apiVersion"].startswith(f"{GROUP}/"):
                enqueue(Key(owner["kind"], metadata["namespace"], owner["name"]))

    for definition in DEFINITIONS:
        kopf.on.event(GROUP, VERSION, definition.plural, registry=registry, id=f"{definition.plural}-changed")(changed)
    # Selects by owner and not by label: a CronJob whose labels somebody removed must be seen and corrected, too.
    kopf.on.event("batch", "v1", "cronjobs", registry=registry)(owned_changed)

    async def sign_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        if url:
            return kopf.ConnectionInfo(server=url)
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    kopf.on.login(registry=registry, errors=kopf.ErrorsMode.PERMANENT)(sign_in)
    return registry


async def watch(
    enqueue: Enqueue, *, ready: Callable[[], None], namespaces: Collection[str] = (), url: str = ""
) -> None:
    """Watch until cancelled; calls `ready` once Kopf is up. No namespaces: the whole cluster.

    Kopf runs in a thread with an event loop of its own: it takes over the signals of its process, and at its end it
    cancels every other task of its loop.

    Raises:
        WatchesEnded: Kopf ended without being asked to.
    """
    loop = asyncio.get_running_loop()
    stop, up = threading.Event(), concurrent.futures.Future[None]()
    up.add_done_callback(lambda _: loop.call_soon_threadsafe(ready))

    def hand_over(key: Key) -> None:
        loop.call_soon_threadsafe(enqueue, key)

    async def run() -> None:
        try:
            await kopf.operator(
                registry=registered(hand_over, url=url),
                settings=_settings(),
                standalone=True,  # the Lease elects one process; with peering, two of equal priority pause each other
                clusterwide=not namespaces,
                namespaces=list(namespaces),
                stop_flag=stop,
                ready_flag=up,
            )
        finally:
            stop.set()  # otherwise the thread that waits for the flag keeps this loop from closing

    thread = loop.run_in_executor(None, lambda: asyncio.run(run()))
    try:
        await asyncio.shield(thread)
    finally:
        stop.set()
        await asyncio.wait([thread])
    raise WatchesEnded


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # the module `events` records events, with numbers
    settings.scanning.disabled = True  # the preflight has seen that the definitions are installed
    settings.watching.server_timeout = _SERVER_TIMEOUT
    settings.watching.client_timeout = _SERVER_TIMEOUT + 10
    settings.watching.reconnect_backoff = 0.2
    settings.queueing.exit_timeout = 0.5  # handlers only enqueue: there is nothing to wait for
    settings.networking.error_backoffs = _ERROR_BACKOFFS
    return settings
