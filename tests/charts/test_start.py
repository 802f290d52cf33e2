"""The rendered containers start: commands, arguments, environments and probes fit the programs."""

import httpx
import pytest

from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.timeout(600)  # every service starts at once


async def _register(stack):
    address = stack.local("http://demo-taskbell-api:8000")
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        person = {"email": "ada@example.org", "password": "correct horse battery", "name": "Ada"}
        made = await client.post("/v1/auth/register", json=person)
        assert made.status_code == httpx.codes.CREATED, made.text


@pytest.mark.feature("K7")
async def test_the_defaults_work_whole(bundled_stack):
    """With signing keys as the only value, every rendered container runs, and a user can register."""
    test = bundled_stack.rendered.one("Pod", "-test")
    said = await bundled_stack.run(test["spec"]["containers"][0], of="Pod/demo-taskbell-test")
    assert said.count("/readyz 200") == len(bundled_stack.rendered.of("Deployment"))
    assert bundled_stack.ran == {name for name, _ in bundled_stack.rendered.containers()}
    await _register(bundled_stack)


@pytest.mark.feature("K7", "K5", "T12")
async def test_stores_of_ones_own_work_and_the_operator_keeps_the_sweeps(stack):
    """It works with external stores too, and the operator's CronJob of each ReminderSchedule succeeds."""
    await _register(stack)
    # A revision without schema changes runs the Job's containers too, while everything serves.
    await stack.migrate()
    assert stack.ran >= {name for name, _ in stack.rendered.containers() if not name.startswith("Pod/")}
    store, schedules = stack.cluster.store, stack.cluster.kind("reminderschedules")
    for thing in stack.rendered.of("ReminderSchedule").values():
        store.create(schedules, "tasks", thing, manager="helm")
    await stack.cluster.wake()
    kind = stack.cluster.kind("cronjobs")

    def jobs():
        return {found["metadata"]["name"]: found for found in store.all(kind, "tasks")}

    made = await eventually(jobs, "both CronJobs", wanted=lambda found: len(found) == 2)
    assert set(made) == set(stack.rendered.of("ReminderSchedule"))
    selector = stack.rendered.one("NetworkPolicy", "-sweeper")["spec"]["podSelector"]["matchExpressions"][0]
    for name, cron_job in made.items():
        pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]
        assert pod["metadata"]["labels"][selector["key"]] in selector["values"]
        assert pod["spec"]["serviceAccountName"] in stack.rendered.of("ServiceAccount")
        (container,) = pod["spec"]["containers"]
        at_once = [word for word in container["args"] if word not in {"--until", "+60s"}]
        await stack.run({**container, "args": at_once}, of=f"CronJob/{name}")
