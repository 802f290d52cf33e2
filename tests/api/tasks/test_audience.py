"""Whose `me` channel carries a task's events."""


async def test_who_left_the_workspace_hears_no_more_of_what_they_created(person, join, owner, events):
    """Events of a task go to its creator by `me` only while the creator is a member of the task's workspace."""
    host, guest = await person(), await person()
    await join(guest, host, "member")
    task = await guest.create("Left behind", workspace_id=host.workspace_id)
    other = await host.create("Neighbour")
    await host.request("PATCH", f"/tasks/{task['id']}", json={"title": "Seen by its creator"})
    await owner.execute(
        "DELETE FROM memberships WHERE user_id = $1 AND workspace_id = $2", guest.user_id, host.workspace_id
    )
    await host.request("PATCH", f"/tasks/{task['id']}", json={"title": "Not any more"})
    await host.request("POST", f"/tasks/{task['id']}/move", json={"after": other["id"]})
    await host.request("DELETE", f"/tasks/{task['id']}")
    told = [(row["type"], [str(user) for user in row["audience"]]) for row in await events(task["id"])]
    assert told == [
        ("task.created", [guest.user_id]),
        ("task.updated", [guest.user_id]),
        ("task.updated", []),
        ("task.moved", []),
        ("task.deleted", []),
    ]
