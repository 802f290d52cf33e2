"""Measures the operator with many objects on a real API server: CPU, memory, requests, time until all are reconciled.

    KUBEBUILDER_ASSETS=... PYTHONPATH=tests/shared .venv/bin/python loadtests/operator_scale.py

It starts etcd, kube-apiserver, NATS and the operator in a temporary folder and on free ports, and touches nothing else.
There are no controllers: no CronJob runs and no Deployment gets pods, so that all requests are the operator's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nats
import psutil
from nats.js.api import ConsumerConfig

from kubernetes_emulator import control_plane
from kubernetes_emulator.client import ApiServer, Kubectl
from taskbell.contract import crds

Json = dict[str, Any]
_NAMESPACE = "scale"
_AT_ONCE = 16
_COUNTED = {
    *(one.plural for one in crds.DEFINITIONS),
    *("cronjobs", "deployments", "pods", "events", "leases", "secrets", "horizontalpodautoscalers", "scaledobjects"),
}
_LINE = re.compile(r"^apiserver_request_total\{(?P<labels>.*)\} (?P<value>\S+)$", re.MULTILINE)
_GIVE_UP = 900.0
_LOG_SHOWN = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of one run.

    Attributes:
        reconciled_s: Seconds from the start of the operator until every object was Ready.
        reconciled_cpu_s: Processor time until then.
        idle_cpu_percent: Share of a core while nothing changed.
        idle_rss_mib: Resident memory at the end.
        idle_requests_per_minute: By verb and resource.
    """

    schedules: int
    pools: int
    reconciled_s: float
    reconciled_cpu_s: float
    idle_cpu_percent: float
    idle_rss_mib: float
    idle_requests_per_minute: dict[str, float]

    def lines(self) -> Iterator[str]:
        """The figures for people."""
        yield f"{self.schedules} ReminderSchedules, {self.pools} WorkerPools"
        yield f"all reconciled after {self.reconciled_s:.1f} s, with {self.reconciled_cpu_s:.1f} s of CPU time"
        yield f"idle: {self.idle_cpu_percent:.1f} % of a core, {self.idle_rss_mib:.0f} MiB"
        yield f"idle: {sum(self.idle_requests_per_minute.values()):.0f} requests a minute"
        for name, rate in sorted(self.idle_requests_per_minute.items(), key=lambda item: -item[1]):
            yield f"  {rate:7.1f}  {name}"


def main() -> None:
    """Measure and print. SIGTERM ends it with all that it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    given = _arguments()
    if "KUBEBUILDER_ASSETS" not in os.environ or not control_plane.is_there():
        raise SystemExit("set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver (setup-envtest use -p path)")
    assets = Path(os.environ["KUBEBUILDER_ASSETS"])
    with tempfile.TemporaryDirectory(prefix="taskbell-scale-") as name:
        folder = Path(name)
        tell("starting etcd, kube-apiserver and NATS")
        with (
            control_plane.started(assets, folder, free_port=free_port) as api,
            _bus(folder) as nats_url,
        ):
            measured = asyncio.run(_measure(given, api, folder, nats_url))
    print("\n".join(measured.lines()) if not given.json else json.dumps(asdict(measured)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the operator with many objects on a real API server.")
    parser.add_argument("--schedules", type=int, default=500, help="ReminderSchedules (500)")
    parser.add_argument("--pools", type=int, default=500, help="WorkerPools (500)")
    parser.add_argument("--schedule", default="17 * * * *", help="when their sweeps run ('17 * * * *')")
    parser.add_argument("--idle", type=float, default=120, help="seconds that are measured while nothing changes (120)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


async def _measure(given: argparse.Namespace, api: ApiServer, folder: Path, nats_url: str) -> Measured:
    async with Kubectl.open(api, _NAMESPACE) as kubectl:
        for manifest in crds.manifests():
            await kubectl.install(manifest)
        await kubectl.install({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}})
        await _until(lambda: _served(kubectl), "the definitions are served")
        await _fill_bus(nats_url, given.pools)
        await _each(
            given.schedules, "ReminderSchedules", lambda number: _make_schedule(kubectl, number, given.schedule)
        )
        await _each(given.pools, "WorkerPools", lambda number: _make_pool(kubectl, number))
        with _operator(api, folder, nats_url) as process:
            began = time.monotonic()
            await _until(lambda: _all_ready(kubectl, process), "all objects are Ready")
            reconciled, cpu = time.monotonic() - began, _cpu(process)
            await asyncio.sleep(min(30.0, given.idle))  # until what followed from the start has settled
            tell(f"measuring for {given.idle:.0f} s")
            before, cpu_before, started = await _requests(kubectl), _cpu(process), time.monotonic()
            await asyncio.sleep(given.idle)
            span = time.monotonic() - started
            after, cpu_after = await _requests(kubectl), _cpu(process)
            memory = process.memory_info().rss / 2**20
        rates = {name: (count - before[name]) / span * 60 for name, count in after.items() if count > before[name]}
    return Measured(
        schedules=given.schedules,
        pools=given.pools,
        reconciled_s=reconciled,
        reconciled_cpu_s=cpu,
        idle_cpu_percent=(cpu_after - cpu_before) / span * 100,
        idle_rss_mib=memory,
        idle_requests_per_minute=rates,
    )


@contextmanager
def _bus(folder: Path) -> Iterator[str]:
    """Run NATS with JetStream for the length of the block; gives its address."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("nats-server")), "-a", "127.0.0.1", "-p", str(port)]
    with (folder / "nats.log").open("wb") as log:
        started = subprocess.Popen([*command, "-js", "-sd", str(folder / "nats")], stdout=log, stderr=log)
        try:
            yield f"nats://127.0.0.1:{port}"
        finally:
            started.terminate()
            started.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _fill_bus(url: str, consumers: int) -> None:
    """Create a stream with a durable consumer for each pool."""
    client = await nats.connect(url)
    stream = client.jetstream()
    await stream.add_stream(name="WORK", subjects=["work"])

    async def add(number: int) -> None:
        await stream.add_consumer("WORK", ConsumerConfig(durable_name=f"consumer-{number}", ack_policy="explicit"))  # type: ignore[arg-type]  # it takes the word

    await _each(consumers, "consumers", add)
    await client.close()


