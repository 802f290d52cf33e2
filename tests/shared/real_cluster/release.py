"""The release that a run installs: by the README's words, and then with Helm and kubectl as an operator would."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from real_cluster.tools import ROOT, CommandFailed, Kubectl, run, until
from real_cluster.users import Users

NAME, NAMESPACE = "tasks", "tasks"
"""As in the README."""
PARTS = ("api", "relay", "gateway", "delivery", "operator")
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BUILDING = re.compile(r"^for target in .*?^done\n", re.MULTILINE | re.DOTALL)
PATIENT = ("--timeout", "10m", "--wait")


class Release:
    """The release `tasks`.

    Attributes:
        registry: Where the images come from: `TASKBELL_TEST_REGISTRY`, or the chart's default.
        options: Further options of `helm install`: the files of `TASKBELL_TEST_VALUES` (several are separated by
            colons), and `TASKBELL_TEST_TAG`.
    """

    def __init__(self) -> None:
        self.kubectl = Kubectl(NAMESPACE)
        chart = ROOT / "charts" / "taskbell"
        values = yaml.safe_load((chart / "values.yaml").read_text())
        self.registry = os.environ.get("TASKBELL_TEST_REGISTRY") or values["image"]["registry"]
        tag = os.environ.get("TASKBELL_TEST_TAG", "")
        files = [name for name in os.environ.get("TASKBELL_TEST_VALUES", "").split(":") if name]
        self.options = [option for name in files for option in ("--values", str(Path(name).resolve()))]
        self.options += ["--set-string", f"image.tag={tag}"] if tag else []
        version = tag or yaml.safe_load((chart / "Chart.yaml").read_text())["appVersion"]
        self.users = Users(
            self.kubectl,
            image=f"{self.registry}/gateway:{version}",
            api=f"http://{NAME}-taskbell-api:8000",
            gateway=f"ws://{NAME}-taskbell-gateway:8001/ws",
        )

    def is_there(self) -> bool:
        """Whether the release is installed."""
        return NAME in run("helm", "list", "--namespace", NAMESPACE, "--short", "--all").split()

    def follow_readme(self, folder: Path) -> tuple[str, str]:
        """Run the README's commands that install and test a release, in a folder; images are there already.

        Returns what `helm install` and `helm test` printed.
        """
        (block,) = [text for text in _SHELL.findall((ROOT / "README.md").read_text()) if "helm install" in text]
        script = _BUILDING.sub("", block).replace("REGISTRY=registry.example.com/taskbell", f"REGISTRY={self.registry}")
        script = script.replace("make setup && .venv/bin/taskbell", f"{sys.executable} -m taskbell.local")
        installing, testing, rest = script.partition("helm test")
        (folder / "charts").symlink_to(ROOT / "charts")
        options = " ".join(self.options)
        also = f'helm() {{ if [ "$1" = install ]; then command helm "$@" {options}; else command helm "$@"; fi; }}\n'
        return tuple(self._shell(also + text, folder) for text in (installing, testing + rest))

    def _shell(self, script: str, folder: Path) -> str:
        try:
            return run("bash", "-euo", "pipefail", "-c", script, cwd=folder, within=900)
        except CommandFailed as failed:
            raise CommandFailed(f"{failed}\n{self.describe()}") from None

    def helm(self, *arguments: str, within: float = 700) -> str:
        """Run helm in the release's namespace."""
        return run("helm", *arguments, "--namespace", NAMESPACE, within=within)

    def upgrade(self, *options: str) -> str:
        """Change values and wait until every pod has them."""
        chart = str(ROOT / "charts" / "taskbell")
        done = self.helm("upgrade", NAME, chart, "--reset-then-reuse-values", *PATIENT, *options)
        self.settle()
        return done

    def revision(self) -> int:
        """The number of the present revision."""
        return int(json.loads(self.helm("status", NAME, "--output", "json"))["version"])

    def deployment(self, part: str) -> str:
        """The name of a part's Deployment."""
        return f"{NAME}-taskbell-{part}"

    def pods(self, part: str) -> list[str]:
        """The names of a part's pods that are not being deleted."""
        found = self.kubectl.items("pods", f"--selector=app.kubernetes.io/component={part}")
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def restart(self, part: str) -> None:
        """Replace each pod of a part, one after another; return when the last old one is gone."""
        before = set(self.pods(part))
        self.kubectl("rollout", "restart", f"deployment/{self.deployment(part)}")
        self.kubectl("rollout", "status", f"deployment/{self.deployment(part)}", "--timeout=300s", within=320)
        label = f"--selector=app.kubernetes.io/component={part}"
        until(lambda: not before & set(self.kubectl.names("pods", label)), f"old pods of {part} are gone", within=120)

    def settle(self, within: float = 300) -> None:
        """Wait until every Deployment has the pods that it wants, ready, and no pod is being deleted."""

        def settled() -> bool:
            for found in self.kubectl.items("deployments"):
                status, wanted = found.get("status", {}), found["spec"]["replicas"]
                counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")}
                if status.get("observedGeneration") != found["metadata"]["generation"] or counts != {wanted}:
                    return False
            selector = f"--selector=app.kubernetes.io/instance={NAME}"
            pods = self.kubectl.items("pods", selector)
            return all("deletionTimestamp" not in pod["metadata"] for pod in pods)

        try:
            until(settled, "the release is settled", within=within)
        except CommandFailed as late:
            raise CommandFailed(f"{late}\n{self.describe()}") from None

    def describe(self) -> str:
        """What a person would look at first, if something does not become ready."""
        asked = (("get", "pods", "--output=wide"), ("get", "events", "--sort-by=.lastTimestamp"))
        said = []
        for arguments in asked:
            done = subprocess.run(
                ["kubectl", "--namespace", NAMESPACE, *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            said.append("\n".join(done.stdout.splitlines()[-40:]))
        return "\n\n".join(said)
