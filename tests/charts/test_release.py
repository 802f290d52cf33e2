"""Helm itself installs, upgrades, rolls back and removes the release: everything is asserted on the cluster's objects.

Helm's engine does it on an emulated API server; the executables of Helm 3 and Helm 4 do it on a real one, if both are
there (`KUBEBUILDER_ASSETS`; `HELM3` and `HELM4`, or `helm3`, `helm4` or `helm` in `PATH`). No controllers run but the
garbage collector, and the Job of the definitions is a process with the rights of its service account.
"""

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import get_args

import pytest

import helm_releases
from helm_releases import HelmFailed
from helm_server import HelmServer
from kubernetes_emulator import control_plane
from kubernetes_emulator.client import ApiServer, Kubectl, RequestRefused
from taskbell.contract.crds import DEFINITIONS, manifests
from taskbell.contract.reminder_schedules import ReminderScheduleSpec, SweepKind
from taskbell.kit.jwt import generate_keys
from taskbell.local.embedded.process import free_port
from taskbell.testing.waiting import eventually

CHART = Path(__file__).parents[2] / "charts" / "taskbell"
FORMER = Path(__file__).parent / "former" / "taskbell-0.1.0.tgz"
VALUES = {"signingKeys": {"value": generate_keys()}}
OFF = {"reminders": {"enabled": False}, "delivery": {"pool": {"enabled": False}}}
DUE, DELIVERY = "demo-taskbell-due", "demo-taskbell-delivery"
SCHEDULES = {f"demo-taskbell-{kind}" for kind in get_args(SweepKind)}
ADMIN = "demo-taskbell-database-admin"
CORE, BATCH, ACCESS = "", "batch/v1", "rbac.authorization.k8s.io/v1"
KEPT = {
    CORE: ("secrets", "services", "serviceaccounts", "configmaps"),
    "apps/v1": ("deployments", "statefulsets"),
    ACCESS: ("roles", "rolebindings"),
    "policy/v1": ("poddisruptionbudgets",),
    "networking.k8s.io/v1": ("networkpolicies",),
    "taskbell.dev/v1alpha1": ("reminderschedules", "workerpools"),
}
"""The kinds whose objects keep their identity through upgrades and rollbacks."""
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REFUSED = {"type": "string", "default": "a", "x-kubernetes-validations": [{"rule": "self == 'b'", "message": "wrong"}]}


def larger(shards=2, most=11):
    """Values that change a ReminderSchedule and a WorkerPool."""
    return {**VALUES, "reminders": {"shards": shards}, "delivery": {"pool": {"max": most}}}


