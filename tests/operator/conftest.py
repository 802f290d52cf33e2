"""API servers, the chart's service account on them, a proxy that makes faults, and the operator at work behind it.

Every test that asks for `api_server`, also by way of `place`, runs against the emulated server and against a real one
where there is one. The operator signs in as the service account that the chart makes for it; `kubectl` is a person.
"""

import asyncio
import contextlib
import inspect
import json
import os
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import helm_python
import pytest
import yaml

from kubernetes_emulator import control_plane
from kubernetes_emulator.client import ApiServer, Kubectl
from kubernetes_emulator.proxy import Proxy
from kubernetes_emulator.server import KubernetesServer
from taskbell.contract import crds
from taskbell.kit.jwt import generate_keys
from taskbell.local.embedded.process import free_port
from taskbell.operator.app import operating
from taskbell.operator.cluster import Cluster, open_api
from taskbell.operator.queue import Intervals, Key
from taskbell.operator.settings import OperatorSettings

CHART = Path(__file__).parents[2] / "charts" / "taskbell"
ACCESS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
CORE, BATCH, APPS = "", "batch/v1", "apps/v1"
REAL = [pytest.param("real", marks=pytest.mark.xdist_group("control-plane"))] if control_plane.is_there() else []


class SetClock:
    """Unix time that begins now and goes on as a test sets it; the monotonic clock is the real one, or still, too."""

    def __init__(self, *, still=False):
        self.began = self.time = float(int(time.time()))
        self.steady = 0.0 if still else None

    def now(self):
        """Unix seconds."""
        return self.time

    def monotonic(self):
        """Seconds that never go back."""
        return time.monotonic() if self.steady is None else self.steady

    def pass_by(self, seconds):
        """Let time go on, also by the monotonic clock if that stands still."""
        self.time += seconds
        if self.steady is not None:
            self.steady += seconds

    def minute(self, number):
        """The `number`th full minute after the beginning, as Kubernetes writes it."""
        seconds = (self.began // 60 + number) * 60
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def until(true, *, what, within=30.0):
    """Wait until a condition, plain or to be awaited, holds; return what it gave."""
    deadline = time.monotonic() + within
    while True:
        found = true()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(0.01)


class Place:
    """What a person does with `kubectl`, and what they then see."""

    def __init__(self, kubectl):
        self.kubectl = kubectl

    async def make(self, name="due", **spec):
        """Make a schedule."""
        body = {
            "apiVersion": crds.API_VERSION,
            "kind": "ReminderSchedule",
            "metadata": {"name": name},
            "spec": {"kind": "due", "schedule": "* * * * *"} | spec,
        }
        return await self.kubectl.must("POST", self.kubectl.at("reminderschedules"), body, fieldManager="kubectl")

    async def change(self, path, change):
        """Change an object by hand, as `kubectl edit` does."""
        for _ in range(10):
            body = await self.kubectl.must("GET", path)
            change(body)
            status, answer = await self.kubectl.send("PUT", path, body, fieldManager="kubectl-edit")
            if status != 409:
                break
        assert status == 200, answer

    async def report(self, name="due", **status):
        """What Kubernetes' own controller reports in the CronJob's status."""
        path = self.kubectl.at("cronjobs", name, "status", group=BATCH)
        assert (await self.kubectl.merge(path, {"status": status}))[0] == 200

    async def respecify(self, name="due", **spec):
        """Change fields of a schedule's spec."""
        path = self.kubectl.at("reminderschedules", name)
        await self.change(path, lambda body: body["spec"].update(spec))

    async def delete(self, plural, name, *, group=crds.API_VERSION):
        """Delete an object."""
        await self.kubectl.must("DELETE", self.kubectl.at(plural, name, group=group))

    async def cron_job(self, name="due"):
        """The CronJob, or None."""
        return await self.kubectl.get(self.kubectl.at("cronjobs", name, group=BATCH))

    async def cron_jobs(self):
        """All CronJobs by their names."""
        return {found["metadata"]["name"]: found for found in await self.kubectl.all("cronjobs", group=BATCH)}

    async def collected(self, name):
        """Wait until the CronJob of a deleted schedule went along, where the API server has a garbage collector."""

        async def gone():
            return await self.cron_job(name) is None

        if self.kubectl.server.collects_garbage:
            await until(gone, what=f"CronJob {name} went along", within=90.0)

    async def status(self, name="due"):
        """The schedule's status."""
        return (await self.kubectl.must("GET", self.kubectl.at("reminderschedules", name))).get("status", {})

    async def condition(self, type_, name="due"):
        """Status and reason of a condition, or None."""
        return condition(await self.status(name), type_)

    async def events(self):
        """Reasons of all events, in order."""
        return [event["reason"] for event in await events(self.kubectl)]

    async def settled(self, name="due"):
        """Wait until the status speaks of the newest generation and nothing is left to do."""

        async def done():
            body = await self.kubectl.must("GET", self.kubectl.at("reminderschedules", name))
            same = body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"]
            return same and condition(body["status"], "Progressing") == ("False", "Settled")

        await until(done, what=f"{name} is settled")


class PoolPlace:
    """A namespace with a Deployment, a pool, and passes over it."""

    def __init__(self, kubectl, keeper, clock):
        self.kubectl, self.keeper, self.clock = kubectl, keeper, clock

    async def add(self, path, kind, name, *, labels=None, **body):
        """Create an object."""
        body |= {"kind": kind, "metadata": {"name": name, "labels": labels or {}}}
        await self.kubectl.must("POST", path, body)

    async def deploy(self, name="delivery", replicas=1):
        """Make a Deployment with all its pods."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": f"{name}:1"}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        path = self.kubectl.at("deployments", group=APPS)
        await self.add(path, "Deployment", name, apiVersion=APPS, spec=spec)
        await self.start_pods(name)

    async def start_pods(self, name="delivery"):
        """What the Deployment's controller would do: as many pods as are wanted."""
        path = self.kubectl.at("deployments", name, "status", group=APPS)
        assert (await self.kubectl.merge(path, {"status": {"replicas": await self.size(name)}}))[0] == 200

    async def make(self, name="delivery", *, backlog_per_replica=100, **spec):
        """Make a pool with one backlog signal."""
        signal = {"stream": "WORK", "consumer": "delivery", "backlogPerReplica": backlog_per_replica}
        given = {
            "targetRef": {"name": name},
            "replicas": {"min": 1, "max": 30},
            "signals": [{"name": "backlog", "jetStream": signal}],
        }
        path = self.kubectl.at("workerpools")
        await self.add(path, "WorkerPool", name, apiVersion=crds.API_VERSION, spec=given | spec)

    def key(self, name="delivery"):
        """The pool as the queue names it."""
        return Key("WorkerPool", self.kubectl.namespace, name)

    async def look(self, *, after=15.0, name="delivery"):
        """One pass, some time later, with the pods started before it; returns the size then."""
        await self.start_pods(name)
        self.clock.pass_by(after)
        await self.keeper.keep(self.key(name))
        return await self.size(name)

    async def size(self, name="delivery"):
        """The size that the Deployment shall have."""
        return (await self.kubectl.must("GET", self.kubectl.at("deployments", name, group=APPS)))["spec"]["replicas"]

    async def status(self, name="delivery"):
        """The pool's status."""
        return (await self.kubectl.must("GET", self.kubectl.at("workerpools", name))).get("status", {})

    async def condition(self, type_, name="delivery"):
        """Status and reason of a condition, or None."""
        return condition(await self.status(name), type_)


def condition(status, type_):
    """Status and reason of a condition, or None."""
    found = (c for c in status.get("conditions", []) if c["type"] == type_)
    return next(((c["status"], c["reason"]) for c in found), None)


async def events(kubectl):
    """All events in the order of their making."""
    found = await kubectl.all("events", group=CORE)
    return sorted(found, key=lambda event: int(event["metadata"]["resourceVersion"]))


@pytest.fixture(name="until")
def until_fixture():
    """The function that waits on a condition."""
    return until


@pytest.fixture(name="events")
def events_fixture(kubectl):
    """Reads all events in the order of their making."""
    return lambda: events(kubectl)


@pytest.fixture(scope="session")
def started_server(tmp_path_factory):
    """The control plane that this run starts."""
    assets, folder = Path(os.environ["KUBEBUILDER_ASSETS"]), tmp_path_factory.mktemp("control-plane")
    with control_plane.started(assets, folder, free_port=free_port) as server:
        yield server


@pytest.fixture(params=["emulated", *REAL])
async def api_server(request):
    """An API server."""
    if request.param == "emulated":
        async with KubernetesServer().running() as emulated:
            yield ApiServer(emulated.url)
    elif "KUBECONFIG" in os.environ:
        yield await control_plane.of_kubeconfig()
    else:
        yield request.getfixturevalue("started_server")


@pytest.fixture
async def kubectl(api_server):
    """An administrator's requests in a namespace of this test's own, with the definitions served."""
    async with Kubectl.open(api_server, f"taskbell-{secrets.token_hex(5)}") as kubectl:
        for manifest in crds.manifests():
            await kubectl.install(manifest)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace}}
        await kubectl.install(namespace)

        async def served():
            return [(await kubectl.send("GET", kubectl.at(d.plural)))[0] for d in crds.DEFINITIONS] == [200, 200]

        await until(served, what="the definitions are served")
        yield kubectl
        await kubectl.send("DELETE", f"/api/v1/namespaces/{kubectl.namespace}")


