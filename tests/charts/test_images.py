"""Dockerfile and skaffold.yaml, read as text: no engine is needed."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def instructions():
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    for line in text.splitlines():
        if line and not line.startswith("#"):
            yield line.split(maxsplit=1)


def stages():
    """Each stage's instructions by its name, after those of its base stages."""
    found = {}
    for word, rest in instructions():
        if word == "FROM":
            base, _, name = rest.split()
            found[name] = [(word, base), *found.get(base, [])]
        else:
            found[name].append((word, rest))
    return found


def targets():
    """The stages that are images of programs."""
    return {name: steps for name, steps in stages().items() if any(word == "ENTRYPOINT" for word, _ in steps)}


def test_there_is_a_target_for_every_image_of_the_chart(chart):
    """The chart pulls exactly the images that the Dockerfile builds."""
    rendered = chart.render({"image": {"registry": "here"}})
    named = [container["image"] for _, container in rendered.containers()]
    named += [
        variable["value"]
        for _, container in rendered.containers()
        for variable in container.get("env", ())
        if variable["name"] == "TASKBELL_OPERATOR_IMAGE"
    ]
    pulled = {image for image in named if image.startswith("here/")}
    assert {image.removeprefix("here/").partition(":")[0] for image in pulled} == set(targets())


def test_images_run_as_the_user_of_the_chart(chart):
    """Each target ends with the user id of the chart's pods, and with Python's safe module path."""
    deployment = next(iter(chart.render().of("Deployment").values()))
    user = deployment["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    for name, steps in targets().items():
        assert [rest for word, rest in steps if word == "USER"] == [f"{user}:{user}"], name
        environment = " ".join(rest for word, rest in steps if word == "ENV")
        assert "PYTHONSAFEPATH=1" in environment, name


def test_base_images_are_pinned():
    """No base image has the tag `latest` or a tag that moves between minor versions."""
    names = set(stages())
    for word, rest in instructions():
        if word == "FROM" and (base := rest.split()[0]) not in names:
            assert re.search(r":\d+\.\d+\.\d+-", base), base


def test_what_is_copied_is_there_and_let_through():
    """Every path that is copied from the source exists, and `.dockerignore` allows these paths and no others."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = set()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            copied |= set(rest.split()[:-1])
    assert "*" in lines
    assert copied == allowed
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_everything_installed_comes_from_the_hashed_lock():
    """The network is used once, for the locked packages with their hashes; the extras are installed from these."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    offline = False
    for word, rest in instructions():
        if word == "ENV" and "PIP_NO_INDEX=1" in rest:
            offline = True
        if word == "RUN" and "pip" in rest:
            assert offline or ("--require-hashes" in rest and "requirements.lock" in rest), rest
            for extra in re.findall(r"taskbell\[(\w+)\]", rest):
                assert extra in extras


def test_entries_exist():
    """Each target starts a console script of the project, or a module that exists."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, steps in targets().items():
        line = yaml.safe_load(next(rest for word, rest in steps if word == "ENTRYPOINT"))
        if line[0] == "python":
            assert line[1] == "-m"
            (found,) = ROOT.glob(f"*/{line[2].replace('.', '/')}/__main__.py")
            assert found.is_file(), name
        else:
            assert line[0] in scripts, name


def _closure(requirement, seen):
    """Add to `seen` each distribution that a requirement installs, with the extra that asked for it."""
    wanted = Requirement(requirement)
    for extra in wanted.extras or {""}:
        if (wanted.name, extra) not in seen:
            seen.add((wanted.name, extra))
            for inner in metadata.requires(wanted.name) or []:
                marker = Requirement(inner).marker
                if marker is None or marker.evaluate({"extra": extra}) or marker.evaluate({"extra": ""}):
                    _closure(inner, seen)


_IMPORT = """
import importlib, json, pkgutil, sys
absent, programs = json.load(sys.stdin)
class NotInTheImage:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, NotInTheImage())
for program in programs:
    package = importlib.import_module(program)
    for module in pkgutil.walk_packages(package.__path__, program + "."):
        if ".migrations." not in module.name:
            importlib.import_module(module.name)
"""


def _plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.feature("M42")
@pytest.mark.parametrize("environment", ["api-environment", "notifier-environment", "operator-environment"])
def test_an_image_holds_what_its_programs_import(chart, environment):
    """An image with its extra contains all modules that its programs import, and no modules of other images."""
    installs = " ".join(rest for word, rest in stages()[environment] if word == "RUN")
    closure = set()
    _closure(re.search(r"taskbell\[\w+\]", installs)[0], closure)
    there = {_plain(name) for name, _ in closure}
    absent = [
        module
        for module, owners in metadata.packages_distributions().items()
        if not there & {_plain(owner) for owner in owners}
    ]
    assert "pytest" in absent
    images = {
        f"here/{name}:0.1.0"
        for name, steps in targets().items()
        if any(word == "COPY" and rest.startswith(f"--from={environment} ") for word, rest in steps)
    }
    programs = {
        container["command"][2]
        for _, container in chart.render({"image": {"registry": "here"}}).containers()
        if container["image"] in images and container["command"][:2] == ["python", "-m"]
    }
    assert programs
    given = json.dumps([absent, sorted(programs)])
    line = [sys.executable, "-P", "-c", _IMPORT]
    done = subprocess.run(line, input=given, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_skaffold_builds_every_target_and_gives_each_to_the_chart(chart):
    """Skaffold's artifacts are the Dockerfile's targets, and the chart takes what it sets."""
    config = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    artifacts = {artifact["docker"]["target"]: artifact["image"] for artifact in config["build"]["artifacts"]}
    assert set(artifacts) == set(targets())
    (release,) = config["deploy"]["helm"]["releases"]
    templates = release["setValueTemplates"]
    assert (ROOT / release["chartPath"] / "Chart.yaml").is_file()
    for target, image in artifacts.items():
        name = image.replace("-", "_")
        assert templates[f"image.overrides.{target}"] == f"{{{{.IMAGE_FULLY_QUALIFIED_{name}}}}}"
    values = {}
    built = dict.fromkeys(templates, "here/image:digest")
    for path, value in {**built, **release["setValues"]}.items():
        *parents, last = path.split(".")
        node = values
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    assert [*release["setFiles"]] == ["signingKeys.value"]  # --set would read a JWK Set's braces as a list
    rendered = chart.render(values, name=release["name"])
    services = rendered.of("Service")
    for forward in config["portForward"]:
        assert forward["port"] in {port["port"] for port in services[forward["resourceName"]]["spec"]["ports"]}


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/install.md"])
def test_the_pages_build_what_the_chart_pulls(chart, page):
    """The documented commands build each target, with the version that the chart uses."""
    text = (ROOT / page).read_text()
    assert set(re.search(r"^for target in (.+); do$", text, re.MULTILINE)[1].split()) == set(targets())
    versions = set(re.findall(r"\$REGISTRY/\$target:(\S+)", text))
    assert versions == {chart.loaded.metadata["appVersion"]}
    assert "--set image.registry=$REGISTRY" in text
