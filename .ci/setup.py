"""Make `.venv` what requirements.lock and pyproject.toml say, and do nothing when it already is.

Runs under any Python 3.11+ with the standard library alone. Safe to run twice at once: the second waits for the first.
`PIP_*` variables and pip's own configuration are left as they are.
"""

from __future__ import annotations

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
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "taskbell-setup"
LOG = ROOT / "build" / "setup.log"


def wanted() -> dict[str, str]:
    """What the environment depends on, each part as it stands now."""
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "place": str(ROOT),  # an editable install and its scripts name it
        "lock": hashlib.sha256(LOCK.read_bytes()).hexdigest(),
        "project": hashlib.sha256(_installed_part().encode()).hexdigest(),
    }


def _installed_part() -> str:
    """The sections of pyproject.toml that an installation reads; the tools' own need no new one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    parts = [project["build-system"], project["project"], project["tool"]["hatch"]]
    return json.dumps(parts, sort_keys=True)


def found() -> dict[str, str]:
    """What the last finished setup was made for; empty when there was none."""
    try:
        lines = STAMP.read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def say(text: str, *, over: bool = False) -> None:
    """Print progress: one line that changes on a terminal, else one line per step."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\033[K{text}")
    elif not over:
        sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def pip(*arguments: str, total: int = 0) -> None:
    """Run pip, showing how far it is; its whole output goes to the log, and its end to the user when it fails."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    done = 0
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in child.stdout or ():
            log.write(line)
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                done += 1
                if total:
                    say(f"setup: {min(done, total)} of {total} packages found", over=True)
            elif line.startswith("Installing collected packages") and total:
                say(f"setup: installing {total} packages")
    if child.wait() != 0:
        tail = "".join(LOG.read_text().splitlines(keepends=True)[-15:])
        raise SystemExit(f"\nsetup: pip failed; the whole log is in {LOG}\n{tail}")


def build(state: dict[str, str], before: dict[str, str]) -> None:
    """Bring the environment to `state`."""
    LOG.write_text("")
    STAMP.unlink(missing_ok=True)
    if not PYTHON.exists() or any(before.get(key) != state[key] for key in ("python", "place")):
        say(f"setup: making .venv with Python {sys.version.split()[0]}")
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(VENV)
        before = {}
    if before.get("lock") != state["lock"]:
        total = len(re.findall(r"^[A-Za-z0-9].*==", LOCK.read_text(), re.MULTILINE))
        say(f"setup: installing from requirements.lock ({total} packages; a minute or two the first time)")
        pip("--require-hashes", "-r", str(LOCK), total=total)
    say("setup: installing taskbell itself")
    pip("--no-deps", "--no-build-isolation", "-e", str(ROOT))
    STAMP.write_text("".join(f"{key}={value}\n" for key, value in state.items()))
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
        state, before = wanted(), found()
        if state != before or not PYTHON.exists():
            build(state, before)


if __name__ == "__main__":
    main()
