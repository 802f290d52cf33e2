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

from taskbell.operator import permissions


@pytest.fixture
def start(server):
    """Start operators; each is killed at the end if it still runs."""

    @contextlib.asynccontextmanager
    async def started(**environment):
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        variables = {
            "TASKBELL_OPERATOR_IMAGE": "registry.example/taskbell-api:1",
            "TASKBELL_OPERATOR_NAMESPACE": "taskbell",
            "TASKBELL_OPERATOR_LEASE_DURATION": "PT3S",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taskbell.operator", "--fd", str(listening.fileno())),
            *(() if "KUBECONFIG" in environment else ("--server", server.url)),
            pass_fds=[listening.fileno()],
            env=os.environ | variables | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        listening.close()
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as probes:
                yield process, probes
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return started


async def ready(probes):
    """Wait until the process is ready."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await probes.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def test_it_starts_works_and_ends(start, place):
    """It becomes ready, keeps a schedule, tells its metrics, and at SIGTERM gives its Lease back and ends well."""
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
    lease = place.server.store.get(place.server.kind("leases"), "taskbell", "taskbell-operator")
    assert lease["spec"]["holderIdentity"] == ""


async def test_it_signs_in_by_kubeconfig(start, place, tmp_path):
    """Without `--server` the address and the token come from the kubeconfig, for the client and for Kopf."""
    await place.make()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": place.server.url}}],
        "users": [{"name": "me", "user": {"token": "secret-token"}}],
    }
    (tmp_path / "config").write_text(json.dumps(config))
    async with start(KUBECONFIG=str(tmp_path / "config")) as (_, probes):
        await ready(probes)
        await place.settled()
    assert {call.authorization for call in place.server.calls} == {"Bearer secret-token"}


async def test_no_way_to_sign_in_is_said(start, tmp_path):
    """Outside a cluster and without a kubeconfig the process ends with a sentence."""
    async with start(KUBECONFIG=str(tmp_path / "absent"), HOME=str(tmp_path)) as (process, _):
        async with asyncio.timeout(30):
            _, said = await process.communicate()
    assert process.returncode == 1
    assert b"no way to sign in" in said


async def test_missing_permissions_are_named(start, server):
    """Without a permission the process ends with status 1 and says which one it needs, for what."""
    server.denied |= {("patch", "batch", "cronjobs"), ("create", "coordination.k8s.io", "leases")}
    async with start() as (process, _):
        async with asyncio.timeout(30):
            _, said = await process.communicate()
    assert process.returncode == 1
    assert b"patch cronjobs.batch in all namespaces (to keep CronJobs)" in said
    assert b"create leases.coordination.k8s.io in namespace taskbell" in said
    assert server.writes() == []


async def test_missing_definitions_are_named(start, server):
    """Without its definitions the operator does not pretend to work."""
    del server.kinds["taskbell.dev", "workerpools"]
    async with start() as (process, _):
        async with asyncio.timeout(30):
            _, said = await process.communicate()
    assert process.returncode == 1
    assert b"workerpools.taskbell.dev" in said
    assert b"reminderschedules" not in said


async def test_a_second_one_stands_by_and_takes_over(start, place):
    """Two processes: one works, both are ready; when the first is killed the second takes over, with one CronJob."""
    await place.make()
    async with start() as (first, probes):
        await ready(probes)
        await place.settled()
        async with start() as (_, standby):
            await ready(standby)
            assert "taskbell_operator_leader_ratio 0.0" in (await standby.get("/metrics")).text
            first.kill()
            await first.wait()
            await place.respecify(schedule="*/3 * * * *")
            await place.settled()
    assert [job["spec"]["schedule"] for job in place.server.store.all(place.cron_jobs)] == ["*/3 * * * *"]


async def test_it_asks_for_no_more_than_it_does(start, place):
    """Every request of a working operator is covered by the permissions that the preflight asks for."""
    await place.make()
    async with start() as (_, probes):
        await ready(probes)
        await place.settled()
    allowed = {(p.group, p.resource, verb) for p in (*permissions.WATCHED, *permissions.OWN) for verb in p.verbs}
    verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    for call in place.server.calls:
        parts = call.path.strip("/").split("/")
        if parts[0] not in {"api", "apis"} or len(parts) <= 3 or call.path.endswith("accessreviews"):
            continue
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        rest = rest[2:] if rest[0] == "namespaces" and len(rest) > 2 else rest
        verb = verbs.get(call.method) or ("watch" if "watch" in call.query else "get" if len(rest) > 1 else "list")
        resource = "/".join([rest[0], *rest[2:]])
        assert (group, resource, verb) in allowed, call


def test_rules_are_a_roles():
    """The list of permissions as a ClusterRole's rules."""
    rules = permissions.rules(permissions.WATCHED)
    assert {
        "apiGroups": ["batch"],
        "resources": ["cronjobs"],
        "verbs": ["get", "list", "watch", "create", "patch"],
    } in rules
    assert json.loads(json.dumps(rules)) == rules
