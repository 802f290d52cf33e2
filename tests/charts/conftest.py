"""The chart, rendered offline by Helm's own engine; and its containers, started as processes of this machine."""

import asyncio
import base64
import contextlib
import dataclasses
import os
import re
import signal
import sys
from pathlib import Path

import helm_python
import httpx
import pytest
import yaml

from taskbell.api.db import roles
from taskbell.kit.jwt import generate_keys
from taskbell.local.embedded.process import free_port
from taskbell.testing.kubernetes import KubernetesServer

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CHART = Path(__file__).parents[2] / "charts" / "taskbell"
KEYS = generate_keys()


def merged(*trees):
    """Values laid over values, as Helm does it."""
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
        """The object of a kind whose name ends so."""
        (found,) = [thing for full, thing in self.of(kind).items() if full.endswith(name)]
        return found

    def pods(self):
        """Every pod's metadata and spec by the name of what makes it."""
        for thing in self.objects:
            name = f"{thing['kind']}/{thing['metadata']['name']}"
            if thing["kind"] == "Pod":
                yield name, thing
            elif "template" in thing.get("spec", {}):
                yield name, thing["spec"]["template"]

    def containers(self):
        """Every container, those of initialisation included, by a telling name."""
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
        """A container's environment as a kubelet makes it: Secrets looked up, `$(NAME)` replaced."""
        made = {}
        for entry in container.get("env", []):
            if "value" in entry:
                made[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda found: made[found[1]], entry["value"])
            else:
                ref = entry["valueFrom"]["secretKeyRef"]
                made[entry["name"]] = self.secret(ref["name"], ref["key"])
        return made


class Chart:
    """The chart as loaded from its folder."""

    def __init__(self):
        self.loaded = helm_python.Chart.load(CHART)
        self.kept = {}

    def rendered(self, values):
        """Render with these values, once; nobody changes the result."""
        text = repr(values)
        if text not in self.kept:
            self.kept[text] = self.render(values)
        return self.kept[text]

    def render(self, values=None, *, name="demo", revision=1):
        """Render with these values, over a signing key: the first revision as an installation, others as an upgrade."""
        given = merged({"signingKeys": {"value": KEYS}}, values or {})
        self.loaded.validate_schema(given)
        files = self.loaded.render(
            given, name=name, namespace="tasks", revision=revision, is_install=revision == 1, is_upgrade=revision > 1
        )
        notes = "".join(text for path, text in files.items() if path.endswith("NOTES.txt"))
        objects = [
            thing
            for path, text in sorted(files.items())
            if path.endswith(".yaml")
            for thing in yaml.load_all(text, Loader)
            if thing
        ]
        return Rendered(objects, notes)


@pytest.fixture(scope="session")
def chart():
    """The chart."""
    found = Chart()
    with contextlib.closing(found.loaded):
        yield found


EXTERNAL = {
    "database": {
        "mode": "external",
        "external": {
            "urls": {
                role.removeprefix("taskbell_"): f"postgresql://{role}:secret@db.example:5432/taskbell"
                for role in roles.ROLES
            }
        },
    },
    "nats": {"mode": "external", "external": {"url": "nats://nats.example:4222"}},
}
SECRETS = {
    "signingKeys": {"value": "", "existingSecret": {"name": "keys", "key": "jwks"}},
    "database": {
        "mode": "external",
        "external": {
            "existingSecret": "urls",
            "existingSecrets": {"api": {"name": "urls-of-api", "key": "uri"}},
            "admin": {"existingSecret": {"name": "admin"}},
        },
    },
    "nats": {"mode": "external", "external": {"existingSecret": {"name": "nats", "key": "address"}}},
    "delivery": {"smtp": {"existingSecret": {"name": "mail"}}},
    "image": {"pullSecrets": [{"name": "registry"}]},
}
VALUE_SETS = {
    "defaults": {},
    "external": EXTERNAL,
    "existing-secrets": SECRETS,
    "cloudnativepg": {"database": {"mode": "cloudnativepg", "storage": {"className": "fast"}}},
    "ingress": {"public": {"host": "tasks.example"}, "ingress": {"enabled": True, "tlsSecret": "cert"}},
    "plain-ingress": {
        "public": {"host": "tasks.example", "tls": False},
        "ingress": {"enabled": True, "className": "haproxy", "annotations": {"timeout": "1h"}},
    },
    "route": {
        "public": {"host": "tasks.example"},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public", "namespace": "edge"}]},
    },
    "autoscaled": {"api": {"autoscaling": {"enabled": True}}, "gateway": {"autoscaling": {"enabled": True}}},
    "single": {
        name: {"replicas": 1, **({"pool": {"enabled": False}} if name == "delivery" else {})}
        for name in ("api", "relay", "gateway", "delivery")
    }
    | {"operator": {"enabled": False}, "reminders": {"enabled": False}},
    "open-network": {"networkPolicy": {"enabled": False}},
    "closed-network": merged(
        EXTERNAL,
        {
            "delivery": {"smtp": {"url": "smtp://mail.example:25"}},
            "networkPolicy": {
                "publicFrom": [{"namespaceSelector": {"matchLabels": {"name": "edge"}}}],
                "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
                "databaseTo": [{"ipBlock": {"cidr": "10.0.0.0/24"}}],
                "smtpTo": [{"ipBlock": {"cidr": "10.0.2.0/24"}}],
                "natsTo": [{"ipBlock": {"cidr": "10.0.1.0/24"}}],
                "extraEgress": [{"ports": [{"protocol": "TCP", "port": 4318}]}],
            },
        },
    ),
    "placed": {
        "commonLabels": {"team": "tasks"},
        "api": {
            "nodeSelector": {"pool": "apps"},
            "tolerations": [{"key": "apps", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "settings": {"TASKBELL_MAX_PAGE_SIZE": 500, "TASKBELL_MAX_BODY_BYTES": 10_000_000},
            "env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"}],
        },
    },
    "watched": {
        "monitoring": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "rules": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True},
        }
    },
    "long-names": {"fullnameOverride": "a-name-that-is-longer-than-anybody-would-ever-want-to-type"},
}
"""Values that platform teams give, each for another reason."""


