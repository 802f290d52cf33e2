"""Who else sets the size of a WorkerPool's target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]


def rival(
    target: str, owner: Json, *, autoscalers: Iterable[Json], scaled_objects: Iterable[Json], pools: Iterable[Json]
) -> str | None:
    """The first other object that sets the size of a Deployment, by kind and name; of two WorkerPools the older may."""
    for autoscaler in autoscalers:
        reference = autoscaler.get("spec", {}).get("scaleTargetRef", {})
        if (reference.get("kind"), reference.get("name")) == ("Deployment", target):
            return f"HorizontalPodAutoscaler {autoscaler['metadata']['name']}"
    for scaled in scaled_objects:
        reference = scaled.get("spec", {}).get("scaleTargetRef", {})
        if (reference.get("kind", "Deployment"), reference.get("name")) == ("Deployment", target):
            return f"ScaledObject {scaled['metadata']['name']}"
    for pool in pools:
        if pool["spec"]["targetRef"]["name"] == target and _age(pool) < _age(owner):
            return f"WorkerPool {pool['metadata']['name']}"
    return None


def _age(body: Json) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]
