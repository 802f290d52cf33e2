"""After the first installation: upgrades, removal and reinstallation, other releases, tools that only render."""

import asyncio
import base64
import contextlib
import re
import shutil
from pathlib import Path

import kubernetes_validate
import pytest

from kubernetes_emulator.server import KubernetesServer
from taskbell.contract.crds import manifests
from taskbell.contract.nats_users import Program, user_of

CHART = Path(__file__).parents[2] / "charts" / "taskbell"
CLOUDNATIVEPG = {"database": {"mode": "cloudnativepg"}}


@pytest.fixture
async def cluster():
    """An API server that Helm can look into."""
    async with KubernetesServer().running() as server:
        yield server


async def looking(chart, cluster, values=None, *, revision=1):
    """Render with a view of the cluster."""
    return await asyncio.to_thread(chart.render_upon, cluster.url, values, revision=revision)


def place(cluster, secrets):
    """Put Secrets into the cluster, as an API server stores them."""
    kind = cluster.kind("secrets")
    for secret in secrets:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in secret["stringData"].items()}
        kept = {name: value for name, value in secret.items() if name != "stringData"}
        cluster.store.create(kind, "tasks", kept | {"data": data}, manager="helm")


def passwords(rendered):
    """The generated values of a release."""
    return {name: secret["stringData"] for name, secret in rendered.of("Secret").items()}


@pytest.mark.feature("K7")
@pytest.mark.parametrize("values", [{}, CLOUDNATIVEPG])
async def test_passwords_stay(chart, cluster, values):
    """An upgrade with the same values renders the passwords of the installation, though they are random."""
    first = await looking(chart, cluster, values)
    place(cluster, first.of("Secret").values())
    second = await looking(chart, cluster, values, revision=2)
    assert passwords(second) == passwords(first)
    assert passwords(chart.render(values)) != passwords(first)


async def test_a_volume_that_stays_meets_the_password_it_knows(chart, cluster):
    """The Secret of the bundled PostgreSQL's superuser survives a release like the volume, unchanged."""
    first = await looking(chart, cluster)
    admin = first.of("Secret")["demo-taskbell-database-admin"]
    assert admin["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    place(cluster, [admin])
    for values in ({}, {"database": {"password": "another"}}):
        again = await looking(chart, cluster, values)
        assert passwords(again)["demo-taskbell-database-admin"] == admin["stringData"]
        assert passwords(again)["demo-taskbell-database-api"] != passwords(first)["demo-taskbell-database-api"]


async def test_a_secret_without_a_password_is_no_obstacle(chart, cluster):
    """After a change from external stores, whose Secrets hold only addresses, passwords are generated."""
    metadata = {"namespace": "tasks", "labels": {}}
    place(
        cluster,
        [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {**metadata, "name": name}, "stringData": {"url": "x"}}
            for name in ("demo-taskbell-nats", "demo-taskbell-database-api")
        ],
    )
    made = passwords(await looking(chart, cluster, revision=2))
    assert len(made["demo-taskbell-nats"]["password"]) == len(made["demo-taskbell-database-api"]["password"]) == 40


def test_given_passwords_render_the_same_everywhere(chart):
    """Without access to the cluster (GitOps), given passwords make all renderings identical."""
    values = {"database": {"password": "p@ss w/rd"}, "nats": {"password": "2026-01-01"}}
    assert chart.render(values).objects == chart.render(values).objects
    for secret in passwords(chart.render(values)).values():
        if "password" in secret:
            assert secret["password"].isalnum()
            assert secret["password"][0].isalpha()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({}, {}, True),
        ({}, {"api": {"replicas": 5}}, True),
        ({}, {"image": {"tag": "0.2.0"}}, False),
        ({}, {"migrations": {"nodeSelector": {"pool": "jobs"}}}, False),
    ],
)
def test_a_job_that_does_something_else_is_another_job(chart, first, second, same):
    """Tools without revisions render each one as the first: a Job's spec is immutable, so its name depends on it."""
    names = [set(chart.render(values).of("Job")) for values in (first, second)]
    assert (names[0] == names[1]) is same


@pytest.fixture
def newer(chart, tmp_path):
    """The chart with the next version and no other change."""
    folder = tmp_path / "taskbell"
    shutil.copytree(CHART, folder)
    head = folder / "Chart.yaml"
    head.write_text(head.read_text().replace("0.1.0", "0.2.0"))
    found = type(chart)(folder)
    with contextlib.closing(found.loaded):
        yield found


def test_a_new_version_does_not_restart_the_bundled_stores(chart, newer):
    """A new version replaces the pods of programs; those of PostgreSQL and NATS change only with their values."""
    given = {"database": {"password": "x"}, "nats": {"password": "x"}}
    old, new = chart.render(given), newer.render(given)
    assert old.of("Deployment")["demo-taskbell-api"] != new.of("Deployment")["demo-taskbell-api"]
    for name, store in old.of("StatefulSet").items():
        assert new.of("StatefulSet")[name]["spec"] == store["spec"], name


def test_what_cannot_change_depends_on_no_version(chart, newer):
    """Selectors and claims, which are immutable in Kubernetes, are the same in the next version."""
    old, new = chart.render(), newer.render()
    for kind in ("Deployment", "StatefulSet"):
        for name, workload in old.of(kind).items():
            later = new.of(kind)[name]["spec"]
            assert later["selector"] == workload["spec"]["selector"], name
            assert later.get("serviceName") == workload["spec"].get("serviceName"), name
            assert later.get("volumeClaimTemplates") == workload["spec"].get("volumeClaimTemplates"), name


