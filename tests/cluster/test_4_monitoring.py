"""What a Prometheus sees that scrapes a release on a real cluster."""

import asyncio
import contextlib
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from busy_user import busy
from real_cluster.release import NAME, NAMESPACE
from real_cluster.tools import ROOT, run
from scraping import panels, rules, scraping, variables
from service_monitors import jobs

_NEEDS_A_RECEIVER = "taskbell_delivery_latency_seconds"
"""No address in a cluster is public, so no webhook has a receiver there."""


@contextlib.asynccontextmanager
async def _forwarded(service, port):
    """The address of a Service on this machine."""
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "--namespace", NAMESPACE, "port-forward", f"service/{service}", f":{port}"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        line = (await process.stdout.readline()).decode()
        found = re.search(r"127\.0\.0\.1:\d+", line)
        assert found, line
        yield found[0]
    finally:
        process.terminate()
        await process.wait()


def _monitors():
    """The ServiceMonitors that the chart renders for this release."""
    options = ("--set", "monitoring.serviceMonitor.enabled=true", "--set", "signingKeys.existingSecret.name=any")
    template = ("--show-only", "templates/monitoring.yaml", "--namespace", NAMESPACE)
    text = run("helm", "template", NAME, str(ROOT / "charts" / "taskbell"), *template, *options)
    return [found for found in yaml.safe_load_all(text) if found and found["kind"] == "ServiceMonitor"]


@pytest.mark.feature("K9", "M47")
@pytest.mark.skipif(not shutil.which("prometheus"), reason="Prometheus is not installed")
async def test_every_query_finds_data(release, report, tmp_path):
    """By the chart's ServiceMonitors Prometheus finds every pod; each panel, variable and rule has data; none fires."""
    place = {"namespace": NAMESPACE, "release": NAME}
    queries = dict(panels(with_data=True, **place)) | dict(rules())
    del queries["TaskbellStreamRebuilt"]  # a healthy platform never rebuilds the stream
    del queries["TaskbellReplicaUnused"]  # this release has no replica
    queries = {name: query for name, query in queries.items() if _NEEDS_A_RECEIVER not in query}
    found = (release.kubectl.items("services"), release.kubectl.items("endpointslices"))
    scraped = jobs(_monitors(), *found, kubeconfig=Path(os.environ["KUBECONFIG"]), folder=tmp_path)
    async with (
        scraping(tmp_path, scraped, every="5s") as prometheus,
        _forwarded(f"{NAME}-taskbell-api", 8000) as api,
        _forwarded(f"{NAME}-taskbell-gateway", 8001) as gateway,
        asyncio.TaskGroup() as group,
    ):
        traffic = group.create_task(
            busy(f"http://{api}", f"ws://{gateway}/ws", webhook="https://receiver.invalid/hook")
        )
        missing = await prometheus.without_data(queries, within=600)
        targets = await prometheus.targets()
        report.line("every query of the dashboards", queries=len(queries), without=len(missing), pods=len(targets))
        assert missing == {}
        for _, query in panels(with_data=False, **place):
            await prometheus.has_data(query)  # that it is understood suffices
        for series, label in variables(namespace=NAMESPACE):
            assert await prometheus.values(series, label) == [place[label]], series
        assert {target["health"] for target in targets} == {"up"}
        traffic.cancel()
