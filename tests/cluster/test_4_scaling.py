"""Load that makes the operator change the number of pods, and the way back."""

import json
import math
import re

import pytest

from real_cluster.tools import ROOT, until

BACKLOG, PER_REPLICA, MOST = 100_000, 20_000, 10
SOCKETS, PER_GATEWAY = 3_000, 1_250
WAY_BACK = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}}}}
"""The default window is five minutes, which a test need not wait for."""
_SIZED = re.compile(r"from (\d+) to (\d+) pods: (\w+) = (\d+) asks for (\d+)")
_EVENTS = """
INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data)
SELECT workspace_id, 'task.updated', id, created_by, ARRAY[created_by], taskbell.task_document(tasks)
FROM (SELECT * FROM tasks ORDER BY created_at DESC LIMIT 100) tasks, generate_series(1, {count})
LIMIT {count}
"""


def decisions(release, pool):
    """What the events of a pool tell of each change of size: from, to, value, asked for."""
    found = release.kubectl.items(
        "events", f"--field-selector=involvedObject.name={pool},involvedObject.kind=WorkerPool"
    )
    found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    matches = [_SIZED.search(event["message"]) for event in found]
    return [tuple(map(int, match.group(1, 2, 4, 5))) for match in matches if match]


def size(release, part):
    """How many pods a part's Deployment wants."""
    return release.kubectl.get("deployment", release.deployment(part))["spec"]["replicas"]


def connections(release):
    """The open connections of each gateway, as it tells them itself."""
    asking = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8001/metrics').read().decode())"
    told = [release.kubectl("exec", pod, "--", "python", "-c", asking) for pod in release.pods("gateway")]
    return [int(float(re.search(r"^taskbell_gateway_connections (\S+)", text, re.MULTILINE).group(1))) for text in told]


def shorten_the_way_back(release, part):
    """Let a pool shrink soon after it needs fewer pods."""
    pool = release.deployment(part)
    release.kubectl("patch", "workerpool", pool, "--type=merge", f"--patch={json.dumps(WAY_BACK)}")


@pytest.mark.feature("K6")
def test_a_backlog_of_100000_scales_delivery_and_back(busy, report):
    """100,000 events that nobody took make the pool as large as it computes; when all are taken, it is as before."""
    pool = busy.deployment("delivery")
    busy.upgrade(
        *("--set", "delivery.pool.enabled=true", "--set", "delivery.pool.min=1", "--set", f"delivery.pool.max={MOST}"),
        *("--set", f"delivery.pool.backlogPerReplica={PER_REPLICA}"),
    )
    shorten_the_way_back(busy, "delivery")
    until(lambda: size(busy, "delivery") == 1, "the pool is at its minimum", within=400)
    busy.settle()
    with busy.users.doing("load", 30):
        pass  # some tasks to make events of
    before = len(decisions(busy, pool))
    for part in ("operator", "delivery"):
        busy.kubectl("scale", f"deployment/{busy.deployment(part)}", "--replicas=0")
    busy.settle()
    report.begin()
    database = (f"{busy.deployment('postgresql')}-0", "--", "psql", "--username=postgres", "--dbname=taskbell")
    busy.kubectl("exec", *database, "--command", _EVENTS.format(count=BACKLOG), within=300)
    behind = ("--tuples-only", "--command", (ROOT / "loadtests" / "queries" / "relay_is_behind.sql").read_text())
    until(lambda: busy.kubectl("exec", *database, *behind).strip() == "f", "all are published", within=300, pause=2)
    report.line("events that nobody takes", events=BACKLOG)
    busy.kubectl("scale", f"deployment/{busy.deployment('operator')}", "--replicas=1")
    until(lambda: len(decisions(busy, pool)) > before, "the backlog is seen", within=180)
    made = decisions(busy, pool)[before:]
    report.line("delivery grows", decisions="; ".join(f"{old} to {new} for {value}" for old, new, value, _ in made))
    assert max(value for _, _, value, _ in made) >= BACKLOG
    for old, new, value, asked in made:
        assert asked >= math.ceil(value / PER_REPLICA)
        if new > old:
            assert new == min(asked, max(old * 2, old + 4), MOST)
    until(lambda: size(busy, "delivery") == 1, "the pool is at its minimum again", within=600, pause=2)
    busy.settle()
    report.line("delivery is back", pods=size(busy, "delivery"))


@pytest.mark.feature("K3", "K6")
def test_3000_sockets_scale_gateways_and_back(busy, report):
    """Open connections make the pool of gateways grow, and their greatest age gives the new ones a share.

    When most close, the pool shrinks, the gateways that go drain, and who stays misses no event.
    """
    bounds = ("--set", "gateway.pool.min=2", "--set", "gateway.pool.max=5")
    busy.upgrade(
        *("--set", "gateway.pool.enabled=true", *bounds),
        *("--set", f"gateway.pool.connectionsPerReplica={PER_GATEWAY}"),
        *("--set", "gateway.settings.TASKBELL_GATEWAY_MAX_CONNECTION_AGE=PT1M"),
    )
    shorten_the_way_back(busy, "gateway")
    until(lambda: size(busy, "gateway") == 2, "the pool is at its minimum", within=400)
    busy.settle()
    report.begin()
    pool = busy.deployment("gateway")
    with busy.users.doing("sockets", SOCKETS, within=900) as result:
        wanted = math.ceil(SOCKETS / (PER_GATEWAY * 0.8))
        until(lambda: size(busy, "gateway") >= wanted, f"{wanted} gateways are wanted", within=240)
        made = decisions(busy, pool)
        report.line(f"{SOCKETS} sockets", decisions="; ".join(f"{old} to {new} for {n}" for old, new, n, _ in made))
        busy.settle()
        until(lambda: min(connections(busy)) > SOCKETS / wanted / 4, "new gateways get a share", within=240, pause=5)
        report.line("connections of each gateway", shares=connections(busy))
        result.go_on()
        until(lambda: size(busy, "gateway") == 2, "the pool is at its minimum again", within=400, pause=2)
        busy.settle()
    report.line(
        "gateways are back",
        ticks=result["created"],
        lost=result["lost"],
        double=result["double"],
        reconnects=result["reconnects"],
    )
    assert result["reconnects"] > 0
    assert (result["lost"], result["double"], result["gaps"], result["failures"]) == (0, 0, 0, [])