@pytest.fixture(scope="session")
def real_server(tmp_path_factory):
    """A control plane of this run. That of `KUBECONFIG` is not taken: the tests remove the definitions."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS", "/nonexistent"))
    if not (assets / "kube-apiserver").exists():
        pytest.skip("no real API server: set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver")
    folder = tmp_path_factory.mktemp("control-plane")
    with control_plane.started(assets, folder, free_port=free_port) as server:
        yield server, folder / "certs" / "apiserver.crt"


REAL = [
    pytest.param(major, marks=pytest.mark.xdist_group("charts-control-plane"), id=f"helm{major}") for major in (3, 4)
]


@pytest.fixture(params=["engine", *REAL])
async def place(request, tmp_path):
    """An API server without definitions, a namespace on it, and Helm."""
    if request.param == "engine":
        async with HelmServer().running() as server, Kubectl.open(ApiServer(server.url), "tasks") as kubectl:
            helm = helm_releases.Engine(server.url, "tasks")
            async with helm_releases.definitions_brought(kubectl, tmp_path) as said:
                yield Place(kubectl, helm, said)
            helm.close()
        return
    if (program := helm_releases.program(request.param)) is None:
        pytest.skip(f"no Helm {request.param}: set HELM{request.param}, or put helm{request.param} into PATH")
    server, authority = request.getfixturevalue("real_server")
    shutil.copy(authority, tmp_path / "authority.crt")
    config = tmp_path / "kubeconfig"
    config.write_text(control_plane.kubeconfig(server, authority=authority))
    async with Kubectl.open(server, f"release-{secrets.token_hex(5)}") as kubectl:
        await kubectl.install({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubectl.namespace}})
        for definition in DEFINITIONS:
            await kubectl.send("DELETE", f"{CRDS}/{definition.plural}.taskbell.dev")

        async def gone():
            return not (await kubectl.must("GET", CRDS))["items"]

        await eventually(gone, "the definitions are gone")
        helm = helm_releases.Program(program, config, kubectl.namespace)
        async with helm_releases.definitions_brought(kubectl, tmp_path) as said:
            yield Place(kubectl, helm, said)
        await kubectl.send("DELETE", f"/api/v1/namespaces/{kubectl.namespace}")


class Place:
    """A release's namespace. `said` holds what the Jobs of the definitions said."""

    def __init__(self, kubectl, helm, said):
        self.kubectl, self.helm, self.said = kubectl, helm, said

    async def all(self, plural, group="taskbell.dev/v1alpha1"):
        """The objects of a kind, by name, without those of Helm and of the namespace itself."""
        found = {thing["metadata"]["name"]: thing for thing in await self.kubectl.all(plural, group=group)}
        own = {name: thing for name, thing in found.items() if name not in {"default", "kube-root-ca.crt"}}
        return {name: thing for name, thing in own.items() if not name.startswith("sh.helm.release")}

    async def identities(self, *plurals):
        """The uid of each object of some kinds, or of all that keep theirs."""
        return {
            (plural, name): thing["metadata"]["uid"]
            for group, kinds in KEPT.items()
            for plural in kinds
            if not plurals or plural in plurals
            for name, thing in (await self.all(plural, group)).items()
        }

    async def sizes(self):
        """What `larger` changes, as the cluster has it."""
        schedules, pools = await self.all("reminderschedules"), await self.all("workerpools")
        assert set(schedules) == SCHEDULES
        assert set(pools) == {DELIVERY}
        return schedules[DUE]["spec"]["shards"], pools[DELIVERY]["spec"]["replicas"]["max"]

    async def definitions(self):
        """The definitions in the cluster, by name."""
        return {found["metadata"]["name"]: found for found in (await self.kubectl.must("GET", CRDS))["items"]}

    async def left(self):
        """Everything in the namespace and the cluster's roles that are this release's, as (plural, name)."""
        cluster = {"clusterroles", "clusterrolebindings"}
        wide = {plural: await self.kubectl.must("GET", f"/apis/{ACCESS}/{plural}") for plural in cluster}
        return {
            *(await self.identities()),
            *(("jobs", name) for name in await self.all("jobs", BATCH)),
            *(
                (plural, thing["metadata"]["name"])
                for plural, found in wide.items()
                for thing in found["items"]
                if "taskbell" in thing["metadata"]["name"]
            ),
        }


@pytest.mark.feature("K7", "K5", "K6")
async def test_a_release_from_its_installation_to_the_next(place):
    """Changed values reach the custom resources in every revision, a rollback keeps them, removal leaves a Secret."""
    helm = place.helm
    await helm.install(CHART, VALUES)
    assert await place.sizes() == (1, 10)
    assert {m["metadata"]["name"] for m in manifests()} == set(await place.definitions())
    first, custom = await place.identities(), await place.identities("reminderschedules", "workerpools")
    passwords = {name: found["data"] for name, found in (await place.all("secrets", CORE)).items()}

    await helm.upgrade(CHART, larger())
    assert await place.sizes() == (2, 11)
    await helm.rollback(1)
    assert await place.sizes() == (1, 10)
    assert await place.identities() == first
    assert {name: found["data"] for name, found in (await place.all("secrets", CORE)).items()} == passwords

    await helm.upgrade(CHART, VALUES | OFF)
    assert await place.identities("reminderschedules", "workerpools") == {}
    await helm.upgrade(CHART, larger(3, 12))
    assert await place.sizes() == (3, 12)
    again = await place.identities("reminderschedules", "workerpools")
    assert again.keys() == custom.keys()
    assert not again.items() & custom.items()
    await helm.rollback(1)
    assert await place.sizes() == (1, 10)
    assert await place.identities("reminderschedules", "workerpools") == again

    await helm.uninstall()
    assert await place.left() == {("secrets", ADMIN)}
    assert {m["metadata"]["name"] for m in manifests()} == set(await place.definitions())
    await helm.install(CHART, larger(4))
    assert await place.sizes() == (4, 11)
    assert (await place.all("secrets", CORE))[ADMIN]["data"] == passwords[ADMIN]
    assert place.said == []  # the definitions did not change, so no Job was needed


