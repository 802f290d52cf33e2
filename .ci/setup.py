"""Bring `.venv` to what the lock and pyproject.toml name; do nothing when it is there already.

    setup.py          installs what running needs: requirements-run.lock
    setup.py --all    adds what tests, checks and measurements need: requirements.lock

Runs under any Python 3.11+ with the standard library alone. Safe to run twice at once: the second waits for the first.
pip installs uv from the lock, and uv installs the rest with pip's settings. Where uv does not work, pip does it all.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / "requirements-run.lock"
ALL = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
STAMP = VENV / "taskbell-setup"
LOG = ROOT / "build" / "setup.log"

UV_VARIABLES = {
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "no-index": "UV_NO_INDEX",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "trusted-host": "UV_INSECURE_HOST",
}
"""The settings of pip that say where packages come from, and uv's variable for each."""


def wanted(*, everything: bool) -> dict[str, str]:
    """What the environment depends on, each part as it stands now."""
    locks = (RUN, ALL) if everything else (RUN,)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    # The sections that an installation reads; the tools' own need no new one.
    installed = json.dumps([project["build-system"], project["project"], project["tool"]["hatch"]], sort_keys=True)
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "place": str(ROOT),  # an editable install and its scripts name it
        **{lock.name: hashlib.sha256(lock.read_bytes()).hexdigest() for lock in locks},
        "project": hashlib.sha256(installed.encode()).hexdigest(),
    }


def found() -> dict[str, str]:
    """What earlier runs finished; empty when there were none."""
    try:
        lines = STAMP.read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def record(done: dict[str, str]) -> None:
    """Remember what is finished, so that a run after a failure goes on from there."""
    STAMP.write_text("".join(f"{key}={value}\n" for key, value in done.items()))


def say(text: str, *, over: bool = False) -> None:
    """Print progress: one line that changes on a terminal, else one line per step (none if the text is passing)."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\033[K{text[:100]}")
    elif not over:
        sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def ran(*command: str | Path, env: dict[str, str] | None = None) -> bool:
    """Run a command with its output in the log, show its progress, and tell whether it succeeded."""
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(map(str, command))}\n")
        log.flush()
        child = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in child.stdout or ():
            log.write(line)
            if line.lstrip().startswith(("Collecting", "Downloading", "Installing", "Prepared", "Resolved")):
                say(f"setup: {line.strip()}", over=True)
    return child.wait() == 0


def pip(*arguments: str | Path) -> bool:
    """Install with pip, and tell whether it succeeded."""
    return ran(PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments)


def install(*arguments: str | Path) -> None:
    """Install with uv, or with pip where uv does not work.

    Raises:
        SystemExit: pip failed too; the message holds the end of the log.
    """
    # Compiled now, on all cores: otherwise every program that starts compiles the same modules.
    uv = (UV, "pip", "install", "--compile-bytecode", "--python", PYTHON)
    if UV.exists() and ran(*uv, *arguments, env=uv_environment()):
        return
    say("setup: uv does not work here; installing with pip, which takes a few minutes")
    if not pip(*arguments):
        tail = "".join(LOG.read_text().splitlines(keepends=True)[-15:])
        raise SystemExit(f"\nsetup: pip failed; the whole log is in {LOG}\n{tail}")


def install_uv() -> None:
    """Install uv as the lock pins it, where it has a wheel for this platform."""
    entry = re.search(r"^uv==.*?(?=^\S|\Z)", RUN.read_text(), re.MULTILINE | re.DOTALL)
    pinned = LOG.parent / "uv.lock"
    pinned.write_text(entry.group() if entry else "")
    pip("--only-binary", ":all:", "--require-hashes", "--requirement", pinned)


def uv_environment() -> dict[str, str]:
    """The environment for uv, which does not read pip's configuration: index, certificate and proxy handed on.

    A variable of uv's own that is set stays.
    """
    command = (PYTHON, "-m", "pip", "config", "list")
    lines = subprocess.run(command, check=False, capture_output=True, text=True).stdout.splitlines()
    settings: dict[str, str] = {}
    for scope in ("global", "install", ":env:"):  # as pip has it, the later wins
        for line in lines:
            key, _, value = line.removeprefix(f"{scope}.").partition("=")
            if line.startswith(f"{scope}.") and key in UV_VARIABLES:
                settings[UV_VARIABLES[key]] = ast.literal_eval(value)
    many = {"UV_FIND_LINKS": ",", "UV_INDEX": " ", "UV_INSECURE_HOST": " "}
    settings |= {name: between.join(settings[name].split()) for name, between in many.items() if name in settings}
    # As pip does: the system's certificates, and the best version of any index (the hashes say which file is right).
    return {"UV_SYSTEM_CERTS": "1", "UV_INDEX_STRATEGY": "unsafe-best-match", **settings, **os.environ}


def build(state: dict[str, str]) -> None:
    """Bring the environment to `state`, adding only what is missing."""
    LOG.write_text("")
    done = found()
    if not PYTHON.exists() or any(done.get(key) != state[key] for key in ("python", "place")):
        say(f"setup: making .venv with Python {sys.version.split()[0]}")
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(VENV)
        done = {key: state[key] for key in ("python", "place")}
        record(done)
    lock = ALL if ALL.name in state else RUN
    if done.get(lock.name) != state[lock.name]:
        total = len(re.findall(r"^[A-Za-z0-9].*==", lock.read_text(), re.MULTILINE))
        say(f"setup: installing {total} packages from {lock.name}")
        record(done := {key: value for key, value in done.items() if key not in {RUN.name, ALL.name}})
        if not UV.exists():
            install_uv()
        install("--require-hashes", "--requirement", lock)
        record(done := done | {key: state[key] for key in (RUN.name, ALL.name) if key in state})
    if done.get("project") != state["project"]:
        say("setup: installing taskbell itself")
        install("--no-deps", "--no-build-isolation", "--editable", ROOT)
        record(done | {"project": state["project"]})
    say("setup: done\n" if sys.stdout.isatty() else "setup: done")


def main() -> None:
    """Set up if needed, one process at a time."""
    os.chdir(ROOT)
    LOG.parent.mkdir(exist_ok=True)
    with (LOG.parent / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("setup: waiting for another setup of this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        state = wanted(everything="--all" in sys.argv[1:])
        if not PYTHON.exists() or not state.items() <= found().items():
            build(state)


if __name__ == "__main__":
    main()
