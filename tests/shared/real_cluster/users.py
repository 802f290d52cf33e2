"""Users of the platform inside the cluster: a pod, and programs in it that go through the Services."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from real_cluster.tools import ROOT, CommandFailed, Kubectl

_PROGRAM = Path(__file__).with_name("user.py").read_text()
POD = "taskbell-user"
_CLIENT = {
    f"taskbell.client.{name}": (ROOT / "core" / "taskbell" / "client" / f"{name}.py").read_text()
    for name in ("connection", "following")
}
"""The client of the gateway: images hold only what their programs import, so it is sent with the program."""
_SENT = json.dumps({"modules": {"taskbell.client": "", **_CLIENT}, "program": _PROGRAM})
_TAKES_IT = """
import json, sys, types
sent = json.loads(sys.stdin.readline())
for name, text in sent["modules"].items():
    sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), sys.modules[name].__dict__)
exec(compile(sent["program"], "user.py", "exec"))
"""
"""The program comes by standard input: it is too long for the address that a command line becomes."""
_WAITS = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); signal.pause()"
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Result(dict[str, Any]):
    """What a program told at its end; empty until then."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        super().__init__()
        self._program = program

    def go_on(self) -> None:
        """Let the program go on with its next part."""
        with contextlib.suppress(BrokenPipeError):
            self._program.stdin.write("\n")
            self._program.stdin.flush()


class Users:
    """Runs programs of users in one pod.

    Attributes:
        api: The API's address in the cluster.
        gateway: The gateway's address in the cluster.
    """

    def __init__(self, kubectl: Kubectl, *, image: str, api: str, gateway: str) -> None:
        self.kubectl, self.image, self.api, self.gateway = kubectl, image, api, gateway

    def start(self) -> None:
        """Start the pod if it does not run."""
        container = {
            "name": "user",
            "image": self.image,
            "command": ["python", "-c", _WAITS],
            "securityContext": _RESTRICTED,
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        }
        spec = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
        metadata = {"name": POD, "labels": {"example.com/user": "true"}}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.kubectl("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=120s", within=150)

    def stop(self) -> None:
        """Remove the pod."""
        self.kubectl("delete", "pod", POD, "--ignore-not-found", "--wait")

    def _command(self, what: str, *arguments: object) -> list[str]:
        inside = ["python", "-u", "-c", _TAKES_IT, what, self.api, self.gateway, *map(str, arguments)]
        return ["kubectl", "--namespace", self.kubectl.namespace, "exec", "-i", POD, "--", *inside]

    def do(self, what: str, *arguments: object, within: float = 300) -> Result:
        """Run a program to its end; return its last document."""
        with self.doing(what, *arguments, within=within) as result:
            pass
        return result

    @contextlib.contextmanager
    def doing(self, what: str, *arguments: object, within: float = 600) -> Iterator[Result]:
        """Run a program for a block, which begins when it is under way; after the block the result is filled.

        Raises:
            CommandFailed: It failed, or did not end within this many seconds.
        """
        said: list[str] = []
        program = subprocess.Popen(
            self._command(what, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        result = Result(program)
        complaints = threading.Thread(target=lambda: said.extend(program.stderr), daemon=True)
        complaints.start()
        watchdog = threading.Timer(within, program.kill)
        watchdog.start()
        try:
            program.stdin.write(f"{_SENT}\n")
            program.stdin.flush()
            if not program.stdout.readline():
                program.wait()
                complaints.join(5)
                raise CommandFailed(f"the user's program {what} did not start:\n{''.join(said)[-3000:]}")
            yield result
            result.go_on()
            lines = program.stdout.read().splitlines()
            program.wait()
            complaints.join(5)
            if program.returncode or not lines:
                raise CommandFailed(f"the user's program {what} failed:\n{''.join(said)[-3000:]}")
            result.update(json.loads(lines[-1]))
        finally:
            watchdog.cancel()
            program.kill()
            program.wait()
            complaints.join(5)
            with contextlib.suppress(BrokenPipeError):
                program.stdin.close()
            program.stdout.close()
            program.stderr.close()
