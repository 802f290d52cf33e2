"""`taskbell devices` on a real platform."""

import json
import os
import subprocess
import sys

import pytest

from taskbell.testing.platform import Platform

pytestmark = pytest.mark.feature("T11")


def taskbell(platform, *arguments):
    """Run the command line next to a platform."""
    return subprocess.run(
        [sys.executable, "-m", "taskbell.local", *arguments],
        env=platform.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


async def test_a_newcomer_sees_push_alerts_arrive_without_any_account(tmp_path):
    """Three devices of the demo account show that it was invited, and that somebody assigned a task to it."""
    platform = Platform(tmp_path, TASKBELL_API_WORKERS="1")
    with platform.up():
        for kind in ("fcm", "apns", "webpush"):
            done = taskbell(platform, "devices", "add", "--demo", "--kind", kind, "--json")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["kind"] == kind
        await assign_to_demo(platform, "Water the plants")
        done = taskbell(platform, "devices", "watch", "--all", "--count", "6", "--json")
        assert done.returncode == 0, done.stderr
        pushes = [json.loads(line) for line in done.stdout.splitlines()]
        for told in ("Invitation to a workspace", "Water the plants"):
            about = [push for push in pushes if told in push["line"]]
            assert {push["provider"] for push in about} == {"fcm", "apns", "webpush"}, done.stdout
            assert len({push["notification_id"] for push in about}) == 1
        assert taskbell(platform, "doctor").returncode == 0


async def assign_to_demo(platform, title):
    """Let another account invite the demo account, and assign a task to it."""
    ann = await platform.register("ann@example.com")
    async with platform.client(account=ann) as client, platform.client() as demo:
        given = platform.run["demo"]
        signed = (await demo.post("/v1/auth/login", json=given)).raise_for_status().json()
        demo.headers["authorization"] = f"Bearer {signed['access_token']}"
        me = (await demo.get("/v1/me")).raise_for_status().json()
        invited = await client.post(
            f"/v1/workspaces/{ann.workspace_id}/members", json={"email": given["email"], "role": "member"}
        )
        assert invited.is_success, invited.text
        for invitation in (await demo.get("/v1/invitations")).json().get("items", []):
            (await demo.post(f"/v1/invitations/{invitation['id']}/accept")).raise_for_status()
        task = {"title": title, "workspace_id": ann.workspace_id, "assignee_ids": [me["id"]]}
        (await client.post("/v1/tasks", json=task)).raise_for_status()


def test_without_a_platform_it_says_so(tmp_path):
    """Where nothing runs, the command is one line and status 1."""
    environment = {**os.environ, "TASKBELL_DATA_DIR": str(tmp_path)}
    for words in (["add", "--demo"], ["watch"]):
        done = subprocess.run(
            [sys.executable, "-m", "taskbell.local", "devices", *words],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("taskbell: no platform runs here")
