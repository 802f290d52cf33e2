"""API servers, the chart's service account on them, a proxy that injects faults, and the operator behind it.

Every test that uses `api_server`, directly or through `place`, runs against the emulated server and also against a real
one if one is given. The operator signs in as the service account that the chart creates; `kubectl` is an administrator.
"""

import contextlib
import os
import secrets
from pathlib import Path

import pytest

from kubernetes_emulator import control_plane
from kubernetes_emulator.client import ApiServer, Kubectl
from kubernetes_emulator.proxy import Proxy
from kubernetes_emulator.server import KubernetesServer
from operator_places import CORE, PoolPlace, SchedulePlace, SetClock, chart_access, events
from taskbell.contract import crds
from taskbell.local.embedded.process import free_port
from taskbell.operator.app import operating
from taskbell.operator.cluster import Cluster, open_api
from taskbell.operator.events import Events
from taskbell.operator.queue import Intervals, Key
from taskbell.operator.reconcile.reminder_schedule import ScheduleKeeper
from taskbell.operator.reconcile.worker_pool import PoolKeeper
from taskbell.operator.settings import OperatorSettings
from taskbell.operator.specs.cron_job import SweepDefaults
from taskbell.operator.supervision import Watches
from taskbell.testing.waiting import eventually

REAL = [pytest.param("real", marks=pytest.mark.xdist_group("control-plane"))] if control_plane.is_there() else []


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
    """An administrator's requests in a new namespace; the definitions are installed."""
    async with Kubectl.open(api_server, f"taskbell-{secrets.token_hex(5)}") as kubectl:
        for manifest in crds.manifests():
            await kubectl.install(manifest)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace}}
        await kubectl.install(namespace)

        async def served():
            return [(await kubectl.send("GET", kubectl.at(d.plural)))[0] for d in crds.DEFINITIONS] == [200, 200]

        await eventually(served, "the definitions are served")
        yield kubectl
        await kubectl.send("DELETE", f"/api/v1/namespaces/{kubectl.namespace}")


@pytest.fixture
async def account(kubectl):
    """A token of the operator's service account, with the chart's role."""
    access, name = chart_access(kubectl.namespace)
    for body in access:
        await kubectl.install(body)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = await kubectl.must("POST", kubectl.at("serviceaccounts", name, "token", group=CORE), request)
    token = answer["status"]["token"]

    async def effective():
        return (await kubectl.send("GET", kubectl.at("workerpools"), token=token))[0] == 200

    await eventually(effective, "the role is in force")
    return token


@pytest.fixture
async def proxy(api_server, account):
    """The API server as the operator sees it: signed in, and with faults that a test asks for."""
    async with Proxy(api_server, token=account).running() as proxy:
        yield proxy


@pytest.fixture
async def cluster(proxy):
    """The operator's requests to the API server."""
    async with await open_api(url=proxy.url) as api:
        yield Cluster(api)


@pytest.fixture
def being_deleted(kubectl):
    """Delete an object that a finalizer keeps for the length of a block."""

    @contextlib.asynccontextmanager
    async def held(path):
        await kubectl.must_merge(path, {"metadata": {"finalizers": ["example.com/hold"]}})
        await kubectl.must("DELETE", path)
        assert (await kubectl.must("GET", path))["metadata"]["deletionTimestamp"]
        yield
        await kubectl.must_merge(path, {"metadata": {"finalizers": []}})

    return held


@pytest.fixture(name="events")
def events_fixture(kubectl):
    """Read all events in the order of their creation."""
    return lambda: events(kubectl)


@pytest.fixture
def place(kubectl):
    """A namespace with schedules."""
    return SchedulePlace(kubectl)


@pytest.fixture
def clock():
    """Unix time that stands still until a test sets it."""
    return SetClock()


@pytest.fixture
def still_clock():
    """Both clocks stand still until a test sets them."""
    return SetClock(still=True)


@pytest.fixture
def pools(kubectl, cluster, still_clock):
    """Make a namespace with pools whose signals a test gives."""

    def make(signals, clock=still_clock):
        events = Events(cluster, clock=clock, reporter="test")
        return PoolPlace(kubectl, PoolKeeper(cluster, events, signals, interval=15, clock=clock), clock)

    return make


@pytest.fixture
def due(kubectl, cluster, still_clock):
    """Make a keeper, as a restart does; gives its passes over the schedule `due`, by the still clock."""

    def make():
        events = Events(cluster, clock=still_clock, reporter="test")
        keeper = ScheduleKeeper(cluster, events, sweeps=SweepDefaults(image="api:1"), clock=still_clock)
        return lambda: keeper.keep(Key("ReminderSchedule", kubectl.namespace, "due"))

    return make


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
    """Run the operator for a block, with short back-offs; it sees the objects that exist at its start."""

    @contextlib.asynccontextmanager
    async def run(watches=None, **overrides):
        intervals = Intervals(**({"first_backoff": 0.02, "longest_backoff": 0.2, "resync": 3600} | overrides))
        watches = watches or Watches(settings.operator_watch_namespaces)
        async with operating(settings, watches=watches, clock=clock, intervals=intervals, url=proxy.url) as queue:
            await watches.up.wait()
            yield queue

    return run
