"""The chart, rendered offline by Helm's own engine, and its containers, started as processes on this machine."""

import base64
import contextlib
import dataclasses
import re
from pathlib import Path

import helm_python
import pytest
import yaml

from taskbell.kit.jwt import generate_keys

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
            if thing
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
