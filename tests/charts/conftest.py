"""The chart, rendered offline by Helm's own engine, and its containers, started as processes on this machine."""

import asyncio
import base64
import contextlib
import dataclasses
import os
import re
import signal
import socket
import sys
from pathlib import Path

import asyncpg
import helm_python
import httpx
import pytest
import yaml

from kubernetes_emulator.server import KubernetesServer
from taskbell.kit.jwt import generate_keys
from taskbell.local.embedded import postgres
from taskbell.local.embedded.postgres import PostgresServer
from taskbell.local.embedded.process import free_port, launched, ordinary_identity
from taskbell.store import roles

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CHART = Path(__file__).parents[2] / "charts" / "taskbell"
KEYS = generate_keys()


def merged(*trees):
    """Merge values into values, as Helm does."""
    result = {}
    for tree in trees:
        for name, value in tree.items():
            old = result.get(name)
            result[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


@dataclasses.dataclass(frozen=True)
class Rendered:
    """The objects of a rendered chart."""

    objects: list
    notes: str

    def of(self, kind):
        """All objects of a kind by their names."""
        return {found["metadata"]["name"]: found for found in self.objects if found["kind"] == kind}

    def one(self, kind, name):
        """The object of a kind whose name has this ending."""
        (found,) = [thing for full, thing in self.of(kind).items() if full.endswith(name)]
        return found

    def pods(self):
        """Every pod's metadata and spec by the name of the object that creates it."""
        for thing in self.objects:
            name = f"{thing['kind']}/{thing['metadata']['name']}"
            if thing["kind"] == "Pod":
                yield name, thing
            elif "template" in thing.get("spec", {}):
                yield name, thing["spec"]["template"]

    def containers(self):
        """Every container, including init containers, by a unique name."""
        for name, pod in self.pods():
            for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
                yield f"{name}/{container['name']}", container

    def secret(self, name, key):
        """A value from a rendered Secret."""
        found = self.of("Secret")[name]
        if key in found.get("stringData", {}):
            return found["stringData"][key]
        return base64.b64decode(found["data"][key]).decode()

    def environment(self, container):
        """A container's environment as a kubelet builds it: with values from Secrets, and `$(NAME)` replaced."""
        made = {}
        for entry in container.get("env", []):
            if "value" in entry:
                made[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda found: made[found[1]], entry["value"])
            else:
                ref = entry["valueFrom"]["secretKeyRef"]
                made[entry["name"]] = self.secret(ref["name"], ref["key"])
        return made


def _only_removes(thing):
    """Whether an object is the hook that removes another object of its name with the release."""
    return thing["metadata"].get("annotations", {}).get("helm.sh/hook") == "pre-delete"


class Chart:
    """The chart as loaded from its folder."""

    def __init__(self, folder=CHART):
        self.loaded = helm_python.Chart.load(folder)
        self.kept = {}

    def rendered(self, values):
        """Render with these values, once; callers must not change the result."""
        text = repr(values)
        if text not in self.kept:
            self.kept[text] = self.render(values)
        return self.kept[text]

    def render(self, values=None, *, name="demo", revision=1):
        """Render with these values and a signing key: the first revision as an installation, others as an upgrade."""
        given = merged({"signingKeys": {"value": KEYS}}, values or {})
        self.loaded.validate_schema(self.loaded.merge_values(given))
        release = {"name": name, "namespace": "tasks", "revision": revision}
        return self.parsed(self.loaded.render(given, **release, is_install=revision == 1, is_upgrade=revision > 1))

    def render_upon(self, cluster, values=None, *, revision=1):
        """Render as Helm does when it can look into a cluster; `cluster` is the address of its API server."""
        with helm_python.Config(kube_apiserver=cluster, namespace="tasks") as config:
            release = {"name": "demo", "namespace": "tasks", "revision": revision}
            given = merged({"signingKeys": {"value": KEYS}}, values or {})
            return self.parsed(
                config.render(self.loaded, given, **release, is_install=revision == 1, is_upgrade=revision > 1)
            )

    @staticmethod
    def parsed(files):
        """The objects and notes in rendered files."""
        notes = "".join(text for path, text in files.items() if path.endswith("NOTES.txt"))
        objects = [
            thing
            for path, text in sorted(files.items())
            if path.endswith(".yaml")
            for thing in yaml.load_all(text, Loader)
            if thing and not _only_removes(thing)
        ]
        return Rendered(objects, notes)


@pytest.fixture(scope="session")
def chart():
    """The chart."""
    found = Chart()
    with contextlib.closing(found.loaded):
        yield found


VALUE_SETS = yaml.load(Path(__file__).with_name("value_sets.yaml").read_text(), Loader)


@pytest.fixture(scope="session")
def value_sets():
    """The value sets by their names."""
    return VALUE_SETS


@pytest.fixture(params=VALUE_SETS)
def rendered(request, chart):
    """The chart rendered with each of the value sets."""
    return chart.rendered(VALUE_SETS[request.param])


class Started:
    """The chart's containers as processes on this machine: its ports replace the addresses of Services."""

    def __init__(self, rendered, folder, cluster):
        self.rendered = rendered
        self.cluster = cluster
        self.folder = folder
        self.ran = set()
        """The containers that ended or became ready, by their names in `Rendered.containers`."""
        self.ports = {}
        for name, service in rendered.of("Service").items():
            for port in service["spec"]["ports"]:
                self.ports[f"{name}:{port['port']}"] = free_port()
        self.stack = contextlib.AsyncExitStack()

    def local(self, text):
        """Replace the addresses of Services in a text by those on this machine."""
        for address, port in self.ports.items():
            text = text.replace(address, f"127.0.0.1:{port}")
        return text

    def command(self, container, port=None):
        """A container's command line for this machine."""
        program, *arguments = [*container["command"], *container.get("args", [])]
        own = Path(sys.executable).with_name(program)
        line = [sys.executable if program == "python" else str(own), *map(self.local, arguments)]
        if port is not None:
            line[line.index("--port") + 1] = str(port)
        return line

    def environment(self, container):
        """A container's environment and the variables of its image, nothing else."""
        given = {name: self.local(value) for name, value in self.rendered.environment(container).items()}
        return {"PATH": os.defpath, "PYTHONSAFEPATH": "1", **given}

    async def run(self, container, *, of):
        """Run a container of the pod of `of` to its end; fail with its output."""
        process = await asyncio.create_subprocess_exec(
            *self.command(container),
            env=self.environment(container),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), 60)
        except TimeoutError:
            process.kill()
            raise
        assert process.returncode == 0, said.decode()
        self.ran.add(f"{of}/{container['name']}")
        return said.decode()

    async def migrate(self):
        """Run the migration Job."""
        (job,) = self.rendered.of("Job").values()
        spec = job["spec"]["template"]["spec"]
        for container in [*spec["initContainers"], *spec["containers"]]:
            await self.run(container, of=f"Job/{job['metadata']['name']}")

    async def serve(self, workload):
        """Start a Deployment's containers and wait until the readiness probe succeeds."""
        name = workload["metadata"]["name"]
        pod = workload["spec"]["template"]["spec"]
        for container in pod.get("initContainers", []):
            await self.run(container, of=f"Deployment/{name}")
        (container,) = pod["containers"]
        port = self.ports[f"{name}:{container['ports'][0]['containerPort']}"]
        line = self.command(container, port) + (
            ["--server", self.cluster.url] if pod["automountServiceAccountToken"] else []
        )
        process = await self._start(workload, line)
        path = container["readinessProbe"]["httpGet"]["path"]
        await self._ready(workload, process, f"http://127.0.0.1:{port}{path}")

    async def serve_nats(self):
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

    async def serve_postgresql(self):
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

        async def execute(command):
            program, *arguments = command
            line = launched([str(postgres.program(program)), *arguments], identity=ordinary_identity(data))
            environment = {"PGPORT": str(port), "PGDATA": str(data)}
            done = await asyncio.create_subprocess_exec(*line, env=environment, stdout=asyncio.subprocess.DEVNULL)
            return await done.wait()

        async def end():
            assert await execute(container["lifecycle"]["preStop"]["exec"]["command"]) == 0
            assert await process.wait() == 0

        self.stack.push_async_callback(end)
        for _ in range(300):
            if await execute(container["readinessProbe"]["exec"]["command"]) == 0:
                break
            await asyncio.sleep(0.1)
        connection = await asyncpg.connect(server.url())
        await connection.execute(f"CREATE DATABASE {given['POSTGRES_DB']}")
        await connection.close()
        self.ran.add("StatefulSet/demo-taskbell-postgresql/postgresql")

    async def _start(self, workload, line, *, end=True):
        name, pod = workload["metadata"]["name"], workload["spec"]["template"]["spec"]
        log = self.stack.enter_context((self.folder / f"{name}.log").open("wb"))
        environment = self.environment(pod["containers"][0])
        process = await asyncio.create_subprocess_exec(*line, env=environment, cwd=self.folder, stdout=log, stderr=log)
        if end:
            self.stack.push_async_callback(self._end, process, pod["terminationGracePeriodSeconds"])
        return process

    async def _ready(self, workload, process, address):
        name, answer = workload["metadata"]["name"], "nothing"
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(300):
                assert process.returncode is None, (self.folder / f"{name}.log").read_text()
                with contextlib.suppress(httpx.TransportError):
                    got = await client.get(address)
                    if got.status_code == httpx.codes.OK:
                        (container,) = workload["spec"]["template"]["spec"]["containers"]
                        self.ran.add(f"{workload['kind']}/{name}/{container['name']}")
                        return
                    answer = got.text
                await asyncio.sleep(0.1)
        raise AssertionError(f"{name} is not ready: {answer}\n{(self.folder / f'{name}.log').read_text()}")

    async def _end(self, process, grace):
        process.send_signal(signal.SIGTERM)
        try:
            status = await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert status in {0, -signal.SIGTERM}


@contextlib.asynccontextmanager
async def started(chart, folder, values):
    """Run everything that the chart renders: the bundled stores, the Job, and then the programs."""
    rendered = chart.render(merged({"gateway": {"drainSeconds": 1}}, values))
    cluster = KubernetesServer()
    for definition in rendered.of("CustomResourceDefinition").values():
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


@pytest.fixture
async def stack(chart, empty_database, nats_url, tmp_path):
    """All programs of the chart, run from the rendered Job and Deployments with a real PostgreSQL and NATS."""
    urls = {
        role.removeprefix("taskbell_"): empty_database.owner_url.replace(roles.OWNER, role, 1) + "?sslmode=prefer"
        for role in roles.ROLES
    }
    external = {"urls": urls, "admin": {"url": empty_database.superuser_url}}
    values = {
        "database": {"mode": "external", "external": external},
        "nats": {"mode": "external", "external": {"url": nats_url}},
        "ipv6": socket.has_dualstack_ipv6(),
    }
    async with started(chart, tmp_path, values) as running:
        yield running


@pytest.fixture
async def bundled_stack(chart, tmp_path):
    """The chart with its defaults, running, with the bundled PostgreSQL and NATS."""
    async with started(chart, tmp_path, {}) as running:
        yield running
