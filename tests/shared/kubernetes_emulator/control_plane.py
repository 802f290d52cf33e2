"""A real control plane for tests: that of `KUBECONFIG`, or one started from `KUBEBUILDER_ASSETS`.

`KUBEBUILDER_ASSETS` is the convention of envtest: a folder with `etcd` and `kube-apiserver`, and perhaps with
`kube-controller-manager`, for its garbage collector and its deletion of namespaces.
"""

from __future__ import annotations

import os
import secrets
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kubernetes.aio.client import Configuration

from kubernetes_emulator.client import ApiServer
from taskbell.operator.cluster import open_api

ABSENT = (
    "no real API server: set KUBECONFIG to a cluster that may be written to, or KUBEBUILDER_ASSETS to a folder with "
    "etcd and kube-apiserver"
)
_READY_WITHIN = 120.0
_LOG_SHOWN = 4000


class ControlPlaneFailed(Exception):
    """A part of the control plane did not start; the text ends with its log."""


def is_there(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a real API server is configured."""
    if "KUBECONFIG" in environment:
        return True
    assets = Path(environment.get("KUBEBUILDER_ASSETS", "/nonexistent"))
    return all((assets / name).exists() for name in ("etcd", "kube-apiserver"))


async def of_kubeconfig() -> ApiServer:
    """The API server of the current context of `KUBECONFIG`, with its way to sign in."""
    async with await open_api() as api:
        found = api.configuration
        token = await found.get_api_key_with_prefix("BearerToken") or ""
        trust, certified = None, None
        if found.host.startswith("https"):
            trust = _trust_of(found)
            if found.cert_file:
                certified = _trust_of(found)
                certified.load_cert_chain(found.cert_file, found.key_file)
        return ApiServer(found.host, token.removeprefix("Bearer "), trust, certified, runs_deployments=True)


def _trust_of(found: Configuration) -> ssl.SSLContext:
    trust = ssl.create_default_context(cafile=found.ssl_ca_cert)
    if not found.verify_ssl:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return trust


@contextmanager
def started(assets: Path, folder: Path, *, free_port: Callable[[], int]) -> Iterator[ApiServer]:
    """Run a control plane for the length of the block; `folder` holds its data and logs.

    Raises:
        ControlPlaneFailed: It ends, or does not become ready within two minutes.
    """
    token, signing_key = secrets.token_hex(16), folder / "service-accounts.key"
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    signing_key.write_bytes(_private_key())
    etcd, peer, port = free_port(), free_port(), free_port()
    controllers = assets / "kube-controller-manager"
    with ExitStack() as stack:
        _start(
            stack,
            folder,
            *(assets / "etcd", f"--data-dir={folder}/etcd", "--unsafe-no-fsync"),
            *(f"--listen-client-urls=http://127.0.0.1:{etcd}", f"--advertise-client-urls=http://127.0.0.1:{etcd}"),
            *(f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
        )
        process = _start(
            stack,
            folder,
            *(
                assets / "kube-apiserver",
                f"--etcd-servers=http://127.0.0.1:{etcd}",
                f"--cert-dir={folder}/certs",
            ),
            *(f"--secure-port={port}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"),
            *("--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24"),
            *("--authorization-mode=RBAC", f"--token-auth-file={folder}/tokens.csv"),
            *("--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={signing_key}"),
            f"--service-account-signing-key-file={signing_key}",
            "--disable-admission-plugins=ServiceAccount",
        )
        url = f"https://127.0.0.1:{port}"
        server = ApiServer(url, token, _trust(process, folder, url, token), collects_garbage=controllers.exists())
        if controllers.exists():
            config = folder / "controllers.kubeconfig"
            config.write_text(kubeconfig(server, authority=folder / "certs" / "apiserver.crt"))
            wanted = "garbage-collector-controller,namespace-controller"
            quiet = ("--leader-elect=false", "--secure-port=0")
            _start(stack, folder, controllers, f"--kubeconfig={config}", f"--controllers={wanted}", *quiet)
        yield server


def kubeconfig(server: ApiServer, *, token: str = "", authority: Path | None = None) -> str:
    """A kubeconfig for a server; YAML is a superset of this JSON. `token` signs in as somebody else."""
    cluster = f'"server": "{server.url}"' + (f', "certificate-authority": "{authority}"' if authority else "")
    return (
        '{"apiVersion": "v1", "kind": "Config", "current-context": "here",'
        ' "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],'
        f' "clusters": [{{"name": "here", "cluster": {{{cluster}}}}}],'
        f' "users": [{{"name": "me", "user": {{"token": "{token or server.token}"}}}}]}}'
    )


def _start(stack: ExitStack, folder: Path, *command: str | Path) -> subprocess.Popen[bytes]:
    log = stack.enter_context((folder / f"{Path(command[0]).name}.log").open("wb"))
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def _trust(process: subprocess.Popen[bytes], folder: Path, url: str, token: str) -> ssl.SSLContext:
    """Wait until the server is ready; then trust the certificate that it made for itself."""
    certificate = folder / "certs" / "apiserver.crt"
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        if certificate.exists():
            trust = ssl.create_default_context(cafile=str(certificate))
            try:
                answer = httpx.get(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"}, verify=trust)
                if answer.status_code == httpx.codes.OK:
                    return trust
            except httpx.TransportError:
                pass  # it does not listen yet
        time.sleep(0.2)
    log = (folder / "kube-apiserver.log").read_text(errors="replace")[-_LOG_SHOWN:]
    raise ControlPlaneFailed(f"kube-apiserver ended, or was not ready within {_READY_WITHIN:.0f} s:\n{log}")


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, plain)
