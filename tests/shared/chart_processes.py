"""What the chart renders, at work: its containers as processes of this machine."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from kubernetes_emulator.server import KubernetesServer
from taskbell.contract import crds
from taskbell.local.embedded import postgres
from taskbell.local.embedded.postgres import PostgresServer
from taskbell.local.embedded.process import free_port, launched, ordinary_identity
from taskbell.testing.waiting import eventually

Thing = dict[str, Any]
"""An object of Kubernetes, or a part of one."""


class Started:
    """The chart's containers as processes on this machine: its ports replace the addresses of Services."""

    def __init__(self, rendered: Any, folder: Path, cluster: KubernetesServer | None = None) -> None:
        self.rendered = rendered
        self.cluster = cluster
        self.folder = folder
        self.ran: set[str] = set()
        """The containers that ended or became ready, by their names in `Rendered.containers`."""
        self.ports: dict[str, int] = {}
        for name, service in rendered.of("Service").items():
            for port in service["spec"]["ports"]:
                self.ports[f"{name}:{port['port']}"] = free_port()
        self.stack = contextlib.AsyncExitStack()

    def local(self, text: str) -> str:
        """Replace the addresses of Services in a text by those on this machine."""
        for address, port in self.ports.items():
            text = text.replace(address, f"127.0.0.1:{port}")
        return text

    def command(self, container: Thing, port: int | None = None) -> list[str]:
        """A container's command line for this machine."""
        program, *arguments = [*container["command"], *container.get("args", [])]
        own = Path(sys.executable).with_name(program)
        here = sys.executable if program == "python" else str(own) if own.exists() else program
        line = [here, *map(self.local, arguments)]
        if port is not None:
            line[line.index("--port") + 1] = str(port)
        return line

    def environment(self, container: Thing) -> dict[str, str]:
        """A container's environment and the variables of its image, nothing else."""
        given = {name: self.local(value) for name, value in self.rendered.environment(container).items()}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.defpath))
        return {"PATH": path, "PYTHONSAFEPATH": "1", **given}

    async def run(self, container: Thing, *, of: str) -> str:
        """Run a container of the pod of `of` to its end; fail with its output."""
        process = await asyncio.create_subprocess_exec(
            *self.command(container),
            env=self.environment(container),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        self.ran.add(f"{of}/{container['name']}")
        return said.decode()

    async def migrate(self) -> None:
        """Run the migration Job."""
        (job,) = self.rendered.of("Job").values()
        spec = job["spec"]["template"]["spec"]
        for container in [*spec["initContainers"], *spec["containers"]]:
            await self.run(container, of=f"Job/{job['metadata']['name']}")

    async def serve(self, workload: Thing, port: int | None = None) -> asyncio.subprocess.Process:
        """Start a Deployment's containers and wait until the readiness probe succeeds.

        A further pod has a port of its own; the Service's leads to the first one.
        """
        name = workload["metadata"]["name"]
        pod = workload["spec"]["template"]["spec"]
        for container in pod.get("initContainers", []):
            await self.run(container, of=f"Deployment/{name}")
        (container,) = pod["containers"]
        port = port or self.ports[f"{name}:{container['ports'][0]['containerPort']}"]
        line = self.command(container, port) + (
            ["--server", self.cluster.url] if self.cluster and pod["automountServiceAccountToken"] else []
        )
        process = await self._start(workload, line)
        path = container["readinessProbe"]["httpGet"]["path"]
        await self._ready(workload, process, f"http://127.0.0.1:{port}{path}")
        return process

    async def serve_nats(self) -> None:
        """Start the bundled NATS with the rendered configuration file."""
        if not (workload := self.rendered.of("StatefulSet").get("demo-taskbell-nats")):
            return
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        text = self.rendered.one("ConfigMap", "-nats")["data"]["nats.conf"]
        for port in container["ports"]:
            number = port["containerPort"]
            here = f"127.0.0.1:{self.ports[f'demo-taskbell-nats:{number}']}"
            assert f'"0.0.0.0:{number}"' in text
            text = text.replace(f"0.0.0.0:{number}", here)
        data, config = container["volumeMounts"]
        (self.folder / "nats.conf").write_text(text.replace(data["mountPath"], str(self.folder / "nats")))
        line = [word.replace(config["mountPath"], str(self.folder)) for word in self.command(container)]
        process = await self._start(workload, line)
        port = self.ports["demo-taskbell-nats:8222"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            await self._ready(workload, process, f"http://127.0.0.1:{port}{container[probe]['httpGet']['path']}")

    async def serve_postgresql(self) -> None:
        """Start PostgreSQL as the official image does: password and database from the environment, then arguments."""
        if not (workload := self.rendered.of("StatefulSet").get("demo-taskbell-postgresql")):
            return
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        given = self.environment(container)
        port = self.ports["demo-taskbell-postgresql:5432"]
        data = self.folder / "postgresql"
        server = PostgresServer(data, password=given["POSTGRES_PASSWORD"], port=port, durable=False)
        server.prepare()
        process = await self._start(workload, [*server.command(), *container["args"]], end=False)

        async def execute(command: list[str]) -> int:
            program, *arguments = command
            line = launched([str(postgres.program(program)), *arguments], identity=ordinary_identity(data))
            environment = {"PGPORT": str(port), "PGDATA": str(data)}
            done = await asyncio.create_subprocess_exec(*line, env=environment, stdout=asyncio.subprocess.DEVNULL)
            return await done.wait()

        async def end() -> None:
            assert await execute(container["lifecycle"]["preStop"]["exec"]["command"]) == 0
            assert await process.wait() == 0

        self.stack.push_async_callback(end)
        probe = container["readinessProbe"]["exec"]["command"]
        await eventually(lambda: execute(probe), "PostgreSQL", wanted=lambda status: status == 0)
        connection = await asyncpg.connect(server.url())
        await connection.execute(f"CREATE DATABASE {given['POSTGRES_DB']}")
        await connection.close()
        self.ran.add("StatefulSet/demo-taskbell-postgresql/postgresql")

    async def _start(self, workload: Thing, line: list[str], *, end: bool = True) -> asyncio.subprocess.Process:
        name, pod = workload["metadata"]["name"], workload["spec"]["template"]["spec"]
        log = self.stack.enter_context((self.folder / f"{name}.log").open("ab"))
        environment = self.environment(pod["containers"][0])
        process = await asyncio.create_subprocess_exec(*line, env=environment, cwd=self.folder, stdout=log, stderr=log)
        if end:
            self.stack.push_async_callback(self._end, process, pod["terminationGracePeriodSeconds"])
        return process

    async def _ready(self, workload: Thing, process: asyncio.subprocess.Process, address: str) -> None:
        name = workload["metadata"]["name"]
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        async with httpx.AsyncClient(trust_env=False) as client:

            async def answer() -> tuple[int, str]:
                assert process.returncode is None, (self.folder / f"{name}.log").read_text()
                try:
                    got = await client.get(address)
                except httpx.TransportError as failed:
                    return 0, repr(failed)
                return got.status_code, got.text

            await eventually(answer, f"{name} is ready", within=300, wanted=lambda got: got[0] == httpx.codes.OK)
        self.ran.add(f"{workload['kind']}/{name}/{container['name']}")

    async def _end(self, process: asyncio.subprocess.Process, grace: float) -> None:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            status = await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert status in {0, -signal.SIGTERM}


@contextlib.asynccontextmanager
async def started(chart: Any, folder: Path, values: Thing) -> AsyncIterator[Started]:
    """Run everything that the chart renders: the bundled stores, the Job, and then the programs."""
    rendered = chart.render({"gateway": {"drainSeconds": 1}, **values})
    cluster = KubernetesServer()
    for definition in crds.manifests():
        cluster.install(definition)
    async with cluster.running():
        running = Started(rendered, folder, cluster)
        async with running.stack:
            await asyncio.gather(running.serve_nats(), running.serve_postgresql())
            await running.migrate()
            # All at the same time, as in a cluster: some become ready only when others are.
            async with asyncio.TaskGroup() as group:
                for workload in rendered.of("Deployment").values():
                    group.create_task(running.serve(workload))
            yield running
