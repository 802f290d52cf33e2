"""`python -m taskbell.operator.definitions FOLDER`: brings definitions up to date before an upgrade changes anything.

The chart runs it as a Job. `definitions.json` in the folder lists custom resource definitions. `custom-resources.json`,
if it is there, holds custom resources that a hook of a former chart made: those in `set` get labels and spec as given,
those in `remove` are deleted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from taskbell.operator.cluster import REMINDER_SCHEDULES, WORKER_POOLS, Cluster, ClusterRefused, Resource, open_api
from taskbell.start import signals

Json = dict[str, Any]

DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
_HELM = "helm"
"""The name under which Helm writes objects."""
_KINDS = {resource.kind: resource for resource in (REMINDER_SCHEDULES, WORKER_POOLS)}
_SETTLE = 2.0
"""Seconds until every API server works with a changed definition."""


def main() -> None:
    """Do it once; exits with status 1 and the reason if the API server refuses, and with 143 at once on SIGTERM."""
    signals.end_with(signals.INTERRUPTED)
    command = argparse.ArgumentParser(prog="taskbell-operator-definitions", description=__doc__)
    command.add_argument("folder", type=Path)
    command.add_argument("--server", default="", help="address of an API server without sign-in")
    arguments = command.parse_args()
    try:
        asyncio.run(_run(arguments.folder, url=arguments.server))
    except ClusterRefused as refused:
        raise SystemExit(f"taskbell-operator-definitions: {refused}") from None


async def _run(folder: Path, *, url: str) -> None:
    definitions = json.loads((folder / "definitions.json").read_text())
    hooked = folder / "custom-resources.json"
    made_by_hooks: dict[str, list[Json]] = json.loads(hooked.read_text()) if hooked.exists() else {}
    async with await open_api(url=url) as api:
        cluster = Cluster(api)
        for manifest in definitions:
            found = await cluster.get(DEFINITIONS, "", manifest["metadata"]["name"])
            # In the name of who applied it before, such as Helm: to Helm 4 a change by anybody else is a conflict.
            await cluster.apply(DEFINITIONS, manifest, manager=_applier(found or {}) or _HELM)
            _say(f"definition {manifest['metadata']['name']} is up to date")
        if definitions:
            await asyncio.sleep(_SETTLE)
        for wanted in made_by_hooks.get("set", ()):
            await _take_over(cluster, wanted)
        for thing in made_by_hooks.get("remove", ()):
            await cluster.delete(_KINDS[thing["kind"]], thing["metadata"]["namespace"], thing["metadata"]["name"])
            _say(f"{thing['kind']} {thing['metadata']['name']} is removed")


async def _take_over(cluster: Cluster, wanted: Json) -> None:
    """Give an object the labels and spec that a release wants, unless Helm will do so by server-side apply."""
    resource, metadata = _KINDS[wanted["kind"]], wanted["metadata"]
    found = await cluster.get(resource, metadata["namespace"], metadata["name"])
    if found is None or _applier(found):
        return
    annotations = found["metadata"].get("annotations", {})
    kept = {name: value for name, value in annotations.items() if not name.startswith("helm.sh/hook")}
    there = {**found["metadata"], "annotations": kept, "labels": metadata["labels"]}
    await cluster.replace(resource, {**found, "metadata": there, "spec": wanted["spec"]}, manager=_HELM)
    _say(f"{wanted['kind']} {metadata['name']} is as the release wants it")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _applier(found: Json) -> str:
    """The name under which an object was written by server-side apply; empty if it was not."""
    written = found.get("metadata", {}).get("managedFields", ())
    applied = (entry for entry in written if entry["operation"] == "Apply" and not entry.get("subresource"))
    return str(next((entry["manager"] for entry in applied), ""))


if __name__ == "__main__":
    main()
