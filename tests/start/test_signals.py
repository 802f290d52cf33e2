"""SIGTERM from the first moment on, also as the first process of a container."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taskbell.kit.jwt import generate_keys

_SERVICES = ("api", "relay", "gateway", "delivery", "operator")
_TERM = 1 << (signal.SIGTERM - 1)


def _first_process_works():
    line = ["unshare", "--pid", "--fork", "--kill-child", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(line, capture_output=True, check=False).returncode == 0


AS_FIRST = pytest.param(
    True,
    id="as-first-process",
    marks=pytest.mark.skipif(not _first_process_works(), reason="unshare may not make a PID namespace here"),
)
EITHER = pytest.mark.parametrize("first", [pytest.param(False, id="ordinary"), AS_FIRST])


@pytest.fixture
def silent():
    """The address of a server that accepts connections and never answers, so that a start does not come to an end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def begin(silent, tmp_path):
    """Start a command whose stores are silent; returns the process to wait for, and the id of the command itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TASKBELL_", "KUBE"))}
    database = f"postgresql://taskbell_owner:secret@{silent}/taskbell"
    roles = "owner", "api", "relay", "gateway", "sweeper", "delivery"
    environment |= {
        "TASKBELL_DATABASE_URL": database,
        "TASKBELL_ADMIN_DATABASE_URL": database,
        "TASKBELL_ROLE_URLS": ",".join(f"postgresql://taskbell_{role}:x@{silent}/taskbell" for role in roles),
        "TASKBELL_NATS_URL": f"nats://{silent}",
        "TASKBELL_JWKS_URL": f"http://{silent}/jwks",
        "TASKBELL_GATEWAY_URL": "ws://127.0.0.1:8001/ws",
        "TASKBELL_SIGNING_KEYS": generate_keys(),
        "TASKBELL_OPERATOR_NAMESPACE": "tasks",
        "TASKBELL_OPERATOR_IMAGE": "here/sweeper:1.0.0",
        "TASKBELL_DATA_DIR": str(tmp_path / "data"),
    }
    begun = []

    def start(*command, first):
        line = ["unshare", "--pid", "--fork", "--kill-child", *command] if first else [*command]
        process = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        begun.append(process)
        return process, _only_child(process) if first else process.pid

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()


def _only_child(parent):
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    while parent.poll() is None:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.001)
    raise AssertionError(parent.communicate()[0])


def _has(pid, mask):
    """Whether SIGTERM is in one of a process's masks of signals."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = next(line for line in status.splitlines() if line.startswith(mask))
    return bool(int(found.split()[1], 16) & _TERM)


def _name(pid):
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _obeying(process, pid):
    """Wait until a command handles SIGTERM; returns the extension modules that it had loaded until then."""
    while process.poll() is None:
        if _has(pid, "SigCgt:"):
            return {line.split()[-1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if ".so" in line}
        time.sleep(0.001)
    raise AssertionError(process.communicate()[0])


def _module(name, *arguments):
    return sys.executable, "-P", "-m", f"taskbell.{name}", *arguments


COMMANDS = {
    **{name: _module(name, "--port", "0") for name in _SERVICES},
    "sweep": _module("sweeper"),
    "maintenance": _module("sweeper", "--kind", "maintenance"),
    "roles": _module("store", "roles", "--patience", "300"),
    "wait": _module("store", "wait", "--patience", "300"),
    "replay": _module("local", "replay", "--from", "P1D"),
    "deadletters": _module("local", "deadletters", "list"),
}


@EITHER
@pytest.mark.feature("K7")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_being_loaded_ends_at_once(begin, command, first):
    """SIGTERM is handled before any package is loaded, and ends the command with status 0."""
    process, pid = begin(*COMMANDS[command], first=first)
    loaded = _obeying(process, pid)
    os.kill(pid, signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert not [path for path in loaded if "site-packages" in path]


@pytest.mark.parametrize("first", [AS_FIRST])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_before_the_first_line_of_a_command_waits(begin, command, first):
    """Started as in the images, a command obeys a SIGTERM that came before Python ran, also as the first process."""
    process, pid = begin("env", "--block-signal=TERM", *COMMANDS[command], first=first)
    while process.poll() is None and not (_name(pid) != "unshare" and _has(pid, "SigBlk:")):
        time.sleep(0.0001)
    os.kill(pid, signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 0, output


@EITHER
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in {"operator", "maintenance"}])
def test_a_command_that_waits_for_a_store_ends_at_once(begin, command, silent, first):
    """SIGTERM ends a start whose stores accept connections and do not answer, with status 0."""
    process, pid = begin(*COMMANDS[command], first=first)
    port = int(silent.partition(":")[2])
    while process.poll() is None and not _connected(pid, port):
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 0, output


def _connected(pid, port):
    wanted = f":{port:04X} 01"  # established, seen from the client
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    inodes = {line.split()[9] for line in lines if wanted in " ".join(line.split()[2:4])}
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(file.readlink()).removeprefix("socket:[").removesuffix("]") in inodes:
                return True
        except FileNotFoundError:
            continue
    return False


@EITHER
@pytest.mark.parametrize("job", ["migrate", "maintenance", "definitions"])
def test_work_that_is_cut_off_is_to_be_done_again(begin, silent, tmp_path, job, first):
    """A job that SIGTERM ends does so at once, and does not report success: it would not be done again."""
    (tmp_path / "definitions.json").write_text('[{"metadata": {"name": "workerpools.taskbell.dev"}}]')
    command = {
        "migrate": _module("store", "migrate"),
        "maintenance": COMMANDS["maintenance"],
        "definitions": _module("operator.definitions", str(tmp_path), "--server", f"http://{silent}"),
    }[job]
    process, pid = begin("env", "--block-signal=TERM", *command, first=first)
    port = int(silent.partition(":")[2])
    while process.poll() is None and not _connected(pid, port):
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, output


def test_every_console_script_begins_so(begin):
    """The console scripts are the modules that are tried here, and handle SIGTERM as early."""
    folder = Path(sys.executable).parent
    scripts = sorted(path.name for path in folder.iterdir() if path.name.partition("-")[0] == "taskbell")
    assert scripts == sorted(["taskbell", "taskbell-sweeper", *(f"taskbell-{name}" for name in _SERVICES)])
    for script in scripts:
        process, pid = begin(str(folder / script), "--help", first=False)
        assert not [path for path in _obeying(process, pid) if "site-packages" in path]
        os.kill(pid, signal.SIGTERM)
        process.communicate()
        assert process.returncode == 0
