"""Reads the manifest of a WorkerPool from YAML or JSON, and refuses what an API server would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]  # it brings no types
from pydantic import ValidationError

from taskbell.contract.crd_schema import structural
from taskbell.contract.worker_pools import JetStreamSignal, WorkerPoolSpec

Json = dict[str, Any]
_KIND = "WorkerPool"


class PoolNotUnderstood(Exception):
    """The manifest holds no WorkerPool that can be simulated; the message says why."""


def read_pool(text: str, *, name: str = "") -> tuple[str, WorkerPoolSpec]:
    """The name and the spec of the one WorkerPool in a text, or of the one with a name.

    The text may hold several documents, other kinds, and lists as `kubectl get -o yaml` prints them.

    Raises:
        PoolNotUnderstood: The text is no YAML, has no such pool or several, or the spec is wrong.
    """
    try:
        documents = list(yaml.load_all(text, yaml.CSafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as wrong:
        raise PoolNotUnderstood(f"the manifest is neither YAML nor JSON: {' '.join(str(wrong).split())}") from None
    pools = [body for document in documents for body in _pools(document)]
    names = [str(_metadata(body).get("name", "")) for body in pools]
    if name:
        pools = [body for body, found in zip(pools, names, strict=True) if found == name]
    if not pools:
        raise PoolNotUnderstood(f"there is no {_KIND}{f' {name}' if name else ''} in the manifest")
    if len(pools) > 1:
        raise PoolNotUnderstood(f"the manifest has several pools; choose one by --name: {', '.join(names)}")
    return str(_metadata(pools[0]).get("name", "")), _spec(pools[0].get("spec"))


def only_backlog(spec: WorkerPoolSpec, name: str = "") -> tuple[WorkerPoolSpec, str, JetStreamSignal]:
    """A pool that follows one backlog alone, with the signal's name and source.

    Raises:
        PoolNotUnderstood: The pool has no such signal or several, or does not follow signals by itself.
    """
    if spec.engine != "Native":
        raise PoolNotUnderstood(f"engine {spec.engine}: the operator does not decide on the size of this pool")
    backlogs = [signal for signal in spec.signals if signal.jet_stream is not None]
    chosen = [signal for signal in backlogs if signal.name == name] if name else backlogs
    if not chosen:
        raise PoolNotUnderstood(f"the pool has no jetStream signal{f' {name}' if name else ''}")
    if len(chosen) > 1:
        names = ", ".join(signal.name for signal in chosen)
        raise PoolNotUnderstood(f"the pool has several jetStream signals; choose one by --signal: {names}")
    (signal,) = chosen
    source = signal.jet_stream
    if source is None:
        raise PoolNotUnderstood(f"signal {signal.name} has no jetStream")
    return spec.model_copy(update={"signals": [signal]}), signal.name, source


def _pools(document: Any) -> Iterator[Json]:
    if not isinstance(document, dict):
        return
    if document.get("kind") == _KIND:
        yield document
    elif str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _pools(item)


def _metadata(body: Json) -> Json:
    found = body.get("metadata")
    return found if isinstance(found, dict) else {}


def _spec(given: Any) -> WorkerPoolSpec:
    unknown = list(_unknown(structural(WorkerPoolSpec), given, "spec"))
    if unknown:
        raise PoolNotUnderstood(f"unknown fields: {', '.join(unknown[:5])}")
    try:
        spec = WorkerPoolSpec.model_validate(given)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        place = ".".join(["spec", *map(str, first["loc"])])
        raise PoolNotUnderstood(f"{place}: {first['msg']}") from None
    if spec.replicas.min > spec.replicas.max:
        raise PoolNotUnderstood("spec.replicas: min must not exceed max")
    return spec


def _unknown(schema: Json, value: Any, path: str) -> Iterator[str]:
    """The paths of fields that the definition does not know: an API server drops them, a person misspelled them."""
    if isinstance(value, dict) and "properties" in schema:
        for name, inner in value.items():
            if name in schema["properties"]:
                yield from _unknown(schema["properties"][name], inner, f"{path}.{name}")
            else:
                yield f"{path}.{name}"
    elif isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from _unknown(schema["items"], item, f"{path}[{number}]")