async def _make_schedule(kubectl: Kubectl, number: int, schedule: str) -> None:
    spec = {"kind": "due", "schedule": schedule}
    await _make(kubectl, "ReminderSchedule", f"schedule-{number}", spec, api=crds.API_VERSION)


async def _make_pool(kubectl: Kubectl, number: int) -> None:
    name, labels = f"worker-{number}", {"app": f"worker-{number}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "worker", "image": "worker:1"}]}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    await _make(kubectl, "Deployment", name, deployment, api="apps/v1")
    signal = {"name": "backlog", "jetStream": {"stream": "WORK", "consumer": f"consumer-{number}"}}
    pool = {"targetRef": {"name": name}, "replicas": {"min": 1, "max": 10}, "signals": [signal]}
    await _make(kubectl, "WorkerPool", name, pool, api=crds.API_VERSION)


async def _make(kubectl: Kubectl, kind: str, name: str, spec: Json, *, api: str) -> None:
    body = {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}
    await kubectl.must("POST", kubectl.at(f"{kind.lower()}s", group=api), body)


async def _each(count: int, what: str, make: Callable[[int], Awaitable[None]]) -> None:
    """Make so many, some at once, with a line of progress."""
    tell(f"creating {count} {what}")
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            await make(number)

    await asyncio.gather(*map(one, range(count)))


@contextmanager
def _operator(api: ApiServer, folder: Path, nats_url: str) -> Iterator[psutil.Process]:
    """Run the operator for the length of the block."""
    config = folder / "operator.kubeconfig"
    config.write_text(control_plane.kubeconfig(api, authority=folder / "certs" / "apiserver.crt"))
    environment = {
        **os.environ,
        "KUBECONFIG": str(config),
        "TASKBELL_OPERATOR_IMAGE": "taskbell/sweeper:1",
        "TASKBELL_OPERATOR_NAMESPACE": _NAMESPACE,
        "TASKBELL_OPERATOR_WATCH_NAMESPACES": _NAMESPACE,
        "TASKBELL_NATS_URL": nats_url,
    }
    command = [sys.executable, "-m", "taskbell.operator", "--port", str(free_port())]
    tell("starting the operator")
    with (folder / "operator.log").open("wb") as log:
        started = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield psutil.Process(started.pid)
        finally:
            if started.poll() is not None:
                tell((folder / "operator.log").read_text(errors="replace")[-_LOG_SHOWN:])
            started.terminate()
            started.wait()


async def _served(kubectl: Kubectl) -> bool:
    return all([(await kubectl.send("GET", kubectl.at(one.plural)))[0] == 200 for one in crds.DEFINITIONS])


async def _all_ready(kubectl: Kubectl, process: psutil.Process) -> bool:
    if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
        raise SystemExit("the operator ended")
    bodies = [body for one in crds.DEFINITIONS for body in await kubectl.all(one.plural)]
    ready = sum(_is_ready(body) for body in bodies)
    tell(f"{ready} of {len(bodies)} are Ready")
    return ready == len(bodies)


def _is_ready(body: Json) -> bool:
    conditions = body.get("status", {}).get("conditions", [])
    return any(known["type"] == "Ready" and known["status"] == "True" for known in conditions)


async def _requests(kubectl: Kubectl) -> Counter[str]:
    """How many requests for the operator's kinds the API server has answered, by verb and resource."""
    async with await kubectl.stream("GET", "/metrics") as response:
        text = await response.text()
    found = Counter[str]()
    for line in _LINE.finditer(text):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line["labels"]))
        if labels["resource"] in _COUNTED:
            name = "/".join(filter(None, (labels["resource"], labels["subresource"])))
            found[f"{labels['verb']} {name}"] += int(float(line["value"]))
    return found


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + _GIVE_UP
    while not await holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {_GIVE_UP:.0f} s: {what}")
        await asyncio.sleep(1)


def tell(line: str) -> None:
    """Report the progress."""
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
