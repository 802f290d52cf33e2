"""What the watches notice."""


async def test_a_label_that_a_hand_took_away_comes_back(place, operate, until):
    """A CronJob without the operator's labels is still known by its owner, and gets them again at once."""
    await place.make()
    async with operate():
        await place.settled()
        labels = (await place.cron_job())["metadata"]["labels"]
        path = place.kubectl.at("cronjobs", "due", group="batch/v1")
        await place.change(path, lambda body: body["metadata"].update(labels={}))

        async def back():
            return (await place.cron_job())["metadata"].get("labels") == labels

        await until(back, what="the labels are back")
