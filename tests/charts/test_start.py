"""The rendered containers start and work: commands, environments, probes, sweeps, and every query of the monitoring."""

import asyncio
import contextlib
import shutil
import socket

import httpx
import pytest
import pytest_asyncio

from busy_user import busy
from chart_processes import started
from scraping import panels, rules, scraping, variables
from taskbell.store import roles
from taskbell.testing.waiting import eventually
from webhook_receiver import Receiver

# Every program starts at once, and once for all tests with stores of one's own.
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("chart"),
]

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

    wanted = len(stack.rendered.of("ReminderSchedule"))
    return await eventually(jobs, "the CronJobs", wanted=lambda found: len(found) == wanted)


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
    """Keep every part a little busy until cancelled, with a webhook that says yes."""
    receiver = Receiver()
    await receiver.start()
    try:
        api, gateway = stack.local("http://demo-taskbell-api:8000"), stack.local("ws://demo-taskbell-gateway:8001/ws")
        await busy(api, gateway, webhook=receiver.url)
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


def _jobs(stack):
    """What Prometheus scrapes of the running platform, with the labels that the ServiceMonitors give."""
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
    return jobs


@needs_prometheus
@pytest.mark.feature("K14", "K9", "M47")
async def test_every_query_finds_data(stack, schedules, pools, tmp_path):
    """Prometheus scrapes the running platform: every panel, variable and rule has data, and no alert fires."""
    place = {"namespace": "tasks", "release": "demo"}
    queries = dict(panels(with_data=True, **place)) | dict(rules())
    # A healthy platform never rebuilds the stream, and this one has no replica; another test checks their metrics.
    del queries["TaskbellStreamRebuilt"], queries["TaskbellReplicaUnused"]
    async with (
        scraping(tmp_path, _jobs(stack), every="500ms") as prometheus,
        _sweeping(stack, schedules),
        asyncio.TaskGroup() as group,
    ):
        traffic = group.create_task(_traffic(stack))
        assert await prometheus.without_data(queries, within=240) == {}
        for _, query in panels(with_data=False, **place):
            await prometheus.has_data(query)  # that it is understood suffices
        for series, label in variables(namespace="tasks"):
            assert await prometheus.values(series, label) == [place[label]], series
        assert await prometheus.firing() == []
        traffic.cancel()
