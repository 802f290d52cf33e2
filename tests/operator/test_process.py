"""The operator as the process that a container starts."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys

import httpx
import pytest

from kubernetes_emulator.client import ApiServer
from kubernetes_emulator.control_plane import kubeconfig
from kubernetes_emulator.proxy import Fault, Proxy
from taskbell.local.embedded.process import free_port
from taskbell.operator import permissions
from taskbell.testing.waiting import eventually

LEASES, ROLES = "coordination.k8s.io/v1", "rbac.authorization.k8s.io/v1"


@pytest.fixture
def start(proxy, kubectl):
    """Start operator processes; kill those that still run at the end."""

    @contextlib.asynccontextmanager
    async def started(server="", **environment):
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        variables = {
            "TASKBELL_OPERATOR_IMAGE": "registry.example/taskbell-api:1",
            "TASKBELL_OPERATOR_NAMESPACE": kubectl.namespace,
            "TASKBELL_OPERATOR_WATCH_NAMESPACES": kubectl.namespace,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taskbell.operator", "--fd", str(listening.fileno())),
            *(() if "KUBECONFIG" in environment else ("--server", server or proxy.url)),
            pass_fds=[listening.fileno()],
            env=os.environ | variables | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        listening.close()
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as probes:
                yield process, probes
        except BaseException as failed:
            failed.add_note(f"The operator wrote:\n{await ended(process)}")
            raise
        finally:
            await ended(process)

    return started


async def ended(process):
    """Kill the process if it still runs; returns the end of what it wrote."""
    if process.returncode is None:
        process.kill()
    said = await process.communicate()
    return b"".join(said).decode(errors="replace")[-5000:]


async def ready(probes):
    """Wait until the process is ready."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await probes.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def test_it_starts_works_and_stops(start, place):
    """It becomes ready, keeps a schedule, serves metrics, and at SIGTERM releases its Lease and exits with status 0."""
    await place.make()
    async with start() as (process, probes):
        await ready(probes)
        await place.settled()
        assert (await probes.get("/livez")).text == "ok"
        metrics = (await probes.get("/metrics")).text
        assert "taskbell_operator_leader_ratio 1.0" in metrics
        assert 'taskbell_operator_reconciles_total{kind="ReminderSchedule",outcome="ok"}' in metrics
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await process.wait()
        assert process.returncode == 0
    lease = await place.kubectl.must("GET", place.kubectl.at("leases", "taskbell-operator", group=LEASES))
    assert lease["spec"]["holderIdentity"] == ""


async def test_it_signs_in_by_kubeconfig(start, place, proxy, account, tmp_path):
    """Without `--server` the address and the token come from the kubeconfig, for the client and for Kopf."""
    await place.make()
    (tmp_path / "config").write_text(kubeconfig(ApiServer(proxy.url, account)))
    async with start(KUBECONFIG=str(tmp_path / "config")) as (_, probes):
        await ready(probes)
        await place.settled()
    assert {call.authorization for call in proxy.calls} == {f"Bearer {account}"}


async def test_a_missing_way_to_sign_in_is_reported(start, tmp_path):
    """Outside a cluster and without a kubeconfig the process exits with a message."""
    async with start(KUBECONFIG=str(tmp_path / "absent"), HOME=str(tmp_path)) as (process, _):
        async with asyncio.timeout(30):
            _, message = await process.communicate()
    assert process.returncode == 1
    assert b"no way to sign in" in message


async def test_missing_permissions_are_named(start, kubectl, proxy, account):
    """Without a permission the process exits with status 1 and names the permission and its purpose."""
    (role,) = await kubectl.all("roles", group=ROLES)
    missing = {("cronjobs", "patch"), ("leases", "create")}
    for rule in role["rules"]:
        rule["verbs"] = [verb for verb in rule["verbs"] if (rule["resources"][0], verb) not in missing]
    await kubectl.must("PUT", kubectl.at("roles", role["metadata"]["name"], group=ROLES), role)
    leases = kubectl.at("leases", group=LEASES)

    async def in_force():
        lease = {"apiVersion": LEASES, "kind": "Lease", "metadata": {"name": "x"}, "spec": {}}
        return (await kubectl.send("POST", leases, lease, token=account, dryRun="All"))[0] == 403

    await eventually(in_force, "the role is in force")
    async with start() as (process, _):
        async with asyncio.timeout(30):
            _, message = await process.communicate()
    assert process.returncode == 1
    place = f"in namespace {kubectl.namespace}"
    assert f"patch cronjobs.batch {place} (to keep CronJobs)".encode() in message
    assert f"create leases.coordination.k8s.io {place}".encode() in message
    assert proxy.writes() == []