@pytest.fixture(scope="session")
def chart_access():
    """The chart's accounts and roles in a namespace, and the name of the operator's account."""
    values = {"signingKeys": {"value": generate_keys()}}
    files = helm_python.Chart.load(CHART).render(
        values, name="demo", namespace="the-namespace", revision=1, is_install=True, is_upgrade=False
    )
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    made = [body for text in texts for body in yaml.load_all(text, yaml.CSafeLoader) if body]
    (deployment,) = (b for b in made if b["kind"] == "Deployment" and b["metadata"]["name"].endswith("-operator"))
    access = json.dumps([body for body in made if body["kind"] in ACCESS])
    name = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    return lambda namespace: (json.loads(access.replace("the-namespace", namespace)), name)


@pytest.fixture
async def account(kubectl, chart_access):
    """A token of the operator's service account, with the role that the chart gives it."""
    access, name = chart_access(kubectl.namespace)
    for body in access:
        await kubectl.install(body)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = await kubectl.must("POST", kubectl.at("serviceaccounts", name, "token", group=CORE), request)
    token = answer["status"]["token"]

    async def effective():
        return (await kubectl.send("GET", kubectl.at("workerpools"), token=token))[0] == 200

    await until(effective, what="the role is in force")
    return token


@pytest.fixture
async def proxy(api_server, account):
    """What the operator talks to: the API server, with the operator's sign-in, and with faults when told."""
    async with Proxy(api_server, token=account).running() as proxy:
        yield proxy


