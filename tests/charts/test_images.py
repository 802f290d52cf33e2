"""Dockerfile and skaffold.yaml, read as text: no engine is needed."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from taskbell.capacity.arguments import parse
from taskbell.capacity.briefing import Briefing
from taskbell.local.embedded import nats, postgres

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
    """The stages that are images."""
    return {name: steps for name, steps in stages().items() if any(word == "ENTRYPOINT" for word, _ in steps)}


def programs():
    """The images of the project's programs: all but PgBouncer, which is the distribution's."""
    return {name: steps for name, steps in targets().items() if name != "pgbouncer"}


EVERYTHING = {"image": {"registry": "here"}, "loadtest": {"enabled": True}, "pgbouncer": {"enabled": True}}
"""Values with which the chart pulls every image."""


def test_there_is_a_target_for_every_image_of_the_chart(chart):
    """The chart pulls exactly the images that the Dockerfile builds."""
    rendered = chart.render(EVERYTHING)
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
    """Each target ends with the user id of the chart's pods, a home for it, and with Python's safe module path."""
    deployment = next(iter(chart.render().of("Deployment").values()))
    user = deployment["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    for name, steps in targets().items():
        assert [rest for word, rest in steps if word == "USER"] == [f"{user}:{user}"], name
    for name, steps in programs().items():
        environment = " ".join(rest for word, rest in steps if word == "ENV")
        assert {"PYTHONSAFEPATH=1", "HOME=/tmp"} <= {*environment.split()}, name  # the user has no name


def base_image():
    """The one image that everything is built upon."""
    names = set(stages())
    (base,) = {rest.split()[0] for word, rest in instructions() if word == "FROM"} - names
    return base


def test_base_images_are_pinned():
    """One base image in one version; `docker-bake.json` names it by its digest, and builds every target with labels."""
    assert re.fullmatch(r"docker\.io/library/python:\d+\.\d+\.\d+-slim-\w+", base_image())
    assert not (ROOT / "Dockerfile").read_text().startswith("# syntax")  # it would be fetched, and nothing needs it
    bake = json.loads((ROOT / "docker-bake.json").read_text())
    ((name, pinned),) = bake["target"]["image"]["contexts"].items()
    assert base_image() == f"docker.io/library/{name}"
    assert re.fullmatch(rf"docker-image://{re.escape(base_image())}@sha256:[0-9a-f]{{64}}", pinned)
    assert set(bake["group"]["default"]["targets"]) == set(targets()) == set(bake["target"]) - {"image"}
    for target in targets():
        assert bake["target"][target]["target"] == target
        assert bake["target"][target]["tags"] == [f"${{REGISTRY}}/{target}:${{VERSION}}"]


@pytest.mark.feature("K7")
def test_the_bundled_stores_are_those_that_tests_run(chart):
    """The chart's PostgreSQL and NATS have the versions of the servers that the tests run."""
    values = chart.loaded.values
    program = [str(postgres.program("postgres")), "--version"]
    version = subprocess.run(program, capture_output=True, text=True, check=True).stdout.split()[-1]
    images = [values["database"]["bundled"]["image"], values["database"]["cloudnativepg"]["image"]]
    assert [re.search(r":([\d.]+)", image)[1] for image in images] == [version, version]
    program = [str(nats.program()), "--version"]
    version = subprocess.run(program, capture_output=True, text=True, check=True).stdout.split()[-1].removeprefix("v")
    assert re.search(r":([\d.]+)", values["nats"]["bundled"]["image"])[1] == version


@pytest.mark.feature("T19")
def test_every_image_is_built_started_and_scanned_by_the_workflow():
    """Continuous integration builds each target on the pinned base, starts and stops it, and scans it."""
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["images"]
    assert set(job["strategy"]["matrix"]["target"]) == set(targets())
    steps = "\n".join(str(step) for step in job["steps"])
    assert "docker buildx bake" in steps
    assert "images/check" in steps
    assert "trivy" in steps
    assert os.access(ROOT / "images" / "check", os.X_OK)


def test_images_say_where_they_come_from(chart):
    """Each image has the labels of the OCI: title, source, licence, version and, if given, revision."""
    prefix = "org.opencontainers.image."
    for name, steps in targets().items():
        text = " ".join(rest for word, rest in steps if word == "LABEL")
        labels = {key.removeprefix(prefix): value for key, value in re.findall(r'([\w.]+)="([^"]*)"', text)}
        assert labels.pop("title").startswith("Taskbell "), name
        assert labels == {
            "source": chart.loaded.metadata["sources"][0],
            "licenses": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"],
            "version": chart.loaded.metadata["appVersion"],
            "revision": "$REVISION",
        }
        assert ("ARG", 'REVISION=""') in steps


