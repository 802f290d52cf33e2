"""The check at the start: the API server answers, and the operator has its permissions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection

import structlog

from taskbell.operator.cluster import Cluster, ClusterRefused, RequestRefused
from taskbell.operator.permissions import OWN, WATCHED, Permission, in_words

_log = structlog.get_logger(__name__)


_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
"""Seconds between two attempts to reach an API server that is away; doubled each time."""


class NotReadyToWork(Exception):
    """Permissions are missing; the message names them for the administrator."""


async def check(cluster: Cluster, *, own_namespace: str, namespaces: Collection[str]) -> None:
    """Return if nothing is missing. An API server that is away is waited for, however long that takes.

    A permission that is not needed is only logged.

    Raises:
        NotReadyToWork: Permissions are missing.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            return await _check(cluster, own_namespace=own_namespace, namespaces=namespaces)
        except RequestRefused:
            raise
        except ClusterRefused as away:
            _log.warning("api_server_awaited", error=str(away), again_in_s=pause)
        await asyncio.sleep(pause * random.uniform(0.8, 1))  # noqa: S311 -- jitter, not a secret
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _check(cluster: Cluster, *, own_namespace: str, namespaces: Collection[str]) -> None:
    asked = [
        *((permission, namespace) for permission in WATCHED for namespace in namespaces or ("",)),
        *((permission, own_namespace) for permission in OWN),
    ]
    found = await asyncio.gather(*(_missing(cluster, permission, namespace) for permission, namespace in asked))
    missing: dict[bool, list[str]] = {True: [], False: []}
    for (permission, _), sentences in zip(asked, found, strict=True):
        missing[permission.needed] += sentences
    for sentence in missing[False]:
        _log.warning("permission_missing", permission=sentence)
    if missing[True]:
        raise NotReadyToWork(f"permissions are missing: {'; '.join(missing[True])}")


async def _missing(cluster: Cluster, permission: Permission, namespace: str) -> list[str]:
    resource, _, subresource = permission.resource.partition("/")
    allowed = [
        await cluster.may(
            verb=verb, group=permission.group, resource=resource, subresource=subresource, namespace=namespace
        )
        for verb in permission.verbs
    ]
    return [
        in_words(permission, verb, namespace) for verb, may in zip(permission.verbs, allowed, strict=True) if not may
    ]
