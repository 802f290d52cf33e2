"""The chart's ServiceMonitors as a Prometheus outside the cluster reads them.

The Prometheus operator makes the same of them, with two differences: pods are listed once (Debian's Prometheus is built
without Kubernetes' discovery), and every scrape goes through the API server, so nothing but a kubeconfig is needed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # it brings no types

Thing = dict[str, Any]
_SERVICE = "kubernetes.io/service-name"


def jobs(
    monitors: list[Thing], services: list[Thing], slices: list[Thing], *, kubeconfig: Path, folder: Path
) -> list[Thing]:
    """A scrape configuration for each ServiceMonitor, of the pods behind the Services that it selects.

    `slices` are the EndpointSlices of the namespace; the credentials of the kubeconfig are written to the folder.
    """
    config = yaml.safe_load(kubeconfig.read_text())
    context = next(each["context"] for each in config["contexts"] if each["name"] == config["current-context"])
    cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == context["cluster"])
    user = next(each["user"] for each in config["users"] if each["name"] == context["user"])
    access: Thing = {"scheme": "https", "tls_config": {"ca_file": _file(cluster, "certificate-authority", folder)}}
    if "token" in user:
        access["authorization"] = {"credentials": user["token"]}
    else:
        access["tls_config"]["cert_file"] = _file(user, "client-certificate", folder)
        access["tls_config"]["key_file"] = _file(user, "client-key", folder)
    server = cluster["server"].removeprefix("https://").rstrip("/")
    return [
        {
            "job_name": monitor["metadata"]["name"],
            **access,
            "static_configs": [{"targets": [server], "labels": labels} for labels in _pods(monitor, services, slices)],
        }
        for monitor in monitors
    ]


def _file(section: Thing, name: str, folder: Path) -> str:
    if name in section:
        return str(section[name])
    path = folder / f"{name}.pem"
    path.write_bytes(base64.b64decode(section[f"{name}-data"]))
    path.chmod(0o600)
    return str(path)


def _pods(monitor: Thing, services: list[Thing], slices: list[Thing]) -> Iterator[Thing]:
    """The labels of each pod that a ServiceMonitor selects, with the path of its metrics at the API server."""
    namespace, wanted = monitor["metadata"]["namespace"], monitor["spec"]["selector"]["matchLabels"]
    (endpoint,) = monitor["spec"]["endpoints"]
    given = {rule["targetLabel"]: rule["replacement"] for rule in endpoint["relabelings"]}
    names = {
        service["metadata"]["name"]
        for service in services
        if wanted.items() <= service["metadata"].get("labels", {}).items()
    }
    for found in slices:
        service = found["metadata"].get("labels", {}).get(_SERVICE)
        ports = [port["port"] for port in found["ports"] if port["name"] == endpoint["port"]]
        if service not in names or not ports:
            continue
        for pod in (each["targetRef"]["name"] for each in found.get("endpoints") or ()):
            yield {
                "__metrics_path__": f"/api/v1/namespaces/{namespace}/pods/{pod}:{ports[0]}/proxy{endpoint['path']}",
                "instance": f"{pod}:{ports[0]}",
                "namespace": namespace,
                "service": service,
                "pod": pod,
                **given,
            }
