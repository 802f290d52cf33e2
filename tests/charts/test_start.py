"""The rendered containers start: commands, arguments, environments and probes fit the programs."""

import asyncio

import httpx
import pytest


@pytest.mark.feature("K7")
async def test_the_rendered_platform_works(stack):
    """From an empty database the Job's and pods' own commands bring up a platform on which an account is made."""
    test = stack.rendered.one("Pod", "-test")
    said = await stack.run(test["spec"]["containers"][0])
    assert said.count("/readyz 200") == len(stack.rendered.of("Deployment"))
    address = stack.local("http://demo-taskbell-api:8000")
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        person = {"email": "ada@example.org", "password": "correct horse battery", "name": "Ada"}
        made = await client.post("/v1/auth/register", json=person)
        assert made.status_code == httpx.codes.CREATED, made.text
    # A revision that changes no schema runs the Job's containers, too, while everything serves.
    job = stack.rendered.one("Job", "-migrations-1")["spec"]["template"]["spec"]
    for container in [*job["initContainers"], *job["containers"]]:
        await stack.run(container)


@pytest.mark.feature("K5")
async def test_the_operator_keeps_the_sweeps_which_work(stack):
    """The rendered operator makes a CronJob of each rendered ReminderSchedule, and what it would start ends well."""
    store, schedules = stack.cluster.store, stack.cluster.kind("reminderschedules")
    for thing in stack.rendered.of("ReminderSchedule").values():
        store.create(schedules, "tasks", thing, manager="helm")
    await stack.cluster.wake()
    kind = stack.cluster.kind("cronjobs")
    made = {}
    async with asyncio.timeout(30):
        while len(made) < 2:
            await asyncio.sleep(0.05)
            made = {found["metadata"]["name"]: found for found in store.all(kind, "tasks")}
    assert set(made) == set(stack.rendered.of("ReminderSchedule"))
    selector = stack.rendered.one("NetworkPolicy", "-sweeps")["spec"]["podSelector"]["matchExpressions"][0]
    for cron_job in made.values():
        pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]
        assert pod["metadata"]["labels"][selector["key"]] in selector["values"]
        assert pod["spec"]["serviceAccountName"] in stack.rendered.of("ServiceAccount")
        (container,) = pod["spec"]["containers"]
        at_once = [word for word in container["args"] if word not in {"--until", "+60s"}]
        await stack.run({**container, "args": at_once})
