"""Prometheus at work on a platform, and the queries that Grafana would send it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml  # type: ignore[import-untyped]  # it brings no types

from taskbell.local.embedded.process import free_port

_FILES = Path(__file__).parents[2] / "charts" / "taskbell" / "files"
BOARDS: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in sorted((_FILES / "dashboards").glob("*"))}
RULES = [rule for group in yaml.safe_load((_FILES / "rules.yaml").read_text())["groups"] for rule in group["rules"]]


def panels(*, with_data: bool, namespace: str, release: str) -> Iterator[tuple[str, str]]:
    """Every query of a panel that has data while all is well, or of those that need not; as Grafana sends them."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            if panel["type"] == "row" or ("noValue" in panel["fieldConfig"]["defaults"]) is with_data:
                continue
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", "60s")
                chosen = query.replace("$namespace", namespace).replace("$release", release)
                yield f"{name}: {panel['title']}: {target.get('legendFormat')}", chosen


def variables(*, namespace: str) -> Iterator[tuple[str, str]]:
    """Every query of a variable: the series that it looks at, and the label whose values it offers."""
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                assert found is not None, variable
                yield found[1].replace("$namespace", namespace), found[2]


def rules() -> Iterator[tuple[str, str]]:
    """Every rule with a query that has data on a healthy platform: without comparisons and checks for absence."""
    for rule in RULES:
        query = re.sub(r"^absent\((.*)\)$", r"\1", rule["expr"]).replace(" unless ", " and ")
        yield rule.get("alert") or rule["record"], re.sub(r" (?:>|<|==) [0-9.]+(?: \* [0-9.]+)?", "", query)


class Prometheus:
    """A Prometheus that scrapes, and a client of it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def has_data(self, query: str) -> bool:
        """Whether a query has a number for an answer; fails if it is not understood."""
        try:
            answer = await self._client.get("/api/v1/query", params={"query": query})
        except httpx.TransportError:
            return False  # it is still starting
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return False
        assert answer.status_code == httpx.codes.OK, answer.text
        return any(found["value"][1] != "NaN" for found in answer.json()["data"]["result"])

    async def without_data(self, queries: dict[str, str], *, within: float) -> dict[str, str]:
        """Ask until every query has had data once; return those that have had none within this many seconds."""
        missing = dict(queries)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while missing:
                    await asyncio.sleep(1)
                    for name, query in list(missing.items()):
                        if await self.has_data(query):
                            del missing[name]
        return missing

    async def values(self, series: str, label: str) -> list[str]:
        """The values of a label on these series, as a variable offers them."""
        answer = await self._client.get(f"/api/v1/label/{label}/values", params={"match[]": series})
        found: list[str] = answer.json()["data"]
        return found

    async def firing(self) -> list[Any]:
        """The alerts that fire."""
        alerts = (await self._client.get("/api/v1/alerts")).json()["data"]["alerts"]
        return [found for found in alerts if found["state"] == "firing"]

    async def targets(self) -> list[Any]:
        """What it scrapes, and how that went."""
        found: list[Any] = (await self._client.get("/api/v1/targets")).json()["data"]["activeTargets"]
        return found


@contextlib.asynccontextmanager
async def scraping(folder: Path, jobs: list[dict[str, Any]], *, every: str) -> AsyncIterator[Prometheus]:
    """Run Prometheus with the chart's rules and these jobs for the length of the block; its files are in a folder."""
    rules = (_FILES / "rules.yaml").read_text()
    (folder / "rules.yaml").write_text(rules.replace("interval: 30s", "interval: 1s"))
    shared = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": "1s"}
    configuration = {"global": shared, "rule_files": ["rules.yaml"], "scrape_configs": jobs}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            shutil.which("prometheus") or "prometheus",
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client:
            yield Prometheus(client)
    finally:
        process.terminate()
        await process.wait()