@pytest.mark.feature("K5", "K7")
async def test_off_at_the_first_upgrade_is_off(place):
    """What the first revision made goes with the first upgrade that turns it off, and nothing is left behind."""
    await place.helm.install(CHART, VALUES)
    await place.helm.upgrade(CHART, VALUES | OFF)
    assert await place.identities("reminderschedules", "workerpools") == {}
    await place.helm.uninstall()
    assert await place.left() == {("secrets", ADMIN)}


def changed(folder, version, *, field, schema=None):
    """The chart with a version whose ReminderSchedules have another field, and set it."""
    shutil.copytree(CHART, folder)
    head = folder / "Chart.yaml"
    head.write_text(head.read_text().replace("0.1.0", version))
    path = folder / "crds" / "reminderschedules.yaml"
    definition = json.loads(path.read_text())
    properties = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties[field] = schema or {"type": "string", "maxLength": 20}
    definition["metadata"]["annotations"] |= {"taskbell.dev/digest": field, "taskbell.dev/version": version}
    path.write_text(json.dumps(definition))
    template = folder / "templates" / "resources.yaml"
    template.write_text(
        template.read_text().replace("  kind: {{ $kind }}\n", f"  kind: {{{{ $kind }}}}\n  {field}: new\n")
    )
    return folder


@pytest.mark.feature("K5", "K7")
async def test_a_definition_changes_before_the_objects_that_use_it(place, tmp_path):
    """An upgrade brings new fields and uses them at once; its rights are gone after it, and nobody goes back."""
    helm = place.helm
    await helm.install(CHART, VALUES)
    before = await place.left()
    await helm.upgrade(changed(tmp_path / "second", "0.2.0", field="second"), VALUES)
    assert (await place.all("reminderschedules"))[DUE]["spec"]["second"] == "new"
    assert [said.count("is up to date") for said in place.said] == [1]  # the other definition is the same
    assert {kind for kind, _ in await place.left()} == {kind for kind, _ in before}

    await helm.rollback(1)
    await helm.upgrade(CHART, larger())  # an older chart leaves the newer definition
    assert len(place.said) == 1
    assert (await place.definitions())["reminderschedules.taskbell.dev"]["metadata"]["annotations"] == {
        "taskbell.dev/digest": "second",
        "taskbell.dev/version": "0.2.0",
        "helm.sh/resource-policy": "keep",
    }
    await helm.uninstall()
    assert await place.left() == {("secrets", ADMIN)}
    await helm.install(changed(tmp_path / "third", "0.3.0", field="third"), VALUES)
    assert (await place.all("reminderschedules"))[DUE]["spec"]["third"] == "new"
    assert {kind for kind, _ in await place.left()} == {kind for kind, _ in before}


@pytest.mark.feature("K5")
async def test_a_definition_that_is_refused_stops_the_upgrade_before_it_begins(place, tmp_path):
    """The release is as it was, the failed Job says why, and the next upgrade mends it."""
    helm = place.helm
    await helm.install(CHART, VALUES)
    before, deployments = await place.left(), await place.all("deployments", "apps/v1")
    wrong = changed(tmp_path / "wrong", "0.2.0", field="wrong", schema=REFUSED)
    with pytest.raises(HelmFailed, match="pre-upgrade"):
        await helm.upgrade(wrong, larger())
    assert "wrong" in place.said[-1]
    assert await place.left() == {*before, ("jobs", helm_releases.JOB)}
    assert await place.all("deployments", "apps/v1") == deployments
    assert await place.sizes() == (1, 10)
    await helm.upgrade(changed(tmp_path / "right", "0.2.0", field="right"), larger())
    assert await place.sizes() == (2, 11)
    assert ("jobs", helm_releases.JOB) not in await place.left()