def test_a_change_of_the_source_renews_the_last_layer():
    """Packages are a layer of their own below the project, and nothing of the project is known where they are made."""
    found = stages()
    for name, steps in programs().items():
        copies = [rest.split()[0].removeprefix("--from=") for word, rest in steps if word == "COPY"]
        *below, library, packages, project = copies
        assert (below, library) == ([], "library"), name
        for stage in (library, packages):
            copied = {path for word, rest in found[stage] if word == "COPY" for path in rest.split()[:-1]}
            assert copied <= {"images/prepare.py", f"images/{packages.removesuffix('-packages')}.lock"}, stage
        assert project == packages.replace("-packages", "-project")


def test_what_is_copied_is_there_and_let_through():
    """Every path that is copied from the source exists, and `.dockerignore` allows these paths and no others."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = set()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            copied |= set(rest.split()[:-1])
    assert "*" in lines
    assert {path.partition("/")[0] for path in copied} == allowed
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_everything_installed_comes_from_a_hashed_lock():
    """Each image fetches the packages of its lock, with their hashes, as wheels; the project is built offline."""
    for name, steps in stages().items():
        for word, rest in steps:
            for line in re.findall(r"(?<!-)pip [^&]*", rest) if word == "RUN" else ():
                copied = {path for word, rest in steps if word == "COPY" for path in rest.split()}
                locked = re.search(r"--requirement (\w+\.lock)", line)
                online = locked and f"images/{locked[1]}" in copied
                assert "--no-deps" in line, name
                assert ("--require-hashes --no-deps --only-binary :all:" in line) if online else "--no-index" in line


def pinned(lock):
    """The version and the hashes of each package of a lock."""
    text = (ROOT / lock).read_text()
    blocks = re.findall(r"^([\w.-]+)==([^\s;\\]+)([^\n]*(?:\n    [^\n]*)*)", text, re.MULTILINE)
    return {_plain(name): (version, set(re.findall(r"sha256:\w+", rest))) for name, version, rest in blocks}


IN_IMAGE = {"python_version": "3.13", "python_full_version": "3.13.15", "sys_platform": "linux"}
EXTRAS = {"api": ["api", "tools"], "notifier": ["notifier", "tools"], "operator": ["operator"], "loadtest": ["load"]}


@pytest.mark.parametrize("image", EXTRAS)
def test_a_lock_of_an_image_is_what_it_needs(image):
    """An image's lock has the packages of its extras and no others, in the versions that the tests run."""
    closure = set()
    _closure(f"taskbell[{','.join(EXTRAS[image])}]", closure, **IN_IMAGE)
    needed = {_plain(name) for name, _ in closure} - {"taskbell"}
    everything, here = pinned("requirements.lock"), pinned(f"images/{image}.lock")
    assert set(here) == needed
    assert here == {name: everything[name] for name in here}


def test_the_wheel_is_built_with_locked_packages():
    """What builds the wheel in an image is locked, too, in the versions that build it elsewhere."""
    everything, here = pinned("requirements.lock"), pinned("images/build.lock")
    (required,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert Requirement(required).name in here
    assert here == {name: everything[name] for name in here}


def test_entries_exist():
    """Each target starts a console script of the project, or a module that exists."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, steps in programs().items():
        before, blocking, *line = yaml.safe_load(next(rest for word, rest in steps if word == "ENTRYPOINT"))
        assert (before, blocking) == ("env", "--block-signal=TERM")
        if line[0] == "python":
            assert line[1] == "-m"
            (found,) = ROOT.glob(f"*/{line[2].replace('.', '/')}/__main__.py")
            assert found.is_file(), name
        else:
            assert line[0] in scripts, name


def _closure(requirement, seen, **environment):
    """Add to `seen` each distribution that a requirement installs, with the extra that asked for it."""
    wanted = Requirement(requirement)
    for extra in wanted.extras or {""}:
        if (wanted.name, extra) not in seen:
            seen.add((wanted.name, extra))
            for inner in metadata.requires(wanted.name) or []:
                marker = Requirement(inner).marker
                asked = ({**environment, "extra": name} for name in (extra, ""))
                if marker is None or any(marker.evaluate(each) for each in asked):
                    _closure(inner, seen, **environment)


_IMPORT = """
import fnmatch, importlib, json, pkgutil, sys
absent, programs = json.load(sys.stdin)
class NotInTheImage:
    def find_spec(self, name, path=None, target=None):
        parts = name.split(".")
        if any(fnmatch.fnmatchcase(".".join(parts[:n]), each) for n in range(1, len(parts) + 1) for each in absent):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, NotInTheImage())
