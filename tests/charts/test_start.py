"""The rendered containers start and work: commands, environments, probes, sweeps, and every query of the monitoring."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml

from chart_processes import started
from taskbell.local.embedded.process import free_port
from taskbell.store import roles
from taskbell.testing.listener import Listener
from taskbell.testing.waiting import eventually
from webhook_receiver import Receiver

# Every program starts at once, and once for all tests with stores of one's own.
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("chart"),
]

FILES = Path(__file__).parents[2] / "charts" / "taskbell" / "files"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FILES / "dashboards").glob("*.json"))}
RULES = [rule for group in yaml.safe_load((FILES / "rules.yaml").read_text())["groups"] for rule in group["rules"]]

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="Prometheus is not installed (Debian: apt-get install prometheus)",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(chart, fresh_database, servers, tmp_path_factory):
    """All programs of the chart, run from the rendered Job and Deployments with a real PostgreSQL and NATS."""
    async with fresh_database(template="template0") as database:
        urls = {
            role.removeprefix("taskbell_"): database.owner_url.replace(roles.OWNER, role, 1) + "?sslmode=prefer"
            for role in roles.ROLES
        }
        external = {"urls": urls, "admin": {"url": database.superuser_url}}
        values = {
            "database": {"mode": "external", "external": external},
            "nats": {"mode": "external", "external": {"url": servers.nats_url("chart")}},
            "ipv6": socket.has_dualstack_ipv6(),
            "api": {"settings": {"TASKBELL_WEBHOOK_ALLOW_HTTP": "true"}},
            "delivery": {"settings": {"TASKBELL_WEBHOOK_ALLOW_PRIVATE": "true"}, "pool": {"enabled": True}},
        }
        async with started(chart, tmp_path_factory.mktemp("stack"), values) as running:
            yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def schedules(stack):
    """The CronJobs that the operator made from the chart's ReminderSchedules, by their names."""
    store, kind = stack.cluster.store, stack.cluster.kind("cronjobs")
    for thing in stack.rendered.of("ReminderSchedule").values():
        store.create(stack.cluster.kind("reminderschedules"), "tasks", thing, manager="helm")
    await stack.cluster.wake()

    def jobs():
        return {found["metadata"]["name"]: found for found in store.all(kind, "tasks")}

    return await eventually(jobs, "both CronJobs", wanted=lambda found: len(found) == 2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pools(stack):
    """The operator sizes the chart's WorkerPools: they and the Deployments that they scale exist."""
    for kind, plural in (("Deployment", "deployments"), ("WorkerPool", "workerpools")):
        for thing in stack.rendered.of(kind).values():
            stack.cluster.store.create(stack.cluster.kind(plural), "tasks", thing, manager="helm")
    await stack.cluster.wake()


@pytest_asyncio.fixture(loop_scope="module")
async def bundled_stack(chart, tmp_path):
    """The chart with its defaults, running, with the bundled PostgreSQL and NATS."""
    async with started(chart, tmp_path, {}) as running:
        yield running


async def _register(stack):
    address = stack.local("http://demo-taskbell-api:8000")
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        person = {"email": "ada@example.org", "password": "correct horse battery", "name": "Ada"}
        made = await client.post("/v1/auth/register", json=person)
        assert made.status_code == httpx.codes.CREATED, made.text


@pytest.mark.feature("K7")
async def test_the_defaults_work_whole(bundled_stack):
    """With signing keys as the only value, every rendered container runs, and a user can register."""
    test = bundled_stack.rendered.one("Pod", "-test")
    said = await bundled_stack.run(test["spec"]["containers"][0], of="Pod/demo-taskbell-test")
    assert said.count("/readyz 200") == len(bundled_stack.rendered.of("Deployment"))
    assert bundled_stack.ran == {name for name, _ in bundled_stack.rendered.containers()}
    await _register(bundled_stack)


@pytest.mark.feature("K7", "K5", "T12")
async def test_stores_of_ones_own_work_and_the_operator_keeps_the_sweeps(stack, schedules):
    """It works with external stores too, and the operator's CronJob of each ReminderSchedule succeeds."""
    await _register(stack)
    # A revision without schema changes runs the Job's containers too, while everything serves.
    await stack.migrate()
    assert stack.ran >= {name for name, _ in stack.rendered.containers() if not name.startswith("Pod/")}
    assert set(schedules) == set(stack.rendered.of("ReminderSchedule"))
    selector = stack.rendered.one("NetworkPolicy", "-sweeper")["spec"]["podSelector"]["matchExpressions"][0]
    for name, cron_job in schedules.items():
        pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]
        assert selector["operator"] == "Exists"
        assert selector["key"] in pod["metadata"]["labels"]
        assert pod["spec"]["serviceAccountName"] in stack.rendered.of("ServiceAccount")
        (container,) = pod["spec"]["containers"]
        at_once = [word for word in container["args"] if word not in {"--until", "+60s"}]
        await stack.run({**container, "args": at_once}, of=f"CronJob/{name}")