@pytest.mark.feature("K7")
@pytest.mark.parametrize("more", [larger(), OFF], ids=["changed", "off"])
async def test_a_release_of_the_former_chart_is_upgraded(place, more):
    """Objects that its hooks made keep their identity and take changed values, or go if they are turned off."""
    helm = place.helm
    await helm.install(FORMER, VALUES)
    kept = ("deployments", "statefulsets", "reminderschedules", "workerpools", "secrets", "services")
    before = await place.identities(*kept)
    assert {plural for plural, _ in before} == set(kept)
    await helm.upgrade(CHART, VALUES | more)
    after = await place.identities(*kept)
    if more is OFF:
        assert await place.identities("reminderschedules", "workerpools") == {}
    else:
        assert await place.sizes() == (2, 11)
        assert before.items() <= after.items()
    policies = await place.all("networkpolicies", "networking.k8s.io/v1")
    assert "demo-taskbell-sweeper" in policies
    assert "demo-taskbell-sweeps" not in policies
    deployments = await place.all("deployments", "apps/v1")
    (operator,) = deployments["demo-taskbell-operator"]["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in operator["env"]}
    assert environment["TASKBELL_OPERATOR_JOB_SERVICE_ACCOUNT"] == "demo-taskbell-sweeper"
    assert "/sweeper:" in environment["TASKBELL_OPERATOR_IMAGE"]
    accounts = {"demo-taskbell-sweeps", "demo-taskbell-sweeper"}
    assert accounts <= set(await place.all("serviceaccounts", CORE))  # until the operator has changed the CronJobs

    ran = len(place.said)
    await helm.upgrade(CHART, larger(5, 15))
    assert await place.sizes() == (5, 15)
    assert len(place.said) == ran
    assert "demo-taskbell-sweeps" not in await place.all("serviceaccounts", CORE)
    await helm.rollback(2)
    assert len(await place.identities("reminderschedules", "workerpools")) == (0 if more is OFF else len(SCHEDULES) + 1)
    await helm.uninstall()
    assert await place.left() == {("secrets", ADMIN)}


@pytest.mark.feature("K5", "K7")
async def test_resources_are_written_as_in_pods(place):
    """A quantity may be a number in the values and in the API; a resource that sweeps do not have is refused."""
    resources = {"requests": {"cpu": 1, "memory": 134217728}, "limits": {"cpu": 1.5}}
    await place.helm.install(CHART, {**VALUES, "reminders": {"resources": resources}})
    path = place.kubectl.at("reminderschedules", DUE)
    found = (await place.kubectl.must("GET", path))["spec"]["pod"]["resources"]
    assert found["requests"] == {"cpu": "1", "memory": "134217728"}
    assert found["limits"]["cpu"] == "1.5"
    for given in ({"cpu": 2}, {"cpu": "250m"}):
        changed = await place.kubectl.must_merge(path, {"spec": {"pod": {"resources": {"requests": given}}}})
        assert changed["spec"]["pod"]["resources"]["requests"]["cpu"] == given["cpu"]
        assert ReminderScheduleSpec.model_validate(changed["spec"]).pod.resources.requests["cpu"] == str(given["cpu"])
    refusals = (({"cpus": 1}, "cpu, memory and ephemeral-storage"), ({"cpu": "many"}, "cpu"), ({"cpu": -1}, "cpu"))
    for wrong, said in refusals:
        with pytest.raises(RequestRefused, match=said) as refused:
            await place.kubectl.must_merge(path, {"spec": {"pod": {"resources": {"requests": wrong}}}})
        assert refused.value.status == 422
    with pytest.raises(HelmFailed, match="cpus"):
        await place.helm.upgrade(CHART, {**VALUES, "reminders": {"resources": {"requests": {"cpus": 1}}}})
