"""Whose a CronJob is: names that are taken, references that somebody removed, and what an orphaning deletion leaves."""

import contextlib
import time

import pytest

from taskbell.operator.cluster import ObjectChanged
from taskbell.operator.specs.cron_job import DECLARED
from taskbell.testing.waiting import eventually

BATCH = "batch/v1"


@pytest.fixture
def cron_job(place):
    """Change the CronJob `due`, as a person does."""

    async def change(by):
        await place.change(place.kubectl.at("cronjobs", "due", group=BATCH), by)

    return change


async def owner_uids(place):
    """The owners of the CronJob."""
    found = await place.cron_job()
    return found and [owner["uid"] for owner in found["metadata"].get("ownerReferences", [])]


async def test_a_name_that_becomes_free_is_taken_at_once(place, operate):
    """When the foreign CronJob is deleted, the schedule gets its own by the watch and not at the next regular look."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "mine", "image": "mine:1"}]}
    spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    foreign = {"apiVersion": BATCH, "kind": "CronJob", "metadata": {"name": "due"}, "spec": spec}
    await place.kubectl.must("POST", place.kubectl.at("cronjobs", group=BATCH), foreign)
    await place.make()
    async with operate():
        await place.becomes("Ready", "False", "NameTaken")
        (ready, *_) = (await place.status())["conditions"]
        assert "belongs to somebody else: delete the CronJob, or" in ready["message"]
        began = time.monotonic()
        await place.delete("cronjobs", "due", group=BATCH)
        await place.becomes("Ready", "True", "CronJobKept")
        await place.settled()
        assert time.monotonic() - began < 60, "resyncs come every 3600 s in this test"
    assert (await place.cron_job())["spec"]["schedule"] == "* * * * *"
    assert await place.condition("Degraded") == ("False", "Healthy")


@pytest.mark.parametrize("labels", ["kept", "removed"])
async def test_owner_references_that_somebody_removed_come_back(place, operate, cron_job, labels):
    """A CronJob without its ownerReferences, and perhaps without its labels, gets them back at once."""
    uid = (await place.make())["metadata"]["uid"]
    async with operate():
        await place.settled()

        def strip(body):
            body["metadata"].pop("ownerReferences")
            if labels == "removed":
                body["metadata"].pop("labels")

        await cron_job(strip)

        async def back():
            return await owner_uids(place) == [uid]

        await eventually(back, "the reference is back")
        await place.settled()
    assert await place.condition("Ready") == ("True", "CronJobKept")


async def test_what_an_orphaning_deletion_leaves_is_adopted(place, operate):
    """`--cascade=orphan` leaves a CronJob that works on; a schedule of the same name adopts it, with an event."""
    await place.make()
    async with operate():
        await place.settled()
        uid = (await place.cron_job())["metadata"]["uid"]
        path = place.kubectl.at("reminderschedules", "due")
        await place.kubectl.must("DELETE", path, {"kind": "DeleteOptions", "propagationPolicy": "Orphan"})

        async def alone():
            return await place.kubectl.get(path) is None and await owner_uids(place) == []

        if place.kubectl.server.collects_garbage:
            await eventually(alone, "the CronJob stays alone")
        new = (await place.make(schedule="*/5 * * * *"))["metadata"]["uid"]

        async def adopted():
            return await owner_uids(place) == [new]

        await eventually(adopted, "it is adopted")
        await place.settled()
    found = await place.cron_job()
    assert (found["metadata"]["uid"], found["spec"]["schedule"]) == (uid, "*/5 * * * *")
    assert "CronJobAdopted" in await place.events()


@pytest.mark.parametrize("reads", [1, 2])
async def test_an_orphaning_deletion_in_the_middle_of_a_pass_leaves_the_cron_job_alone(
    place, due, cluster, cron_job, monkeypatch, reads
):
    """A pass that began before `--cascade=orphan` gives the CronJob no reference back, or it would be deleted."""
    if not place.kubectl.server.collects_garbage:
        pytest.skip("this API server takes no references away")
    await place.make()
    await due()()

    def drift(body):
        body["spec"]["schedule"] = "0 0 1 1 *"

    await cron_job(drift)
    path, left = place.kubectl.at("reminderschedules", "due"), reads

    async def alone():
        return await place.kubectl.get(path) is None and await owner_uids(place) == []

    async def get(*args, plain=cluster.get, **how):
        nonlocal left
        found, left = await plain(*args, **how), left - 1
        if left == 0:
            await place.kubectl.must("DELETE", path, {"kind": "DeleteOptions", "propagationPolicy": "Orphan"})
            await eventually(alone, "the CronJob stays alone")
        return found

    monkeypatch.setattr(cluster, "get", get)
    with contextlib.suppress(ObjectChanged):  # the pass is repeated
        await due()()
    assert await owner_uids(place) == []


async def test_a_copy_of_a_cron_job_is_not_adopted(place, operate):
    """A CronJob that somebody made with the operator's mark, but without its label, is somebody else's."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "mine", "image": "mine:1"}]}
    spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    metadata = {"name": "due", "annotations": {DECLARED: "0123456789abcdef"}}
    copied = {"apiVersion": BATCH, "kind": "CronJob", "metadata": metadata, "spec": spec}
    await place.kubectl.must("POST", place.kubectl.at("cronjobs", group=BATCH), copied)
    await place.make()
    async with operate():
        await place.becomes("Ready", "False", "NameTaken")
    assert (await place.cron_job())["spec"]["schedule"] == "0 0 * * *"