@pytest.fixture(params=VALUE_SETS)
def rendered(request, chart):
    """The chart rendered with each of the value sets."""
    return chart.rendered(VALUE_SETS[request.param])


class Started:
    """The chart's containers as processes here: the addresses of Services replaced by ports of this machine."""

    def __init__(self, rendered, folder, cluster):
        self.rendered = rendered
        self.cluster = cluster
        self.folder = folder
        self.ports = {}
        for name, service in rendered.of("Service").items():
            for port in service["spec"]["ports"]:
                self.ports[f"{name}:{port['port']}"] = free_port()
        self.stack = contextlib.AsyncExitStack()

    def local(self, text):
        """A text with the addresses of Services as they are here."""
        for address, port in self.ports.items():
            text = text.replace(address, f"127.0.0.1:{port}")
        return text

    def command(self, container, port=None):
        """A container's command line as it works here."""
        program, *arguments = [*container["command"], *container.get("args", [])]
        own = Path(sys.executable).with_name(program)
        line = [sys.executable if program == "python" else str(own), *map(self.local, arguments)]
        if port is not None:
            line[line.index("--port") + 1] = str(port)
        return line

    def environment(self, container):
        """A container's environment and what its image sets, nothing else."""
        given = {name: self.local(value) for name, value in self.rendered.environment(container).items()}
        return {"PATH": os.defpath, "PYTHONSAFEPATH": "1", **given}

    async def run(self, container):
        """Run a container to its end; fail with what it said."""
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
        return said.decode()

    async def serve(self, workload):
        """Start a workload's containers and wait until its readiness probe is content."""
        name = workload["metadata"]["name"]
        pod = workload["spec"]["template"]["spec"]
        for container in pod.get("initContainers", []):
            await self.run(container)
        (container,) = pod["containers"]
        number = container["ports"][0]["containerPort"]
        port = self.ports[f"{name}:{number}"]
        log = self.stack.enter_context((self.folder / f"{name}.log").open("wb"))
        server = ["--server", self.cluster.url] if pod["automountServiceAccountToken"] else []
        process = await asyncio.create_subprocess_exec(
            *self.command(container, port),
            *server,
            env=self.environment(container),
            cwd=self.folder,
            stdout=log,
            stderr=log,
        )
        self.stack.push_async_callback(self._end, process, pod["terminationGracePeriodSeconds"])
        path = container["readinessProbe"]["httpGet"]["path"]
        await self._ready(name, process, f"http://127.0.0.1:{port}{path}")

    async def _ready(self, name, process, address):
        answer = "nothing"
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(300):
                assert process.returncode is None, (self.folder / f"{name}.log").read_text()
                with contextlib.suppress(httpx.TransportError):
                    got = await client.get(address)
                    if got.status_code == httpx.codes.OK:
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


@pytest.fixture
async def stack(chart, empty_database, nats_url, tmp_path):
    """All services of the chart, run from the rendered Job and Deployments against a real PostgreSQL and NATS."""
    urls = {
        role.removeprefix("taskbell_"): empty_database.owner_url.replace(roles.OWNER, role, 1) for role in roles.ROLES
    }
    external = {"urls": urls, "admin": {"url": empty_database.superuser_url}}
    values = {
        "database": {"mode": "external", "external": external},
        "nats": {"mode": "external", "external": {"url": nats_url}},
        "gateway": {"drainSeconds": 1},
    }
    rendered = chart.render(values)
    cluster = KubernetesServer()
    for definition in rendered.of("CustomResourceDefinition").values():
        cluster.install(definition)
    async with cluster.running():
        started = Started(rendered, tmp_path, cluster)
        async with started.stack:
            await _begin(started)
            yield started


async def _begin(started):
    """Run the Job, then all services."""
    rendered = started.rendered
    job = rendered.one("Job", "-migrations-1")["spec"]["template"]["spec"]
    for container in [*job["initContainers"], *job["containers"]]:
        await started.run(container)
    # All at once, as in a cluster: some are ready only when others are.
    async with asyncio.TaskGroup() as group:
        for workload in rendered.of("Deployment").values():
            group.create_task(started.serve(workload))
