"""Write down who connects to whom in a cluster, for tests/charts/test_connections.py.

`connections.py NETWORK_NAMESPACE` looks at the connections that the node's kernel tracks, once a second, until it is
interrupted; then it prints each pair as YAML. Pods are named by their component, so it needs `kubectl` with a
kubeconfig; and root, and Debian's conntrack. A destination is what a Service led to: a pod and its own port.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

COMPONENT = "app.kubernetes.io/component"
FIELDS = re.compile(r"\b(src|dst|sport|dport)=(\S+)")


def pods() -> Iterator[tuple[str, str]]:
    """The address of each pod that has one of its own, and its component."""
    command = ["kubectl", "get", "pods", "--all-namespaces", "--output", "json"]
    for pod in json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["items"]:
        address = pod["status"].get("podIP")
        if address and not pod["spec"].get("hostNetwork"):
            labels = pod["metadata"]["labels"]
            yield address, labels.get(COMPONENT) or labels.get("app.kubernetes.io/name") or pod["metadata"]["name"]


def tracked(namespace: str) -> Iterator[tuple[str, str, str, int]]:
    """Protocol, source, destination and its port of each connection."""
    command = ["nsenter", f"--net=/run/netns/{namespace}", "conntrack", "-L"]
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        found = [value for _, value in FIELDS.findall(line)]
        if line.startswith(("tcp", "udp")) and len(found) == 8:
            source, answering, port = found[0], found[4], found[6]
            yield line.split()[0].upper(), source, answering, int(port)


def main() -> None:
    """Look until interrupted; then print."""
    names: dict[str, str] = {}
    seen: set[tuple[str, str, str, int]] = set()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background commands without SIGINT
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        names |= dict(pods())
        seen |= set(tracked(sys.argv[1]))
        stop.wait(1)
    pairs = {
        (names.get(source, source), names.get(target, target), protocol, port)
        for protocol, source, target, port in seen
        if source in names or target in names
    }
    for source, target, protocol, port in sorted(pairs):
        sys.stdout.write(f"- {{from: {source}, to: {target}, protocol: {protocol}, port: {port}}}\n")


if __name__ == "__main__":
    main()
