"""What tests of the operator do in a namespace, as a person with `kubectl` and as Kubernetes' own controllers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import helm_python
import yaml

from kubernetes_emulator.client import Json, Kubectl
from taskbell.contract import crds
from taskbell.kit.jwt import generate_keys
from taskbell.operator.queue import Key
from taskbell.operator.reconcile.worker_pool import PoolKeeper
from taskbell.testing.waiting import eventually

CORE, BATCH, APPS = "", "batch/v1", "apps/v1"
_CHART = Path(__file__).parents[2] / "charts" / "taskbell"
_ACCESS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


class SetClock:
    """Unix time that a test sets; the monotonic clock is the real one, or stands still, too."""

    def __init__(self, *, still: bool = False) -> None:
        self.began = self.time = float(int(time.time()))
        self.steady = 0.0 if still else None

    def now(self) -> float:
        """Unix seconds."""
        return self.time

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic() if self.steady is None else self.steady

    def pass_by(self, seconds: float) -> None:
        """Move the time forward, and the monotonic clock if it stands still."""
        self.time += seconds
        if self.steady is not None:
            self.steady += seconds

    def minute(self, number: int) -> str:
        """The start of the `number`th minute after the beginning, as Kubernetes writes it."""
        seconds = (self.began // 60 + number) * 60
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class SchedulePlace:
    """A namespace with ReminderSchedules. The name of a schedule is `due` unless a test gives another."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl

    async def make(self, name: str = "due", **spec: Any) -> Json:
        """Create a schedule."""
        body = {
            "apiVersion": crds.API_VERSION,
            "kind": "ReminderSchedule",
            "metadata": {"name": name},
            "spec": {"kind": "due", "schedule": "* * * * *"} | spec,
        }
        return await self.kubectl.must("POST", self.kubectl.at("reminderschedules"), body, fieldManager="kubectl")

    async def change(self, path: str, change: Callable[[Json], None]) -> None:
        """Change an object, as `kubectl edit` does."""
        for _ in range(10):
            body = await self.kubectl.must("GET", path)
            change(body)
            status, answer = await self.kubectl.send("PUT", path, body, fieldManager="kubectl-edit")
            if status != 409:
                break
        assert status == 200, answer

    async def respecify(self, name: str = "due", **spec: Any) -> None:
        """Change fields of a schedule's spec."""
        path = self.kubectl.at("reminderschedules", name)
        await self.change(path, lambda body: body["spec"].update(spec))

    async def report(self, **status: Any) -> None:
        """Write the status of the CronJob `due`, as its controller does."""
        await self.kubectl.must_merge(self.kubectl.at("cronjobs", "due", "status", group=BATCH), {"status": status})

    async def delete(self, plural: str, name: str, *, group: str = crds.API_VERSION) -> None:
        """Delete an object."""
        await self.kubectl.must("DELETE", self.kubectl.at(plural, name, group=group))

    async def cron_job(self, name: str = "due") -> Json | None:
        """The CronJob, or None."""
        return await self.kubectl.get(self.kubectl.at("cronjobs", name, group=BATCH))

    async def cron_jobs(self) -> dict[str, Json]:
        """All CronJobs by name."""
        return {found["metadata"]["name"]: found for found in await self.kubectl.all("cronjobs", group=BATCH)}

    async def collected(self, name: str) -> None:
        """Wait until the CronJob of a deleted schedule is deleted, too, if the API server has a garbage collector."""

        async def gone() -> bool:
            return await self.cron_job(name) is None

        if self.kubectl.server.collects_garbage:
            await eventually(gone, f"CronJob {name} is deleted")

    async def status(self, name: str = "due") -> Json:
        """The status of a schedule."""
        found: Json = (await self.kubectl.must("GET", self.kubectl.at("reminderschedules", name))).get("status", {})
        return found

    async def condition(self, type_: str, name: str = "due") -> tuple[str, str] | None:
        """Status and reason of a condition, or None."""
        return condition(await self.status(name), type_)

    async def becomes(self, type_: str, *expected: str) -> None:
        """Wait until a condition has this status and reason."""

        async def found() -> bool:
            return await self.condition(type_) == expected

        await eventually(found, f"{type_} becomes {expected}")

    async def events(self) -> list[str]:
        """The reasons of all events, in order."""
        return [event["reason"] for event in await events(self.kubectl)]

    async def settled(self, name: str = "due") -> None:
        """Wait until the status describes the newest generation and nothing is left to do."""

        async def done() -> bool:
            body = await self.kubectl.must("GET", self.kubectl.at("reminderschedules", name))
            same = body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"]
            return same and condition(body["status"], "Progressing") == ("False", "Settled")

        await eventually(done, f"{name} is settled")


