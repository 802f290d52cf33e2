"""Works with the generated Python client: creates, lists, updates and moves tasks, is refused, prints what it saw."""

import json
import os
import sys
import uuid

import taskbell_client as taskbell

configuration = taskbell.Configuration(host=os.environ["TASKBELL_URL"], access_token=os.environ["TASKBELL_TOKEN"])
with taskbell.ApiClient(configuration) as client:
    tasks = taskbell.TasksApi(client)
    first, second, third = (tasks.create_task(taskbell.TaskCreate(title=title)) for title in ("One", "Two", "Three"))
    titles, cursor = [], None
    while True:
        page = tasks.list_tasks(limit=2, cursor=cursor)
        titles += [task.title for task in page.items]
        cursor = page.meta.next_cursor
        if cursor is None:
            break
    answer = tasks.update_task_with_http_info(first.id, taskbell.TaskPatch(status="in_progress"), if_match='"1"')
    moved = tasks.move_task(first.id, taskbell.TaskMove(after=third.id))
    refusals = []
    for refused in (
        lambda: tasks.update_task(first.id, taskbell.TaskPatch(title="Late"), if_match='"1"'),
        lambda: tasks.get_task(uuid.uuid4()),
    ):
        try:
            refused()
        except taskbell.ApiException as error:
            refusals.append([error.status, error.data.code])
    sys.stdout.write(
        json.dumps(
            {
                "titles": titles,
                "status": answer.data.status,
                "etag": answer.headers["etag"],
                "due_at": answer.data.due_at,
                "moved": [moved.id == first.id, moved.position > third.position],
                "order": [task.title for task in tasks.list_tasks().items],
                "refusals": refusals,
            }
        )
    )