@pytest.fixture
async def cluster(proxy):
    """The operator's requests to the API server."""
    async with await open_api(url=proxy.url) as api:
        yield Cluster(api)


@pytest.fixture
def being_deleted(kubectl):
    """Delete an object that a finalizer holds for the length of a block."""

    @contextlib.asynccontextmanager
    async def held(path):
        assert (await kubectl.merge(path, {"metadata": {"finalizers": ["example.com/hold"]}}))[0] == 200
        await kubectl.must("DELETE", path)
        assert (await kubectl.must("GET", path))["metadata"]["deletionTimestamp"]
        yield
        assert (await kubectl.merge(path, {"metadata": {"finalizers": []}}))[0] == 200

    return held


@pytest.fixture
def place(kubectl):
    """What a person does and sees."""
    return Place(kubectl)


@pytest.fixture
def clock():
    """Unix time that stands still until set."""
    return SetClock()


@pytest.fixture
def still_clock():
    """Both clocks stand still until set: for windows that are counted to the second."""
    return SetClock(still=True)


@pytest.fixture
def pool_place():
    """Makes a namespace of pools from a client, a keeper and a clock."""
    return PoolPlace


@pytest.fixture
def settings(monkeypatch, request, kubectl):
    """Settings of the operator under test."""
    monkeypatch.setenv("TASKBELL_OPERATOR_IMAGE", "registry.example/taskbell-api:1")
    nats_url = request.getfixturevalue("nats_url") if "nats_url" in request.fixturenames else None
    return OperatorSettings(
        operator_identity="test",
        operator_namespace=kubectl.namespace,
        operator_watch_namespaces=(kubectl.namespace,),
        operator_job_secrets=("taskbell-database",),
        nats_url=nats_url,
    )


@pytest.fixture
def operate(proxy, settings, clock):
    """Run the operator for a block, with quick back-offs; the objects that are there are seen at its start."""

    @contextlib.asynccontextmanager
    async def run(**overrides):
        intervals = Intervals(**({"first_backoff": 0.02, "longest_backoff": 0.2, "resync": 3600} | overrides))
        watching = asyncio.Event()
        async with operating(settings, watching=watching, clock=clock, intervals=intervals, url=proxy.url) as queue:
            await watching.wait()
            yield queue

    return run
