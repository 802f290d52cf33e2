"""Clients that openapi-generator makes of the OpenAPI document build and work with a running platform.

They need the generator, java, and the tools of their language; `make clients` tells the generator (docs/how-to).
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taskbell.testing.platform import Platform

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs/reference/openapi.json"
MINUTES = 60.0


def generator():
    """The command of openapi-generator, or a skipped test."""
    jar = os.environ.get("TASKBELL_OPENAPI_GENERATOR")
    if jar:
        if not shutil.which("java"):
            pytest.skip("there is no java to run openapi-generator with")
        assert Path(jar).is_file(), f"TASKBELL_OPENAPI_GENERATOR: there is no file {jar}"
        return ["java", "-jar", jar]
    found = shutil.which("openapi-generator-cli") or shutil.which("openapi-generator")
    if not found:
        pytest.skip("no openapi-generator: `make clients GENERATOR=openapi-generator-cli.jar` tells where it is")
    return [found]


def run(*command, cwd, **environment):
    """Run a command to its end and return what it printed; a failure shows all of it."""
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=8 * MINUTES,
        check=False,
    )
    assert ended.returncode == 0, f"{command[0]}: {ended.stdout[-4000:]}\n{ended.stderr[-4000:]}"
    return ended.stdout


def python(folder, environment):
    """Drive the Python client; what it needs is installed with the tools of the tests."""
    return run(sys.executable, HERE / "drive.py", cwd=folder, PYTHONPATH=str(folder), **environment)


def typescript(folder, environment):
    """Compile the TypeScript client with the program that drives it, and run it."""
    shutil.copy(HERE / "drive.ts", folder / "src")
    run("npm", "install", "--no-audit", "--no-fund", "typescript@5", "@types/node@20", cwd=folder)
    run("npx", "tsc", cwd=folder)
    return run("node", "dist/drive.js", cwd=folder, **environment)


def go(folder, environment):
    """Compile the Go client with the program that drives it, and run it."""
    shutil.rmtree(folder / "test", ignore_errors=True)  # stubs that need a library of their own
    (folder / "drive").mkdir()
    shutil.copy(HERE / "drive.go", folder / "drive")
    run("go", "mod", "tidy", cwd=folder)
    run("go", "vet", "./...", cwd=folder)
    return run("go", "run", "./drive", cwd=folder, **environment)


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """A running platform."""
    with Platform(tmp_path_factory.mktemp("platform")).up() as running:
        yield running


@pytest.mark.timeout(15 * MINUTES)
@pytest.mark.parametrize(
    ("language", "tool", "options", "drive"),
    [
        ("python", sys.executable, ["packageName=taskbell_client"], python),
        ("typescript-fetch", "npm", ["npmName=taskbell-client", "supportsES6=true"], typescript),
        ("go", "go", ["packageName=taskbell", "enumClassPrefix=true"], go),
    ],
)
async def test_a_generated_client_works(request, tmp_path, language, tool, options, drive):
    """It builds without a change, and creates, lists, updates and moves tasks; a refusal is a typed problem."""
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool}")
    command = [*generator(), "generate", "-i", DOCUMENT, "-g", language, "-o", tmp_path]
    told = run(
        *command,
        *("--additional-properties", ",".join(options), "--git-user-id", "taskbell", "--git-repo-id", "client"),
        cwd=tmp_path,
    )
    assert "not yet supported" not in told
    platform = request.getfixturevalue("platform")
    account = await platform.register(f"{language}@example.com")
    seen = json.loads(drive(tmp_path, {"TASKBELL_URL": platform.api_url, "TASKBELL_TOKEN": account.token}))
    assert seen == {
        "titles": ["One", "Two", "Three"],
        "status": "in_progress",
        "etag": '"2"',
        "due_at": None,
        "moved": [True, True],
        "order": ["Two", "Three", "One"],
        "refusals": [[412, "version_mismatch"], [404, "not_found"]],
    }
