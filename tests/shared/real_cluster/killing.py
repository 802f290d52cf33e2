"""Kills the processes of a pod as the kernel's out-of-memory killer does: by SIGKILL, from outside of the pod."""

from typing import Self

from real_cluster.tools import Kubectl, run

NAMESPACE = "taskbell-killer"
_PROGRAM = """
import glob, os, signal, sys
marks = (sys.argv[1], sys.argv[1].replace("-", "_"))
killed = 0
for path in glob.glob("/proc/[0-9]*/cgroup"):
    pid = int(path.split("/")[2])
    try:
        inside = any(mark in open(path).read() for mark in marks)
        if inside and open(f"/proc/{pid}/comm").read().strip() != "pause":
            os.kill(pid, signal.SIGKILL)
            killed += 1
    except (FileNotFoundError, ProcessLookupError):
        pass
print(killed)
"""


class Killer:
    """A pod that sees the processes of its node. Nothing inside a pod can kill that pod's first process."""

    def __init__(self, image: str) -> None:
        self.kubectl, self.image = Kubectl(NAMESPACE), image

    def __enter__(self) -> Self:
        """Start it in a namespace of its own."""
        container = {
            "name": "killer",
            "image": self.image,
            "command": ["python", "-c", "import time; time.sleep(1e6)"],
            "securityContext": {"runAsUser": 0},
        }
        spec = {"hostPID": True, "containers": [container], "terminationGracePeriodSeconds": 0}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.kubectl.apply(namespace)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "killer"}, "spec": spec}
        self.kubectl.apply(pod)
        self.kubectl("wait", "--for=condition=Ready", "pod/killer", "--timeout=120s", within=150)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the namespace."""
        run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")

    def kill(self, uid: str) -> int:
        """Kill the processes of the pod with this uid on the same node; return how many there were."""
        return int(self.kubectl("exec", "killer", "--", "python", "-c", _PROGRAM, uid))
