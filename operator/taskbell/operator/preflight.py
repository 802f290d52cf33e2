"""Checks at the start: the definitions are installed, and the operator has its permissions."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import structlog

from taskbell.operator.cluster import REMINDER_SCHEDULES, WORKER_POOLS, Cluster
from taskbell.operator.permissions import OWN, WATCHED, Permission, in_words

_log = structlog.get_logger(__name__)


class NotReadyToWork(Exception):
    """Definitions or permissions are missing; the message names them for the administrator."""


async def check(cluster: Cluster, *, own_namespace: str, namespaces: Collection[str]) -> None:
    """Return if nothing is missing. A permission that is not needed is only logged.

    Raises:
        NotReadyToWork: Custom resource definitions or permissions are missing.
        ClusterRefused: The API server does not answer.
    """
    absent = [
        f"{resource.plural}.{resource.group}"
        for resource in (REMINDER_SCHEDULES, WORKER_POOLS)
        if not await cluster.serves(resource)
    ]
    if absent:
        raise NotReadyToWork(f"custom resource definitions are missing: {', '.join(absent)}; install the chart's")
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
