"""Helm at work on an API server, as an engine in this process or as an executable; and its hook as a process."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import helm_python

from kubernetes_emulator import control_plane
from kubernetes_emulator.client import Kubectl

Thing = dict[str, Any]
NAME = "demo"
JOB = f"{NAME}-taskbell-definitions"


class HelmFailed(Exception):
    """Helm ended with an error; the text is what it said."""


class Engine:
    """Helm's own engine in this process, which keeps its records in memory. Its methods raise `HelmFailed`."""

    def __init__(self, url: str, namespace: str) -> None:
        self._place = {"kube_apiserver": url, "namespace": namespace, "storage_driver": "memory"}
        self._namespace = namespace
        self._config = helm_python.Config(**self._place)

    async def install(self, chart: Path, values: Thing) -> None:
        """Install the release."""
        self.close()
        self._config = helm_python.Config(**self._place)  # as a new process: it asks once which kinds there are
        await self._do(self._config.install, str(chart), NAME, values, namespace=self._namespace)

    async def upgrade(self, chart: Path, values: Thing) -> None:
        """Upgrade it, with these values and no others."""
        await self._do(self._config.upgrade, str(chart), NAME, values, namespace=self._namespace)

    async def rollback(self, revision: int) -> None:
        """Go back to a revision."""
        await self._do(self._config.rollback, NAME, version=revision)

    async def uninstall(self) -> None:
        """Remove it and its history."""
        await self._do(self._config.uninstall, NAME)

    def close(self) -> None:
        """Free what the engine holds."""
        self._config.close()

    @staticmethod
    async def _do(what: Any, *given: Any, **options: Any) -> None:
        try:
            await asyncio.to_thread(what, *given, **options)
        except helm_python.HelmError as failed:
            raise HelmFailed(str(failed)) from failed


class Program:
    """An executable of Helm, with a home of its own. Its methods raise `HelmFailed`."""

    def __init__(self, path: Path, kubeconfig: Path, namespace: str) -> None:
        self._path, self._namespace, self._folder = path, namespace, kubeconfig.parent
        homes = {f"HELM_{home}_HOME": str(self._folder / home.lower()) for home in ("CACHE", "CONFIG", "DATA")}
        self._environment = {"KUBECONFIG": str(kubeconfig), "HOME": str(self._folder), **homes}

    async def install(self, chart: Path, values: Thing) -> None:
        """Install the release."""
        await self._run("install", NAME, str(chart), values=values)

    async def upgrade(self, chart: Path, values: Thing) -> None:
        """Upgrade it, with these values and no others."""
        await self._run("upgrade", NAME, str(chart), values=values)

    async def rollback(self, revision: int) -> None:
        """Go back to a revision."""
        await self._run("rollback", NAME, str(revision))

    async def uninstall(self) -> None:
        """Remove it and its history."""
        await self._run("uninstall", NAME)

    async def _run(self, *arguments: str, values: Thing | None = None) -> None:
        line = [str(self._path), *arguments, "--namespace", self._namespace]
        if values is not None:
            given = self._folder / "values.json"
            given.write_text(json.dumps(values))
            line += ["--values", str(given)]
        await _ended(line, self._environment, cwd=self._folder)


def program(major: int, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The executable of Helm's version 3 or 4: that of `HELM3` or `HELM4`, or one in `PATH` or `KUBEBUILDER_ASSETS`."""
    name = f"HELM{major}"
    if given := environment.get(name):
        return Path(given)
    places = os.pathsep.join((environment.get("PATH", os.defpath), environment.get("KUBEBUILDER_ASSETS", "")))
    for found in filter(None, (shutil.which(which, path=places) for which in (name.lower(), "helm"))):
        said = subprocess.run([found, "version", "--short"], capture_output=True, text=True, check=False).stdout
        if said.startswith(f"v{major}."):
            return Path(found)
    return None


@contextlib.asynccontextmanager
async def definitions_brought(kubectl: Kubectl, folder: Path) -> AsyncIterator[list[str]]:
    """Run the Job of the definitions for the length of the block as a node would; gives what each run said.

    The process has the Job's command, its ConfigMap, and the rights of its service account.
    """
    said: list[str] = []
    task = asyncio.create_task(_follow(kubectl, folder, said))
    try:
        yield said
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _follow(kubectl: Kubectl, folder: Path, said: list[str]) -> None:
    path, ran = kubectl.at("jobs", JOB, group="batch/v1"), set()
    while True:
        await asyncio.sleep(0.1)
        job = await kubectl.get(path)
        if job and job["metadata"]["uid"] not in ran:
            ran.add(job["metadata"]["uid"])
            try:
                said.append(await _run(kubectl, job, folder))
                ended = ("SuccessCriteriaMet", "Complete")
            except HelmFailed as failed:
                said.append(str(failed))
                ended = ("FailureTarget", "Failed")
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            words = {"status": "True", "lastTransitionTime": now, "reason": "Ended", "message": ""}
            status: Thing = {"startTime": now, "conditions": [{"type": kind, **words} for kind in ended]}
            if "Complete" in ended:
                status |= {"succeeded": 1, "completionTime": now}
            await kubectl.must_merge(f"{path}/status", {"status": status})


async def _run(kubectl: Kubectl, job: Thing, folder: Path) -> str:
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (volume,) = (found for found in pod["volumes"] if "configMap" in found)
    (mount,) = (found for found in container["volumeMounts"] if found["name"] == volume["name"])
    files = await kubectl.must("GET", kubectl.at("configmaps", volume["configMap"]["name"], group=""))
    mounted = folder / job["metadata"]["uid"]
    mounted.mkdir()
    for name, text in files["data"].items():
        (mounted / name).write_text(text)
    assert pod["automountServiceAccountToken"]
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    account = kubectl.at("serviceaccounts", pod["serviceAccountName"], "token", group="")
    token = (await kubectl.must("POST", account, request))["status"]["token"]
    config, authority = folder / "account.kubeconfig", folder / "authority.crt"
    text = control_plane.kubeconfig(kubectl.server, token=token, authority=authority if authority.exists() else None)
    config.write_text(text)
    here = {"python": sys.executable, mount["mountPath"]: str(mounted)}
    line = [here.get(word, word) for word in container["command"]]
    return await _ended(line, {"KUBECONFIG": str(config)}, cwd=folder)


async def _ended(line: list[str], environment: Mapping[str, str], *, cwd: Path) -> str:
    """What a process said until it ended; `HelmFailed` unless its status is 0."""
    output = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    process = await asyncio.create_subprocess_exec(
        *line, env={"PATH": os.environ["PATH"], **environment}, cwd=cwd, **output
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise HelmFailed(said.decode())
    return said.decode()