async def test_missing_definitions_are_waited_for(start, place, proxy):
    """Without its definitions the process is live, is not ready, names them, and works once they are there."""
    fault = Fault(method="GET", path_ends="/apis/taskbell.dev/v1alpha1", status=404, times=10_000)
    proxy.faults.append(fault)
    await place.make()
    async with start() as (process, probes):
        missing = {
            f"watch {plural}.taskbell.dev": "DefinitionMissing" for plural in ("reminderschedules", "workerpools")
        }

        async def named():
            with contextlib.suppress(httpx.TransportError):
                return missing.items() <= (await probes.get("/readyz")).json()["checks"].items()

        await eventually(named, "the missing definitions are named")
        assert (await probes.get("/readyz")).status_code == 503
        assert (await probes.get("/livez")).status_code == 200
        fault.times = 0
        await ready(probes)
        await place.settled()
        process.send_signal(signal.SIGTERM)
        _, log = await process.communicate()
    assert process.returncode == 0
    assert b"install the chart's custom resource definitions" in log


async def test_an_api_server_that_is_away_at_the_start_is_waited_for(start, place, api_server, account):
    """The process logs that it waits, is live and not ready, and works once the API server answers."""
    await place.make()
    port = free_port()
    async with start(server=f"http://127.0.0.1:{port}") as (process, probes):

        async def waits():
            with contextlib.suppress(httpx.TransportError):
                return (await probes.get("/readyz")).json()["checks"]["api_server"] == "ClusterRefused"

        await eventually(waits, "it serves probes")
        assert (await probes.get("/readyz")).status_code == 503
        assert (await probes.get("/livez")).status_code == 200
        await asyncio.sleep(1)
        assert process.returncode is None
        async with Proxy(api_server, token=account).running(port=port):
            await ready(probes)
            await place.settled()
            process.send_signal(signal.SIGTERM)
            _, log = await process.communicate()
    assert process.returncode == 0
    waiting = [record for record in map(json.loads, log.splitlines()) if record["event"] == "api_server_awaited"]
    assert waiting
    assert waiting[0]["error"].endswith(f"no connection to 127.0.0.1:{port}: connection refused")


async def test_a_second_one_stands_by_and_takes_over(start, place):
    """Of two processes one works and both are ready; when the first is killed, the second takes over."""
    await place.make()
    short = {"TASKBELL_OPERATOR_LEASE_DURATION": "PT3S"}
    async with start(**short) as (first, probes):
        await ready(probes)
        await place.settled()
        async with start(**short) as (_, standby):
            await ready(standby)
            assert "taskbell_operator_leader_ratio 0.0" in (await standby.get("/metrics")).text
            first.kill()
            await first.wait()
            await place.respecify(schedule="*/3 * * * *")
            await place.settled()
    assert [job["spec"]["schedule"] for job in (await place.cron_jobs()).values()] == ["*/3 * * * *"]


async def test_no_request_is_refused(start, place, proxy):
    """The chart's role covers every request of a working operator."""
    await place.make()
    async with start() as (_, probes):
        await ready(probes)
        await place.settled()
        await place.respecify(suspend=True)
        await place.settled()
        watched = {"reminderschedules", "workerpools", "cronjobs"}
        await eventually(lambda: watched <= {c.path.split("/")[-1] for c in proxy.calls if c.watches}, "watches")
    assert {call.path for call in proxy.calls if call.status in {401, 403}} == set()


def test_rules_are_a_roles():
    """The permissions are valid rules of a ClusterRole."""
    rules = permissions.rules(permissions.WATCHED)
    assert {
        "apiGroups": ["batch"],
        "resources": ["cronjobs"],
        "verbs": ["get", "list", "watch", "create", "patch"],
    } in rules
    assert json.loads(json.dumps(rules)) == rules