async def _traffic(stack):
    """Sign up, listen, and until cancelled create tasks that fire a reminder at once, for a webhook that says yes."""
    address = stack.local("http://demo-taskbell-api:8000")
    socket = stack.local("ws://demo-taskbell-gateway:8001/ws")
    person = {"email": "grace@example.org", "password": "correct horse battery"}
    receiver = Receiver()
    await receiver.start()
    try:
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            (await client.post("/v1/auth/register", json={**person, "name": "Ada"})).raise_for_status()
            token = (await client.post("/v1/auth/login", json=person)).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            (await client.post("/v1/webhooks", json={"url": receiver.url})).raise_for_status()
            async with Listener(socket, token=token) as listener:
                while True:
                    soon = datetime.now(UTC) + timedelta(minutes=30)
                    made = await client.post("/v1/tasks", json={"title": "t", "due_at": soon.isoformat()})
                    if made.status_code != httpx.codes.TOO_MANY_REQUESTS:
                        made.raise_for_status()
                    assert listener is not None
                    await asyncio.sleep(0.7)
    finally:
        await receiver.stop()


@contextlib.asynccontextmanager
async def _sweeping(stack, schedules):
    """Run the sweep of the CronJob that the operator made from the ReminderSchedule."""
    (due,) = [found["spec"] for name, found in schedules.items() if name.endswith("-due")]
    (container,) = due["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    process = await asyncio.create_subprocess_exec(
        *stack.command(container), env=stack.environment(container), cwd=stack.folder, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _scraping(stack):
    """Prometheus' configuration for the running platform, with the labels that the ServiceMonitors give."""
    jobs = []
    for name, service in stack.rendered.of("Service").items():
        component = service["metadata"]["labels"]["app.kubernetes.io/component"]
        port = stack.ports[f"{name}:{service['spec']['ports'][0]['port']}"]
        labels = {
            "platform": "taskbell",
            "component": component,
            "release": "demo",
            "namespace": "tasks",
            "pod": f"{name}-0",
        }
        targets = [{"targets": [f"127.0.0.1:{port}"], "labels": labels}]
        jobs.append({"job_name": name, "static_configs": targets})
    return {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": jobs,
    }


def _panels(*, with_data):
    """Every query of a panel that has data while all is well, or of those that need not; as Grafana sends them."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            if panel["type"] == "row" or ("noValue" in panel["fieldConfig"]["defaults"]) is with_data:
                continue
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", "60s")
                chosen = query.replace("$namespace", "tasks").replace("$release", "demo")
                yield f"{name}: {panel['title']}: {target.get('legendFormat')}", chosen


def _variables():
    """Every query of a variable: the series that it looks at, and the label whose values it offers."""
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                yield found[1].replace("$namespace", "tasks"), found[2]


def _without_threshold(query):
    """An alert's expression without its comparisons and its check for absence, so that it always has data."""
    query = re.sub(r"^absent\((.*)\)$", r"\1", query).replace(" unless ", " and ")
    return re.sub(r" (?:>|<|==) [0-9.]+(?: \* [0-9.]+)?", "", query)


@needs_prometheus
@pytest.mark.feature("K14", "K9", "M47")
async def test_every_query_finds_data(stack, schedules, pools, tmp_path):
    """Prometheus scrapes the running platform: every panel, variable and rule has data, and no alert fires."""
    shutil.copy(FILES / "rules.yaml", tmp_path / "rules.yaml")
    rules = (tmp_path / "rules.yaml").read_text().replace("interval: 30s", "interval: 1s")
    (tmp_path / "rules.yaml").write_text(rules)
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(_scraping(stack)))
    port = free_port()
    with (tmp_path / "prometheus.log").open("wb") as log:
        prometheus = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={tmp_path / 'prometheus.yaml'}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    queries = dict(_panels(with_data=True))
    queries |= {rule.get("alert") or rule["record"]: _without_threshold(rule["expr"]) for rule in RULES}
    # A healthy platform never rebuilds the stream; another test checks that the metric exists.
    del queries["TaskbellStreamRebuilt"]
    try:
        async with (
            _sweeping(stack, schedules),
            asyncio.TaskGroup() as group,
            httpx.AsyncClient(trust_env=False, timeout=10) as client,
        ):
            traffic = group.create_task(_traffic(stack))
            missing = dict(queries)
            async with asyncio.timeout(240):
                while missing:
                    await asyncio.sleep(1)
                    missing = {name: query for name, query in missing.items() if not await _data(client, port, query)}
            for _, query in _panels(with_data=False):
                await _data(client, port, query)  # that it is understood suffices
            for series, label in _variables():
                offered = await client.get(
                    f"http://127.0.0.1:{port}/api/v1/label/{label}/values", params={"match[]": series}
                )
                assert offered.json()["data"] == [{"namespace": "tasks", "release": "demo"}[label]], series
            alerts = await client.get(f"http://127.0.0.1:{port}/api/v1/alerts")
            traffic.cancel()
    except* TimeoutError:
        pytest.fail(f"no data for {missing}")
    finally:
        prometheus.terminate()
        await prometheus.wait()
    firing = [found for found in alerts.json()["data"]["alerts"] if found["state"] == "firing"]
    assert firing == []


async def _data(client, port, query):
    """Whether a query has a number for an answer."""
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return False  # it is still starting
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return False
    assert answer.status_code == httpx.codes.OK, answer.text
    return any(found["value"][1] != "NaN" for found in answer.json()["data"]["result"])