for program in programs:
    package = importlib.import_module(program)
    for module in pkgutil.walk_packages(package.__path__, program + "."):
        # A run in a cluster sees no database.
        if ".migrations." not in module.name and module.name != "taskbell.capacity.repository":
            importlib.import_module(module.name)
"""


def _plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _removed():
    """The modules of packages that `prepare.py` removes, as patterns; for a pattern of folders, those folders."""
    unused = (ROOT / "images" / "prepare.py").read_text().partition("_UNUSED")[2].partition("_LIBRARY")[0]
    found = re.findall(r'"lib/python\*/site-packages/([^"]+)"', unused)
    modules = [path.removesuffix(".py") for path in found if path.endswith(".py")]
    site = Path(pytest.__file__).parents[1]
    modules += [
        str(folder.relative_to(site))
        for path in found
        if not path.endswith(".py")
        for folder in site.glob(path)
        if folder.is_dir()
    ]
    return [module.replace("/", ".") for module in modules]


@pytest.mark.feature("M42")
@pytest.mark.parametrize("image", EXTRAS)
def test_an_image_holds_what_its_programs_import(chart, image, tmp_path):
    """An image contains all modules that its programs import, and neither packages nor programs of other images."""
    there = set(pinned(f"images/{image}.lock"))
    (kept,) = [rest.split()[4:] for word, rest in stages()[f"{image}-project"] if word == "RUN" and " only " in rest]
    owned = metadata.packages_distributions().items()
    absent = [module for module, owners in owned if module != "taskbell" and not there & {_plain(o) for o in owners}]
    assert "mypy" in absent
    absent += [f"taskbell.{path.name}" for path in ROOT.glob("*/taskbell/*") if path.name not in kept]
    absent += _removed()
    images = {
        f"here/{name}:0.1.0"
        for name, steps in targets().items()
        if any(word == "COPY" and rest.startswith(f"--from={image}-packages ") for word, rest in steps)
    }
    programs = {
        container["command"][4]
        for _, container in chart.render(EVERYTHING).containers()
        if container["image"] in images and container["command"][:4] == ["env", "--block-signal=TERM", "python", "-m"]
    }
    assert programs
    given = json.dumps([absent, sorted(programs)])
    line = [sys.executable, "-P", "-c", _IMPORT]
    Briefing(  # the load generator reads it when it is loaded
        folder=tmp_path, run="x", api_url="", gateway_url="", load_until=0.0, plan=parse([]).plan, accounts=[]
    ).write()
    environment = {**os.environ, "CAPACITY_BRIEFING": str(tmp_path / "briefing.json")}
    done = subprocess.run(line, input=given, text=True, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def _prepared(folder):
    """An environment with a few packages of this one, prepared for an image; its files and what is in them."""
    site = folder / "lib" / "python0" / "site-packages"
    for name in ("uvloop", "markupsafe", "anyio"):
        source = Path(importlib.util.find_spec(name).origin).parent
        shutil.copytree(source, site / name, ignore=shutil.ignore_patterns("__pycache__"))
    (site / "uvloop" / "__pycache__").mkdir()
    (site / "uvloop" / "__pycache__" / "gone.cpython-313.pyc").touch()  # of a module that is left out
    line = [sys.executable, ROOT / "images" / "prepare.py", "environment", folder]
    subprocess.run(line, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})
    return site, {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_goes_into_an_image_is_small_compiled_and_works(tmp_path):
    """Extension modules lose what debuggers read, and still work; each module has byte code that is never checked."""
    site, files = _prepared(tmp_path)
    original = Path(importlib.util.find_spec("uvloop").origin).parent
    (module,) = (site / "uvloop").glob("loop.*.so")
    assert module.stat().st_size < (original / module.name).stat().st_size / 4
    assert not [path for path in files if path.suffix in {".pyx", ".pxd", ".pyi"}]
    for path, data in files.items():
        if path.suffix == ".pyc":
            assert data[4:8] == b"\1\0\0\0"  # a hash instead of a time, not to be checked
    compiled = {Path(importlib.util.source_from_cache(str(path))) for path in files if path.suffix == ".pyc"}
    assert compiled == {path for path in files if path.suffix == ".py"}
    program = "import uvloop, asyncio, markupsafe; uvloop.run(asyncio.sleep(0)); print(uvloop.__file__)"
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(site / "uvloop" / "__init__.py"), done.stderr


def test_two_builds_make_the_same_files(tmp_path):
    """What is prepared twice has the same bytes and the same times."""
    folder = tmp_path / "made"
    _, first = _prepared(folder)
    assert {path.stat().st_mtime for path in folder.rglob("*")} == {315_532_800}
    folder.rename(tmp_path / "first")
    _, second = _prepared(folder)
    assert second == first


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
