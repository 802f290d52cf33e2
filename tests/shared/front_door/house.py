"""The chart's programs at work, with proxies in front of them."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from chart_processes import Started
from front_door.certificate import certify
from front_door.proxies import HAProxy, Nginx, Proxy
from front_door.routes import certificates, rules
from taskbell.local.embedded.process import free_port

HOST = "tasks.example"
API, GATEWAY, RELAY = "demo-taskbell-api", "demo-taskbell-gateway", "demo-taskbell-relay"
ROUTES = {
    "Ingress": {"ingress": {"enabled": True, "tlsSecret": "certificate"}},
    "HTTPRoute": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "edge"}]}},
}
PROXIES: Mapping[str, tuple[type[Proxy], str]] = {"haproxy": (HAProxy, "Ingress"), "nginx": (Nginx, "HTTPRoute")}
"""Each proxy, and the kind of route that it is configured from."""
SETTINGS = {
    "TASKBELL_PASSWORD_HASH_MEMORY_KIB": 8,
    "TASKBELL_PASSWORD_HASH_ITERATIONS": 1,
    "TASKBELL_RATE_LIMIT_PER_MINUTE": 1_000_000,
}
WITHOUT = {
    "public": {"host": HOST},
    "operator": {"enabled": False},
    "reminders": {"enabled": False},
    "delivery": {"pool": {"enabled": False}},
}


def rendered_with(chart: Any, route: str) -> Any:
    """The chart with this kind of route."""
    return chart.rendered({**WITHOUT, **ROUTES[route]})


class House:
    """Running programs of the chart: two pods of the API, two gateways, and a relay.

    Attributes:
        pods: The ports of each Service's pods.
    """

    def __init__(self, chart: Any, started: Started, folder: Path) -> None:
        self.chart = chart
        self.started = started
        self.folder = folder
        self.pods: dict[str, list[int]] = {
            API: [started.ports[f"{API}:8000"], free_port()],
            GATEWAY: [started.ports[f"{GATEWAY}:8001"], free_port()],
        }

    async def serve(self, service: str, port: int | None = None) -> asyncio.subprocess.Process:
        """Start a pod."""
        return await self.started.serve(self.started.rendered.of("Deployment")[service], port)

    async def another(self, service: str) -> tuple[asyncio.subprocess.Process, int]:
        """Start one more pod; return its process and port."""
        port = free_port()
        return await self.serve(service, port), port

    def proxy(
        self,
        name: str,
        pods: Mapping[str, Sequence[int]] | None = None,
        *,
        example: bool = False,
        outer: bool = False,
    ) -> contextlib.AbstractContextManager[Proxy]:
        """Run a proxy in front of pods, with the rules of the chart or of the documentation's example.

        Skips the test if the proxy is not installed. `outer`: the ports are those of a further proxy.
        """
        kind, route = PROXIES[name]
        if not shutil.which(kind.program):
            pytest.skip(f"{name} is not installed (Debian: apt-get install {name})")
        objects = rendered_with(self.chart, route).objects
        folder = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        hosts = certificates(objects) or {HOST: "the Gateway has it"}
        certificate = certify(folder / "certificate.pem", *hosts)
        told = None if example else rules(objects)
        return kind(folder, certificate=certificate, rules=told, pods=pods or self.pods, outer=outer).started()


@contextlib.asynccontextmanager
async def housed(chart: Any, database: Any, *, nats_url: str, folder: Path) -> AsyncIterator[House]:
    """Run the programs from the rendered Deployments, on a migrated database."""
    roles = ("owner", "api", "relay", "gateway", "sweeper", "delivery")
    values = {
        **WITHOUT,
        **ROUTES["Ingress"],
        "api": {"settings": SETTINGS},
        "gateway": {"drainSeconds": 1},
        "database": {
            "mode": "external",
            "external": {"urls": {role: getattr(database, f"{role}_url") for role in roles}},
        },
        "nats": {"mode": "external", "external": {"url": nats_url}},
    }
    started = Started(chart.render(values), folder)
    async with started.stack:
        made = House(chart, started, folder)
        await made.serve(API)  # the gateways ask it for its keys
        await asyncio.gather(
            made.serve(RELAY),
            made.serve(API, made.pods[API][1]),
            *(made.serve(GATEWAY, port) for port in made.pods[GATEWAY]),
        )
        yield made