@pytest.mark.parametrize(
    ("values", "follow"),
    [
        ({"nats": {"password": "other"}}, {"api", "relay", "gateway", "delivery", "operator", "nats"}),
        ({"delivery": {"smtp": {"url": "smtps://mail.example"}}}, {"api", "relay", "gateway", "delivery", "operator"}),
        ({"database": {"password": "x", "storage": {"className": "fast"}}}, set()),
        ({"api": {"settings": {"TASKBELL_MAX_PAGE_SIZE": 50}}}, {"api"}),
    ],
)
def test_pods_follow_the_values_they_read(chart, values, follow):
    """A changed password, address or setting restarts the pods that read it; a changed volume restarts none."""
    given = {"database": {"password": "x"}, "nats": {"password": "x"}}

    def templates(more):
        rendered = chart.render(given | more)
        return {
            name.removeprefix("demo-taskbell-"): found["spec"]["template"]
            for kind in ("Deployment", "StatefulSet")
            for name, found in rendered.of(kind).items()
        }

    before, after = templates({}), templates(values)
    assert {name for name in before if before[name] != after[name]} == follow


def define(cluster, **marks):
    """Put the definitions into the cluster with annotations of another version."""
    kind = cluster.kind("customresourcedefinitions")
    for found in manifests():
        found["metadata"]["annotations"] = {f"taskbell.dev/{name}": value for name, value in marks.items()}
        cluster.store.create(kind, "", found, manager="helm")
        cluster.install(found)


def _jobs(rendered):
    return [job for name, job in rendered.of("Job").items() if name.endswith("-definitions")]


@pytest.mark.feature("K5")
@pytest.mark.parametrize(
    ("marks", "brought"),
    [
        ({}, True),  # of a former chart
        ({"digest": "other", "version": "0.0.9"}, True),
        ({"digest": "other", "version": "0.1.0"}, True),
        ({"digest": "other", "version": "0.1.1"}, False),
        ({"digest": "other", "version": "0.2.0-rc.1"}, False),
    ],
)
async def test_older_definitions_are_brought_up_to_date_and_newer_ones_stay(chart, cluster, marks, brought):
    """The Job is there only where a definition is another one and not newer, and if the values want it."""
    assert _jobs(await looking(chart, cluster)) == []
    define(cluster, **marks)
    for revision in (1, 2):
        assert bool(_jobs(await looking(chart, cluster, revision=revision))) is brought
    assert _jobs(await looking(chart, cluster, {"crds": {"install": False}}, revision=2)) == []


@pytest.mark.feature("K5", "K7")
async def test_the_job_of_the_definitions_has_narrow_rights_and_an_ordinary_pod(chart, cluster):
    """Kubernetes accepts its objects; it may change these definitions alone, and reaches the API server alone."""
    define(cluster)
    rendered = await looking(chart, cluster, revision=2)
    added = [thing for thing in rendered.objects if thing["metadata"]["name"].endswith("-definitions")]
    by_kind = {thing["kind"]: thing for thing in added}
    assert set(by_kind) == {
        *("ServiceAccount", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "NetworkPolicy", "Job"),
    }
    for thing in added:
        assert thing["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        kubernetes_validate.validate(thing, "1.30", strict=True)
    names = sorted(found["metadata"]["name"] for found in manifests())
    assert by_kind["ClusterRole"]["rules"] == [
        {
            "apiGroups": ["apiextensions.k8s.io"],
            "resources": ["customresourcedefinitions"],
            "resourceNames": names,
            "verbs": ["get", "patch"],
        }
    ]
    pod = by_kind["Job"]["spec"]["template"]
    operator = rendered.one("Deployment", "-operator")["spec"]["template"]["spec"]
    assert pod["spec"]["securityContext"] == operator["securityContext"]
    assert pod["spec"]["containers"][0]["securityContext"] == operator["containers"][0]["securityContext"]
    policies = rendered.of("NetworkPolicy")
    policy = policies["demo-taskbell-definitions"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 6443}
    assert "ingress" not in policy


def test_cloudnativepg_knows_the_owner_by_our_secret(chart):
    """The Cluster names a Secret: without one, CloudNativePG resets the owner's password at every failover."""
    rendered = chart.render(CLOUDNATIVEPG)
    first = rendered.one("Cluster", "-database")["spec"]["bootstrap"]["initdb"]
    secret = rendered.of("Secret")[first["secret"]["name"]]["stringData"]
    assert secret["username"] == first["owner"]
    assert f"{secret['username']}:{secret['password']}@" in secret["url"]


def test_releases_share_no_name(chart):
    """Two releases in one namespace, or one in each of two, share nothing."""
    first, second = (chart.render(name=name) for name in ("tasks", "trial"))
    names = [{(thing["kind"], thing["metadata"]["name"]) for thing in rendered.objects} for rendered in (first, second)]
    assert not names[0] & names[1]
    assert all("namespace" in thing["metadata"] for thing in first.objects)
    for kind in ("Deployment", "StatefulSet"):
        for found in first.of(kind).values():
            assert found["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "tasks"


async def test_the_users_of_nats_are_added_and_those_that_are_there_keep_their_passwords(chart, cluster):
    """A release that had one user for all keeps it, so that its pods can connect until the last of them is replaced."""
    first = await looking(chart, cluster)
    old = first.of("Secret")["demo-taskbell-nats"]
    place(cluster, [old])
    second = await looking(chart, cluster, revision=2)
    made = passwords(second)
    assert made["demo-taskbell-nats"] == old["stringData"]
    users = {f"demo-taskbell-nats-{program}": user_of(program) for program in Program}
    assert len({made[name]["password"] for name in [*users, "demo-taskbell-nats"]}) == len(Program) + 1
    for name, user in users.items():
        assert made[name]["url"] == f"nats://{user}:{made[name]['password']}@demo-taskbell-nats:4222"
        assert re.fullmatch("[A-Za-z]{40}", made[name]["password"])
