"""Changes that the watches see."""

from taskbell.testing.waiting import eventually


async def test_a_label_that_somebody_removed_comes_back(place, operate):
    """A CronJob without the operator's labels is still found by its owner, and gets them back at once."""
    await place.make()
    async with operate():
        await place.settled()
        labels = (await place.cron_job())["metadata"]["labels"]
        path = place.kubectl.at("cronjobs", "due", group="batch/v1")
        await place.change(path, lambda body: body["metadata"].update(labels={}))

        async def back():
            return (await place.cron_job())["metadata"].get("labels") == labels

        await eventually(back, "the labels are back")


async def test_a_user_without_a_name_may_run_it(place, operate, monkeypatch):
    """The user of a container may be a number alone, which the system has no name for."""

    def unknown():
        raise OSError("No username set in the environment")

    monkeypatch.setattr("getpass.getuser", unknown)
    await place.make()
    async with operate():
        await place.settled()
