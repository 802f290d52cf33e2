"""The API servers that the conformance suite runs against: the emulated one always, a real one when there is one.

A real one is that of `KUBECONFIG`, or is started from `KUBEBUILDER_ASSETS` (the envtest convention: a folder with
`etcd` and `kube-apiserver`).
"""

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kubernetes.aio import client as kubernetes

from taskbell.contract import crds
from taskbell.local.embedded.process import free_port
from taskbell.operator.cluster import open_api
from taskbell.testing.kubernetes import KubernetesServer

NO_REAL_SERVER = (
    "no real API server: set KUBECONFIG to a cluster that may be written to, or KUBEBUILDER_ASSETS to a folder with "
    "etcd and kube-apiserver"
)


def _real_server_is_there():
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS", "/nonexistent"))
    return "KUBECONFIG" in os.environ or (assets / "kube-apiserver").exists()


REAL = pytest.param("real", marks=pytest.mark.skipif(not _real_server_is_there(), reason=NO_REAL_SERVER))


@contextlib.contextmanager
def _control_plane(folder: Path):
    """Start etcd and kube-apiserver; the address and a token of an administrator."""
    assets = Path(os.environ["KUBEBUILDER_ASSETS"])
    etcd, peer, port, token = free_port(), free_port(), free_port(), secrets.token_hex(16)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (folder / "sa.key").write_bytes(pem)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    commands = (
        [
            *(assets / "etcd", f"--data-dir={folder}/etcd", "--unsafe-no-fsync"),
            *(f"--listen-client-urls=http://127.0.0.1:{etcd}", f"--advertise-client-urls=http://127.0.0.1:{etcd}"),
            *(f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
        ],
        [
            *(assets / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", f"--cert-dir={folder}/certs"),
            *(f"--secure-port={port}", "--bind-address=127.0.0.1", f"--token-auth-file={folder}/tokens.csv"),
            *("--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc"),
            *(f"--service-account-key-file={folder}/sa.key", f"--service-account-signing-key-file={folder}/sa.key"),
            *("--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount"),
        ],
    )
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "control-plane.log").open("wb"))
        for command in commands:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield f"https://127.0.0.1:{port}", token


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory):
    """Address and token of the control plane that this run starts."""
    with _control_plane(tmp_path_factory.mktemp("control-plane")) as found:
        yield found


async def _answers(api):
    deadline = time.monotonic() + 60
    while True:
        try:
            response = await api.call_api("GET", f"{api.configuration.host}/readyz", {})
            if response.status == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "the real API server did not become ready"
        await asyncio.sleep(0.2)


@pytest.fixture(params=["emulated", REAL])
async def api(request):
    """A client of an API server that serves Taskbell's definitions."""
    if request.param == "emulated":
        server = KubernetesServer()
        async with server.running(), await open_api(url=server.url) as api:
            yield api
        return
    if "KUBECONFIG" in os.environ:
        api = await open_api()
    else:
        url, token = request.getfixturevalue("control_plane")
        configuration = kubernetes.Configuration(host=url)
        configuration.verify_ssl = False
        configuration.api_key = {"BearerToken": f"Bearer {token}"}
        api = kubernetes.ApiClient(configuration)
    async with api:
        if "KUBECONFIG" not in os.environ:
            await _answers(api)
        yield api


class Kubectl:
    """Requests as they are, in a namespace of its own."""

    def __init__(self, api, namespace):
        self.api, self.namespace = api, namespace

    async def send(self, method, path, body=None, *, kind="application/json", **query):
        """Status and body of an answer."""
        response = await self.open(method, path, body, kind=kind, **query)
        return response.status, json.loads(await response.read())

    async def open(self, method, path, body=None, *, kind="application/json", **query):
        """An answer that is still to be read."""
        request = await self.api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        return await self.api.call_api(*request, _request_timeout=30.0)

    def at(self, plural, name="", subresource="", *, group="taskbell.dev/v1alpha1"):
        """The path of an object or a collection in the namespace."""
        root = f"/apis/{group}" if group else "/api/v1"
        return "/".join(filter(None, (root, "namespaces", self.namespace, plural, name, subresource)))

    async def apply(self, plural, name, body, *, manager, force=False, subresource="", group="taskbell.dev/v1alpha1"):
        """Server-side apply."""
        path = self.at(plural, name, subresource, group=group)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return await self.send("PATCH", path, body, kind="application/apply-patch+yaml", **query)

    async def merge(self, path, body):
        """Merge patch."""
        return await self.send("PATCH", path, body, kind="application/merge-patch+json", fieldManager="person")


@pytest.fixture
async def kubectl(api):
    """Requests in a namespace that is there for this test only, with the definitions established."""
    kubectl = Kubectl(api, f"taskbell-{secrets.token_hex(5)}")
    for manifest in crds.manifests():
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{manifest['metadata']['name']}"
        status, answer = await kubectl.send(
            "PATCH", path, manifest, kind="application/apply-patch+yaml", fieldManager="tests", force="true"
        )
        assert status in {200, 201}, answer
    status, answer = await kubectl.send("POST", "/api/v1/namespaces", {"metadata": {"name": kubectl.namespace}})
    assert status == 201, answer
    async with asyncio.timeout(30):
        while (await kubectl.send("GET", kubectl.at("workerpools")))[0] != 200:  # noqa: ASYNC110 -- it asks
            await asyncio.sleep(0.1)
    yield kubectl
    await kubectl.send("DELETE", f"/api/v1/namespaces/{kubectl.namespace}")
