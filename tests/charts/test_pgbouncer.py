"""PgBouncer as the chart renders it: who goes through it, who does not, and that it works before a real PostgreSQL."""

import asyncio
import os
import signal

import asyncpg
import pytest
from pydantic import SecretStr

import poolers
from chart_processes import Started
from taskbell.kit.postgres.settings import PooledSettings
from taskbell.kit.postgres.urls import through
from taskbell.local.embedded.process import launched, ordinary_identity
from taskbell.store import roles
from taskbell.store.pooler import POOLED
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("M41")

ON = {"pgbouncer": {"enabled": True}}
PASSWORDS = {"database": {"password": "x"}, "nats": {"password": "x"}}
ADDRESS = "demo-taskbell-pgbouncer:6432"


def pooled(rendered):
    """The address of the pooler as each program and sweep is told it."""
    told = {}
    for name, container in rendered.containers():
        values = {entry["name"]: entry.get("value") for entry in container.get("env", [])}
        if "TASKBELL_DATABASE_URL" in values:
            told[name.partition("/")[2].removeprefix("demo-taskbell-")] = values.get("TASKBELL_DATABASE_POOLER")
    for name, schedule in rendered.of("ReminderSchedule").items():
        values = {entry["name"]: entry.get("value") for entry in schedule["spec"]["pod"]["env"]}
        told[name.removeprefix("demo-taskbell-")] = values.get("TASKBELL_DATABASE_POOLER")
    return told


def test_four_programs_go_through_it_and_the_others_directly(chart):
    """API, gateway, delivery and sweeps are told of it; relay, migrations, maintenance and init containers are not."""
    told = pooled(chart.render(ON))
    through_it = {name for name, address in told.items() if address == ADDRESS}
    assert through_it == {"api/api", "gateway/gateway", "delivery/delivery", "due", "overdue", "stale", "digest"}
    assert {address for name, address in told.items() if name not in through_it} == {None}
    assert {"relay/relay", "maintenance"} <= set(told)


def test_programs_take_the_address_that_they_are_told():
    """The setting accepts the chart's address, and leads the URL of a role through it."""
    way = PooledSettings(database_pooler=ADDRESS).way_to(SecretStr("postgresql://taskbell_api:x@db.example/taskbell"))
    assert way == f"postgresql://taskbell_api:x@{ADDRESS}/taskbell?sslmode=disable"


def test_without_it_nothing_changes(chart):
    """By default there is no trace of it; with it the other objects are the same but for their way to the database."""
    off, on = chart.render(PASSWORDS), chart.render(PASSWORDS | ON)
    assert "pgbouncer" not in str(off.objects)
    before = {(thing["kind"], thing["metadata"]["name"]): thing for thing in off.objects}
    after = {(thing["kind"], thing["metadata"]["name"]): thing for thing in on.objects}
    added = {kind for kind, name in set(after) - set(before)}
    assert added == {
        *("ConfigMap", "Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"),
    }
    changed = {each for each in before if before[each] != after[each]}
    kinds = {"Deployment": ("api", "gateway", "delivery"), "ReminderSchedule": ("due", "overdue", "stale", "digest")}
    kinds["NetworkPolicy"] = ("api", "gateway", "delivery", "sweeper")
    assert changed == {(kind, f"demo-taskbell-{name}") for kind, names in kinds.items() for name in names}
    relay = before["Deployment", "demo-taskbell-relay"]
    assert relay == after["Deployment", "demo-taskbell-relay"]


def test_only_its_clients_reach_it(chart):
    """Its policy admits the four programs alone, each of them may go there, and it reaches the database alone."""
    rendered = chart.render(ON)
    policies = rendered.of("NetworkPolicy")
    own = policies["demo-taskbell-pgbouncer"]["spec"]
    (rule,) = own["ingress"]
    selectors = [peer["podSelector"] for peer in rule["from"]]
    components = {each["matchLabels"]["app.kubernetes.io/component"] for each in selectors if "matchLabels" in each}
    assert components == {"api", "gateway", "delivery"}
    assert policies["demo-taskbell-sweeper"]["spec"]["podSelector"] in selectors
    assert [port["port"] for rule in own["egress"] for port in rule["ports"]] == [5432]
    for name, policy in policies.items():
        ports = {port["port"] for rule in policy["spec"].get("egress", []) for port in rule.get("ports", [])}
        clients = ("-api", "-gateway", "-delivery", "-sweeper")
        assert (6432 in ports) == name.endswith(clients), name


