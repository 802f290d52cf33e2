"""Helm itself installs, upgrades and removes the release, on an emulated API server."""

import asyncio
import base64
import contextlib
from pathlib import Path

import helm_python
import pytest

from kubernetes_emulator.server import KubernetesServer
from kubernetes_emulator.store import Kind, Refused
from taskbell.kit.jwt import generate_keys

FORMER = Path(__file__).parent / "former" / "taskbell-0.1.0.tgz"
VALUES = {"signingKeys": {"value": generate_keys()}}
FURTHER = (
    Kind(group="", version="v1", plural="services", kind="Service"),
    Kind(group="apps", version="v1", plural="statefulsets", kind="StatefulSet"),
    Kind(group="policy", version="v1", plural="poddisruptionbudgets", kind="PodDisruptionBudget"),
    Kind(group="networking.k8s.io", version="v1", plural="networkpolicies", kind="NetworkPolicy"),
)
"""Kinds of the chart that the operator does not use."""


class Server(KubernetesServer):
    """The emulated API server with what Helm also needs: server-side validation, and `stringData` of Secrets."""

    __slots__ = ()

    def _discovery(self, path):
        if path == "/openapi/v3":
            versions = {(kind.group, kind.version) for kind in self.kinds.values()}
            names = {f"apis/{group}/{version}" if group else f"api/{version}" for group, version in versions}
            return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}"} for name in names}}
        if path.startswith("/openapi/v3/"):
            served = [kind for kind in self.kinds.values() if path.endswith(f"/{kind.group or 'api'}/{kind.version}")]
            return {"openapi": "3.0.0", "info": {"title": "", "version": ""}, "paths": dict(map(self._patch, served))}
        return super()._discovery(path)

    @staticmethod
    def _patch(kind):
        words = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        parameters = [{"name": "fieldValidation", "in": "query"}]
        patch = {"parameters": parameters, "x-kubernetes-group-version-kind": words, "responses": {}}
        return f"/{kind.plural}", {"patch": patch}

    async def _watch(self, request, target):
        if "sendInitialEvents" in request.query:
            raise Refused(422, "Invalid", "this server streams no lists")
        return await super()._watch(request, target)

    def _dispatch(self, request, path, body, user):
        if body and "stringData" in body:
            given = {key: base64.b64encode(text.encode()).decode() for key, text in body.pop("stringData").items()}
            body["data"] = body.get("data", {}) | given
        status, answer = super()._dispatch(request, path, body, user)
        metadata = {name: value for name, value in answer.get("metadata", {}).items() if name != "managedFields"}
        return status, {**answer, "metadata": metadata}  # field ownership has its own short form there

    def all(self, plural):
        """The objects of a kind in the release's namespace, by name."""
        return {found["metadata"]["name"]: found for found in self.store.all(self.kind(plural), "tasks")}


@pytest.fixture
async def cluster():
    """An API server on which Helm can work."""
    server = Server()
    for kind in FURTHER:
        server.kinds[kind.group, kind.plural] = kind
    async with server.running():
        yield server


def configured(cluster):
    """Helm with its records in memory."""
    return helm_python.Config(kube_apiserver=cluster.url, namespace="tasks", storage_driver="memory")


@pytest.fixture
def helm(cluster):
    """Helm, connected to the cluster."""
    with configured(cluster) as config:
        yield config