class PoolPlace:
    """A namespace with WorkerPools and passes over them. A pool is named `delivery` unless a test says otherwise.

    The API server may have controllers of its own or none, and a node or none: pods of this place fit on no node, so
    that they have the status that a test writes, and a Deployment has the pods of its controller, if there is one.
    """

    def __init__(self, kubectl: Kubectl, keeper: PoolKeeper, clock: SetClock) -> None:
        self.kubectl, self.keeper, self.clock = kubectl, keeper, clock

    async def add(self, path: str, kind: str, name: str, *, labels: dict[str, str] | None = None, **body: Any) -> None:
        """Create an object."""
        body |= {"kind": kind, "metadata": {"name": name, "labels": labels or {}}}
        await self.kubectl.must("POST", path, body)

    async def deploy(self, name: str = "delivery", replicas: int = 1) -> None:
        """Create a Deployment with all its pods."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": pod_spec(name)}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        path = self.kubectl.at("deployments", group=APPS)
        await self.add(path, "Deployment", name, apiVersion=APPS, spec=spec)
        await self.start_pods(name)

    async def start_pods(self, name: str = "delivery") -> None:
        """Report as many pods as are wanted, as the Deployment's controller does; where there is one, wait for it."""
        path = self.kubectl.at("deployments", name, group=APPS)
        if not self.kubectl.server.runs_deployments:
            await self.kubectl.must_merge(f"{path}/status", {"status": {"replicas": await self.size(name)}})
            return

        async def settled() -> bool:
            body = await self.kubectl.must("GET", path)
            status, size = body.get("status", {}), body["spec"]["replicas"]
            counts = [status.get(count, 0) for count in ("replicas", "updatedReplicas", "unavailableReplicas")]
            return status.get("observedGeneration") == body["metadata"]["generation"] and counts == [size] * 3

        await eventually(settled, f"the controller of Deployment {name} has made its pods")

    async def start_pod(self, name: str, *, labels: dict[str, str] | None = None, **status: Any) -> None:
        """Create a pod that belongs to no controller; `status` is what the test has it report."""
        path = self.kubectl.at("pods", group=CORE)
        await self.add(path, "Pod", name, labels=labels, apiVersion="v1", spec=pod_spec(name))
        if status:
            await self.kubectl.must_merge(f"{path}/{name}/status", {"status": status})

    async def annotations(self, *pods: str) -> list[dict[str, str]]:
        """The annotations of these pods."""
        found = [await self.kubectl.must("GET", self.kubectl.at("pods", pod, group=CORE)) for pod in pods]
        return [pod["metadata"].get("annotations", {}) for pod in found]

    async def make(self, name: str = "delivery", *, backlog_per_replica: int = 100, **spec: Any) -> None:
        """Create a pool with one backlog signal."""
        signal = {"stream": "WORK", "consumer": "delivery", "backlogPerReplica": backlog_per_replica}
        given = {
            "targetRef": {"name": name},
            "replicas": {"min": 1, "max": 30},
            "signals": [{"name": "backlog", "jetStream": signal}],
        }
        path = self.kubectl.at("workerpools")
        await self.add(path, "WorkerPool", name, apiVersion=crds.API_VERSION, spec=given | spec)

    def key(self, name: str = "delivery") -> Key:
        """The key of a pool on the queue."""
        return Key("WorkerPool", self.kubectl.namespace, name)

    async def look(self, *, after: float = 15.0, name: str = "delivery") -> int:
        """Start the pods, let time pass and make one pass; returns the size after it."""
        await self.start_pods(name)
        self.clock.pass_by(after)
        await self.keeper.keep(self.key(name))
        return await self.size(name)

    async def size(self, name: str = "delivery") -> int:
        """The wanted size of a Deployment."""
        found = await self.kubectl.must("GET", self.kubectl.at("deployments", name, group=APPS))
        return int(found["spec"]["replicas"])

    async def status(self, name: str = "delivery") -> Json:
        """The status of a pool."""
        found: Json = (await self.kubectl.must("GET", self.kubectl.at("workerpools", name))).get("status", {})
        return found

    async def condition(self, type_: str, name: str = "delivery") -> tuple[str, str] | None:
        """Status and reason of a condition, or None."""
        return condition(await self.status(name), type_)


def pod_spec(name: str) -> Json:
    """The spec of a pod that no node takes."""
    return {"containers": [{"name": name, "image": f"{name}:1"}], "nodeSelector": {"example.com/runs": "nothing"}}


def condition(status: Json, type_: str) -> tuple[str, str] | None:
    """Status and reason of a condition, or None."""
    found = (known for known in status.get("conditions", []) if known["type"] == type_)
    return next(((known["status"], known["reason"]) for known in found), None)


async def events(kubectl: Kubectl) -> list[Json]:
    """The events of Taskbell's kinds in the order of their creation."""
    found = [
        event
        for event in await kubectl.all("events", group=CORE)
        if event["involvedObject"]["apiVersion"] == crds.API_VERSION
    ]
    return sorted(found, key=lambda event: int(event["metadata"]["resourceVersion"]))


@contextlib.asynccontextmanager
async def serving_gauge(port: int, value: Callable[[], object]) -> AsyncIterator[None]:
    """Serve `/metrics` with the gauge of open connections, as a gateway does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = f"# TYPE taskbell_gateway_connections gauge\ntaskbell_gateway_connections {value()}\n"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


def chart_access(namespace: str) -> tuple[list[Json], str]:
    """The chart's accounts and roles in a namespace, and the name of the operator's account."""
    access, name = _rendered_access()
    return json.loads(access.replace("the-namespace", namespace)), name


@functools.cache
def _rendered_access() -> tuple[str, str]:
    values = {"signingKeys": {"value": generate_keys()}}
    files = helm_python.Chart.load(_CHART).render(
        values, name="demo", namespace="the-namespace", revision=1, is_install=True, is_upgrade=False
    )
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    made = [body for text in texts for body in yaml.load_all(text, yaml.CSafeLoader) if body]
    (deployment,) = (b for b in made if b["kind"] == "Deployment" and b["metadata"]["name"].endswith("-operator"))
    access = [body for body in made if body["kind"] in _ACCESS]
    return json.dumps(access), deployment["spec"]["template"]["spec"]["serviceAccountName"]