def test_no_password_is_outside_secrets(chart):
    """The ConfigMap holds sizes and paths; users come from the Secrets that the programs have, whoever made them."""
    rendered = chart.render(ON)
    text = rendered.one("ConfigMap", "-pgbouncer")["data"]["pgbouncer.ini"]
    for role in roles.ROLES:
        secret = rendered.of("Secret")[f"demo-taskbell-database-{role.removeprefix('taskbell_')}"]
        assert secret["stringData"]["password"] not in text
    external = {"database": {"mode": "external", "external": {"existingSecret": "urls"}}}
    pod = chart.render(ON | external).one("Deployment", "-pgbouncer")["spec"]["template"]["spec"]
    refs = [entry["valueFrom"]["secretKeyRef"] for entry in pod["initContainers"][0]["env"] if "valueFrom" in entry]
    assert refs == [{"name": "urls", "key": key} for key in ("api", "gateway", "sweeper", "delivery")]


def test_its_pods_follow_what_they_read_once(chart):
    """Another size or password restarts them; anything else does not."""

    def template(values):
        return chart.render(PASSWORDS | values).one("Deployment", "-pgbouncer")["spec"]["template"]

    assert template(ON) != template({"pgbouncer": {"enabled": True, "poolSize": 7}})
    assert template(ON) != template(ON | {"database": {"password": "other"}})
    assert template(ON) == template(ON | {"api": {"replicas": 5}})


class Pod:
    """PgBouncer's pod as a process of this machine, with the rendered files."""

    def __init__(self, started, folder):
        self.folder = folder
        self.started = started
        self.rendered = started.rendered
        self.port = started.ports[ADDRESS]
        self.spec = self.rendered.one("Deployment", "-pgbouncer")["spec"]["template"]["spec"]

    async def start(self, path):
        """Run the first container, then PgBouncer with the rendered configuration; return its process."""
        (users,) = self.spec["initContainers"]
        line = [word.replace("/run/pgbouncer", str(self.folder)) for word in users["command"]]
        await self.started.run({**users, "command": line}, of="Deployment/pgbouncer")
        text = self.rendered.one("ConfigMap", "-pgbouncer")["data"]["pgbouncer.ini"]
        assert "listen_port = 6432\n" in text
        text = text.replace("6432", str(self.port)).replace("/run/pgbouncer", str(self.folder))
        (self.folder / "pgbouncer.ini").write_text(text)
        if identity := ordinary_identity(self.folder):
            for each in (self.folder, *self.folder.iterdir()):
                await asyncio.to_thread(os.chown, each, identity.uid, identity.gid)
        (container,) = self.spec["containers"]
        assert container["command"] == ["pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]
        line = launched([path, str(self.folder / "pgbouncer.ini")], identity=ordinary_identity(self.folder))
        with (self.folder.parent / "pgbouncer.log").open("wb") as log:
            return await asyncio.create_subprocess_exec(*line, stderr=log)


@pytest.fixture
async def pod(chart, database, servers, tmp_path_factory):
    """The pod with an external database, whose URLs the values name."""
    path, reason = poolers.program()
    if path is None:
        pytest.skip(reason)
    urls = {
        role.removeprefix("taskbell_"): servers.postgres_url(role, database.name) + "?sslmode=disable"
        for role in roles.ROLES
    }
    nats = {"mode": "external", "external": {"url": "nats://nats.example:4222"}}
    rendered = chart.render(ON | {"database": {"mode": "external", "external": {"urls": urls}}, "nats": nats})
    folder = tmp_path_factory.mktemp("pooler") / "run"
    folder.mkdir()
    for parent in (folder.parent, folder.parent.parent):
        parent.chmod(0o755)  # it runs as an ordinary user
    made = Pod(Started(rendered, folder.parent), folder)
    made.urls = urls
    made.process = await made.start(path)
    yield made
    if made.process.returncode is None:
        made.process.kill()
        await made.process.wait()


async def test_the_rendered_pooler_serves_each_role_and_ends_after_their_statements(pod):
    """Each role logs in with its own password and no other role does; the preStop's signal waits for a transaction."""
    way = {role: through(pod.urls[role.removeprefix("taskbell_")], f"127.0.0.1:{pod.port}") for role in roles.ROLES}

    async def opened(role):
        assert pod.process.returncode is None, (pod.folder.parent / "pgbouncer.log").read_text()
        try:
            return await asyncpg.connect(way[role])
        except OSError:
            return None

    sessions = [await eventually(lambda role=role: opened(role), f"{role} connects") for role in POOLED]
    assert [await each.fetchval("SELECT current_user") for each in sessions] == list(POOLED)
    assert {await each.fetchval("SHOW plan_cache_mode") for each in sessions} == {"force_generic_plan"}
    for role in (roles.RELAY, roles.OWNER):
        with pytest.raises(asyncpg.PostgresError):
            await asyncpg.connect(way[role])
    (hook,) = [each["lifecycle"]["preStop"]["exec"]["command"] for each in pod.spec["containers"]]
    assert "kill -INT 1" in hook[-1]
    async with sessions[0].transaction():
        assert await sessions[0].fetchval("SELECT 1") == 1
        pod.process.send_signal(signal.SIGINT)
        assert await sessions[0].fetchval("SELECT 2") == 2
    assert await pod.process.wait() == 0
    for each in sessions:
        each.terminate()
