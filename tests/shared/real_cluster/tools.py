"""The command lines of Kubernetes, and what a run needs before it can start."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
ASKED = "TASKBELL_TEST_CLUSTER"
"""Set by `make test-cluster`."""


class CommandFailed(Exception):
    """A command ended with another status than 0; the text holds what it printed."""


def missing(environment: Mapping[str, str] = os.environ) -> str:
    """Why there is no cluster to test on; empty if there is one."""
    if not environment.get(ASKED):
        return "needs a cluster and some minutes: `make test-cluster` runs it"
    for program in ("kubectl", "helm"):
        if shutil.which(program) is None:
            return f"there is no {program} in PATH"
    if not environment.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster"
    try:
        run("kubectl", "get", "--raw", "/readyz", "--request-timeout=20s")
    except CommandFailed as failed:
        return f"the cluster of KUBECONFIG does not answer: {failed}"
    return ""


def run(*command: str, within: float = 120, **how) -> str:
    """Run a command; return what it printed.

    Raises:
        CommandFailed: It failed, or took longer than `within` seconds.
    """
    shown = " ".join(command)[:200]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False, **how)
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(f"{shown}: not done within {within:g} s\n{late.stdout}\n{late.stderr}") from None
    if done.returncode:
        raise CommandFailed(f"{shown}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Kubectl:
    """`kubectl` in a namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def __call__(self, *arguments: str, **how) -> str:
        """Run it; return what it printed."""
        return run("kubectl", "--namespace", self.namespace, *arguments, **how)

    def get(self, kind: str, name: str = "", **how) -> dict:
        """An object, or a list of a kind's objects."""
        return json.loads(self("get", kind, *([name] if name else []), "--output=json", **how))

    def items(self, kind: str, *arguments: str) -> list[dict]:
        """The objects of a kind."""
        return json.loads(self("get", kind, *arguments, "--output=json"))["items"]

    def names(self, kind: str, *arguments: str) -> list[str]:
        """The names of the objects of a kind, sorted."""
        return sorted(found["metadata"]["name"] for found in self.items(kind, *arguments))

    def apply(self, *bodies: dict) -> None:
        """Create or change objects."""
        self("apply", "--filename=-", input="\n---\n".join(map(json.dumps, bodies)))


def until(condition, what: str, *, within: float, pause: float = 0.5):
    """Ask until the answer is true; return it.

    Raises:
        CommandFailed: It is not within this many seconds.
    """
    deadline = time.monotonic() + within
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise CommandFailed(f"{what}: not within {within:g} s; the last answer was {answer!r}")
        time.sleep(pause)
    return answer
