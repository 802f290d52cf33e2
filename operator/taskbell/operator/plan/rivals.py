"""Who else sets the size of a WorkerPool's target, and which of the pool's own autoscalers has had its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
_KINDS = {"HorizontalPodAutoscaler": "HPA", "ScaledObject": "KEDA"}
"""The engine that keeps objects of a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What may set sizes in the namespace of a pool; `pools` includes the pool itself."""

    autoscalers: Sequence[Json] = ()
    scaled_objects: Sequence[Json] = ()
    pools: Sequence[Json] = ()


def rival(target: str, owner: Json, neighbours: Neighbours) -> str | None:
    """The first other object that sets the size of a Deployment, by kind and name; of two WorkerPools the older may.

    The pool's own autoscaler is none, and neither is the one that KEDA makes for the pool's ScaledObject.
    """
    uid, name = owner["metadata"]["uid"], owner["metadata"]["name"]
    for kind, bodies in (
        ("HorizontalPodAutoscaler", neighbours.autoscalers),
        ("ScaledObject", neighbours.scaled_objects),
    ):
        for body in bodies:
            reference = body.get("spec", {}).get("scaleTargetRef", {})
            # Only a ScaledObject may leave the kind out.
            default = "Deployment" if kind == "ScaledObject" else ""
            same = (reference.get("kind", default), reference.get("name")) == ("Deployment", target)
            if same and uid not in _owners(body) and not _is_of_scaled_object(body, name):
                return f"{kind} {body['metadata']['name']}"
    for pool in neighbours.pools:
        if pool["spec"]["targetRef"]["name"] == target and _age(pool) < _age(owner):
            return f"WorkerPool {pool['metadata']['name']}"
    return None


def kept(owner: Json, kind: str, neighbours: Neighbours) -> Json | None:
    """The object of a kind that has the pool's name, whoever made it."""
    bodies = neighbours.autoscalers if kind == "HorizontalPodAutoscaler" else neighbours.scaled_objects
    return next((body for body in bodies if body["metadata"]["name"] == owner["metadata"]["name"]), None)


def autoscaler_of(body: Json, neighbours: Neighbours) -> Json | None:
    """The HorizontalPodAutoscaler that belongs to an object: KEDA makes one for each ScaledObject."""
    uid = body["metadata"]["uid"]
    return next((found for found in neighbours.autoscalers if uid in _owners(found)), None)


def leftovers(owner: Json, engine: str, neighbours: Neighbours) -> Iterator[tuple[str, str]]:
    """Kind and name of each of the pool's own objects that another engine than the present one needed."""
    uid = owner["metadata"]["uid"]
    for kind, bodies in (
        ("HorizontalPodAutoscaler", neighbours.autoscalers),
        ("ScaledObject", neighbours.scaled_objects),
    ):
        for body in bodies:
            if uid in _owners(body) and _KINDS[kind] != engine:
                yield kind, body["metadata"]["name"]


def orphans(owner: Json, engine: str, neighbours: Neighbours) -> list[str]:
    """What KEDA made for the pool and is not deleted yet, though the engine is not KEDA any more."""
    if engine == "KEDA":
        return []
    name = owner["metadata"]["name"]
    return [
        f"HorizontalPodAutoscaler {body['metadata']['name']}"
        for body in neighbours.autoscalers
        if _is_of_scaled_object(body, name)
    ]


def _is_of_scaled_object(body: Json, name: str) -> bool:
    references = body["metadata"].get("ownerReferences", [])
    return any((one.get("kind"), one.get("name")) == ("ScaledObject", name) for one in references)


def _owners(body: Json) -> set[str]:
    return {str(reference.get("uid")) for reference in body["metadata"].get("ownerReferences", [])}


def _age(body: Json) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]
