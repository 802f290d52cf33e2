"""An emulated API server with the definitions installed, and the operator at work on it."""

import asyncio
import contextlib
import time
from datetime import datetime

import pytest

from taskbell.contract import crds
from taskbell.operator.app import Surroundings, operating
from taskbell.operator.queue import Pace
from taskbell.operator.settings import OperatorSettings
from taskbell.testing.kubernetes import KubernetesServer
from taskbell.testing.kubernetes_store import Store


class SetClock:
    """Unix time as a test sets it; the monotonic clock is the real one, since queues wait by it."""

    def __init__(self, text="2026-11-20T10:00:30Z"):
        self.time = datetime.fromisoformat(text).timestamp()

    def now(self):
        """Unix seconds."""
        return self.time

    def monotonic(self):
        """Seconds that never go back."""
        return time.monotonic()


async def until(true, *, what, within=15.0):
    """Wait until a condition holds."""
    deadline = time.monotonic() + within
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(0.01)
    return found


class Place:
    """What a person does with `kubectl`, and what they then see."""

    def __init__(self, server):
        self.server = server
        self.schedules = server.kind("reminderschedules")
        self.cron_jobs = server.kind("cronjobs")

    async def make(self, name="due", **spec):
        """Make a schedule."""
        body = {"metadata": {"name": name}, "spec": {"kind": "due", "schedule": "* * * * *"} | spec}
        self.server.store.create(self.schedules, "default", body, manager="kubectl")
        await self.server.wake()

    async def change(self, kind, name, change):
        """Change an object by hand."""
        body = self.server.store.get(kind, "default", name)
        change(body)
        self.server.store.update(kind, "default", name, body, manager="kubectl-edit")
        await self.server.wake()

    async def report(self, kind, name, **status):
        """What a controller of Kubernetes reports in a status."""
        body = self.server.store.get(kind, "default", name)
        body["status"] = body.get("status", {}) | status
        self.server.store.update(kind, "default", name, body, manager="controller", subresource="status")
        await self.server.wake()

    async def respecify(self, name="due", **spec):
        """Change fields of a schedule's spec."""
        await self.change(self.schedules, name, lambda body: body["spec"].update(spec))

    def cron_job(self, name="due"):
        """The CronJob, or None."""
        found = self.server.store.exists(self.cron_jobs, "default", name)
        return self.server.store.get(self.cron_jobs, "default", name) if found else None

    def status(self, name="due"):
        """The schedule's status."""
        return self.server.store.get(self.schedules, "default", name).get("status", {})

    def condition(self, type_, name="due"):
        """Status and reason of a condition, or None."""
        found = (c for c in self.status(name).get("conditions", []) if c["type"] == type_)
        return next(((c["status"], c["reason"]) for c in found), None)

    def events(self):
        """Reasons of all events."""
        return [event["reason"] for event in self.server.store.all(self.server.kind("events", ""))]

    async def settled(self, name="due"):
        """Wait until the status speaks of the newest generation and nothing is left to do; then count from here."""

        def done():
            body = self.server.store.get(self.schedules, "default", name)
            same = body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"]
            return same and self.condition("Progressing", name) == ("False", "Settled")

        await until(done, what=f"{name} is settled: {self.status(name)}")


@pytest.fixture(name="until")
def until_fixture():
    """The function that waits on a condition."""
    return until


@pytest.fixture
def place(server):
    """What a person does and sees."""
    return Place(server)


@pytest.fixture
def clock():
    """Unix time that stands still until set."""
    return SetClock()


@pytest.fixture
async def server(clock):
    """The emulated API server."""
    emulated = KubernetesServer(store=Store(clock.now))
    for manifest in crds.manifests():
        emulated.install(manifest)
    async with emulated.running():
        yield emulated


@pytest.fixture
def settings(monkeypatch, request):
    """Settings of the operator under test."""
    monkeypatch.setenv("TASKBELL_OPERATOR_IMAGE", "registry.example/taskbell-api:1")
    nats_url = request.getfixturevalue("nats_url") if "nats_url" in request.fixturenames else None
    return OperatorSettings(operator_identity="test", operator_job_secrets=("taskbell-database",), nats_url=nats_url)


@pytest.fixture
def operate(server, settings, clock):
    """Run the operator for a block, with quick back-offs; the objects that are there are seen at its start."""

    @contextlib.asynccontextmanager
    async def run(**overrides):
        pace = Pace(**({"first_backoff": 0.02, "longest_backoff": 0.2, "resync": 3600} | overrides))
        async with operating(settings, Surroundings(clock=clock, pace=pace, url=server.url)) as operator:
            await until(operator.watching.is_set, what="the watches are up")
            yield operator

    return run
