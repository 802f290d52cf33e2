"""Kopf's part, thin: what changed in the cluster is put on the queue, nothing else happens here.

No handler keeps state in annotations, sets finalizers or fails; so nothing in Kopf can stop for an object for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import kopf

from taskbell.contract.crds import DEFINITIONS, GROUP, VERSION
from taskbell.operator.queue import Key
from taskbell.operator.specs.identity import MANAGED_BY, OPERATOR

Enqueue = Callable[[Key], None]
_SERVER_TIMEOUT = 290
"""Seconds after which the API server ends a watch, to be begun anew. An int, or the API server refuses it."""


def registered(enqueue: Enqueue, *, url: str = "") -> kopf.OperatorRegistry:
    """Handlers that enqueue. `url` names an API server without sign-in instead of the pod's or the kubeconfig's."""
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
    kopf.on.event("batch", "v1", "cronjobs", labels={MANAGED_BY: OPERATOR}, registry=registry)(owned_changed)

    async def sign_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        if url:
            return kopf.ConnectionInfo(server=url)
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    kopf.on.login(registry=registry, errors=kopf.ErrorsMode.PERMANENT)(sign_in)
    return registry


async def watch(
    enqueue: Enqueue,
    *,
    stop: asyncio.Event,
    ready: asyncio.Event,
    namespaces: Collection[str] = (),
    url: str = "",
) -> None:
    """Watch until `stop`; `ready` is set when Kopf is up. No namespaces: the whole cluster."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # events come from `events`, with numbers
    settings.scanning.disabled = True  # the definitions are there before the operator: the preflight saw them
    settings.watching.server_timeout = _SERVER_TIMEOUT
    settings.watching.client_timeout = _SERVER_TIMEOUT + 10
    settings.watching.reconnect_backoff = 0.2
    settings.queueing.exit_timeout = 0.5  # handlers only enqueue: there is nothing to wait for
    settings.networking.error_backoffs = (0.2, 0.5, 1, 2, 5)
    await kopf.operator(
        registry=registered(enqueue, url=url),
        settings=settings,
        standalone=True,  # one works at a time by its Lease; peering would pause both of equal priority
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        stop_flag=stop,
        ready_flag=ready,
    )