@pytest.mark.feature("K7")
async def test_helm_installs_upgrades_removes_and_installs_again(chart, helm, cluster):
    """One command installs definitions and objects; the next revision owns the objects, and removal deletes them."""
    installed = await asyncio.to_thread(helm.install, chart.loaded, "demo", VALUES, namespace="tasks")
    assert "kind: ReminderSchedule" not in installed["manifest"]
    schedules, secrets = cluster.all("reminderschedules"), cluster.all("secrets")
    assert set(schedules) == {"demo-taskbell-due", "demo-taskbell-maintenance"}
    assert set(cluster.all("workerpools")) == {"demo-taskbell-delivery"}
    (first,) = cluster.all("jobs")

    more = VALUES | {"reminders": {"shards": 2}}
    upgraded = await asyncio.to_thread(helm.upgrade, chart.loaded, "demo", more, namespace="tasks")
    assert upgraded["manifest"].count("kind: ReminderSchedule") == 2
    after = cluster.all("reminderschedules")
    assert {name: found["metadata"]["uid"] for name, found in after.items()} == {
        name: found["metadata"]["uid"] for name, found in schedules.items()
    }
    assert after["demo-taskbell-due"]["spec"]["shards"] == 2
    assert {name: found["data"] for name, found in cluster.all("secrets").items()} == {
        name: found["data"] for name, found in secrets.items()
    }
    assert first not in cluster.all("jobs")

    await asyncio.to_thread(helm.rollback, "demo")
    assert cluster.all("reminderschedules")["demo-taskbell-due"]["spec"]["shards"] == 1
    await asyncio.to_thread(helm.upgrade, chart.loaded, "demo", VALUES, namespace="tasks")
    await asyncio.to_thread(helm.uninstall, "demo")
    assert cluster.all("reminderschedules") == cluster.all("deployments") == {}
    assert set(cluster.all("secrets")) == {"demo-taskbell-database-admin"}
    with configured(cluster) as later:  # Helm asks only once which kinds a cluster knows
        again = await asyncio.to_thread(later.install, chart.loaded, "demo", VALUES, namespace="tasks")
    assert again["manifest"].count("kind: ReminderSchedule") == 2  # the definitions stayed, so no hook is needed
    admin = "demo-taskbell-database-admin"
    assert cluster.all("secrets")[admin]["data"] == secrets[admin]["data"]


async def test_a_release_that_was_never_upgraded_leaves_nothing_behind(chart, helm, cluster):
    """Objects that a hook created are removed with the release too: no sweep starts without a database."""
    await asyncio.to_thread(helm.install, chart.loaded, "demo", VALUES, namespace="tasks")
    assert cluster.all("reminderschedules")
    await asyncio.to_thread(helm.uninstall, "demo")
    assert cluster.all("reminderschedules") == cluster.all("workerpools") == {}


async def test_an_installation_that_failed_halfway_is_mended_by_an_upgrade(chart, helm, cluster):
    """If the objects of the new kinds could not be created at first, the next revision creates them."""
    refused = {"reminders": {"schedule": "* * * * *", "resources": {"requests": "much"}}}
    with pytest.raises(helm_python.HelmError, match="post-install"):
        await asyncio.to_thread(helm.install, chart.loaded, "demo", VALUES | refused, namespace="tasks")
    assert cluster.all("reminderschedules") == {}
    await asyncio.to_thread(helm.upgrade, chart.loaded, "demo", VALUES, namespace="tasks")
    assert set(cluster.all("reminderschedules")) == {"demo-taskbell-due", "demo-taskbell-maintenance"}
    assert set(cluster.all("workerpools")) == {"demo-taskbell-delivery"}


def _identities(cluster, plural):
    return {name: found["metadata"]["uid"] for name, found in cluster.all(plural).items()}


@pytest.mark.feature("K7")
async def test_a_release_of_the_former_chart_is_upgraded(chart, helm, cluster):
    """What a release consists of keeps its identity; the accounts and policies of the former names are gone."""
    with contextlib.closing(type(chart)(FORMER).loaded) as former:
        await asyncio.to_thread(helm.install, former, "demo", VALUES, namespace="tasks")
    kept = ("deployments", "statefulsets", "reminderschedules", "workerpools", "secrets", "services")
    before = {plural: _identities(cluster, plural) for plural in kept}
    assert all(before.values())
    await asyncio.to_thread(helm.upgrade, chart.loaded, "demo", VALUES, namespace="tasks")
    for plural, identities in before.items():
        assert identities.items() <= _identities(cluster, plural).items(), plural
    policies = set(cluster.all("networkpolicies"))
    assert "demo-taskbell-sweeper" in policies
    assert "demo-taskbell-sweeps" not in policies
    (operator,) = cluster.all("deployments")["demo-taskbell-operator"]["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in operator["env"]}
    assert environment["TASKBELL_OPERATOR_JOB_SERVICE_ACCOUNT"] == "demo-taskbell-sweeper"
    assert "/sweeper:" in environment["TASKBELL_OPERATOR_IMAGE"]
