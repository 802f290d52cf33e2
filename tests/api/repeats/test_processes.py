"""Two API processes, and one that is killed between the commit of a change and its answer."""

import asyncio
import contextlib
import os
import sys
from functools import partial
from urllib.parse import urlsplit

import httpx
import pytest

from taskbell.kit.entry import listen
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.timeout(300)

_COMMIT = b"COMMIT\x00"
"""The message with which a transaction ends."""


class Commits:
    """What stands between an API process and PostgreSQL: it holds back the commit of a change, or the news of it."""

    def __init__(self, url):
        self._to = urlsplit(url)
        self.holds = None
        self.seen = asyncio.Event()
        self._tasks = set()

    @property
    def url(self):
        """The database, by this way."""
        host, port = self._server.sockets[0].getsockname()
        return self._to._replace(netloc=f"{self._to.username}:{self._to.password}@{host}:{port}").geturl()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_error):
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self):
        """Close every connection at once."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        with contextlib.suppress(ConnectionError):
            above, below = await asyncio.open_connection(self._to.hostname, self._to.port)
            held = asyncio.Event()
            there = asyncio.create_task(self._requests(reader, below, held))
            back = asyncio.create_task(self._answers(above, writer, held))
            try:
                await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in (there, back):
                    each.cancel()
                below.close()
                writer.close()

    async def _requests(self, reader, below, held):
        while data := await reader.read(65536):
            if self.holds is not None and _COMMIT in data:
                if self.holds == "commit":
                    self.seen.set()
                    await asyncio.Event().wait()
                held.set()
            below.write(data)
            await below.drain()
            if held.is_set():
                self.seen.set()

    async def _answers(self, above, writer, held):
        while data := await above.read(65536):
            if held.is_set():
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()


@pytest.fixture
async def start(settings):
    """Starts API processes on one database; each call gives a client and the process."""
    async with contextlib.AsyncExitStack() as stack:

        async def started(database_url=None):
            with listen(host="127.0.0.1", port=0) as listening:
                environment = {
                    "TASKBELL_DATABASE_URL": database_url or settings.database_url.get_secret_value(),
                    "TASKBELL_NATS_URL": settings.nats_url.get_secret_value(),
                    "TASKBELL_SIGNING_KEYS": settings.signing_keys.get_secret_value(),
                    "TASKBELL_LOG_LEVEL": "ERROR",
                    "TASKBELL_RATE_LIMIT_PER_MINUTE": "1000000",
                    "TASKBELL_IDEMPOTENCY_WAIT": "PT9S",
                }
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "taskbell.api", "--fd", str(listening.fileno())),
                    env={**os.environ, **environment},
                    pass_fds=[listening.fileno()],
                )
                address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            stack.push_async_callback(_end, process)
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=address, trust_env=False, timeout=60))

            async def ready():
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get("/readyz")).status_code == httpx.codes.OK

            await eventually(ready, "the API is ready")
            return client, process

        yield started


async def _end(process):
    if process.returncode is None:
        process.kill()
    await process.wait()


def _create(client, person, key="k", title="One"):
    return client.post("/v1/tasks", headers=person.headers | {"Idempotency-Key": key}, json={"title": title})


async def test_fifty_at_once_over_two_processes_are_one(start, ann, same):
    """50 equal requests to two processes make one task, with 50 equal answers; so in ten rounds with other keys."""
    first, second = (await start())[0], (await start())[0]
    for number in range(10):
        send = partial(_create, person=ann, key=f"k{number}", title=f"{number}")
        answers = await asyncio.gather(*(send((first, second)[each % 2]) for each in range(50)))
        (original,) = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
        assert original.status_code == 201, original.text
        assert all(same(original, answer) for answer in answers if answer is not original)
    assert await ann.titles() == [str(number) for number in range(10)]


async def test_a_process_killed_between_commit_and_answer(start, ann, owner, database):
    """The change is committed, its process is killed before it knows: the repeat gets its answer; there is one task."""
    async with Commits(database.api_url) as commits:
        client, process = await start(commits.url)
        commits.holds = "answer"
        lost = asyncio.create_task(_create(client, ann))
        await commits.seen.wait()
        await eventually(partial(owner.fetchval, "SELECT count(*) FROM kept_answers"), "the change is committed")
        assert not lost.done()
        process.kill()
        with pytest.raises(httpx.TransportError):
            await lost
    (task,) = (await ann.send(None, method="GET")).json()["items"]
    client, _ = await start()
    again = await _create(client, ann)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == task
    assert again.headers["location"] == f"/v1/tasks/{task['id']}"
    assert await ann.titles() == ["One"]


async def test_a_process_killed_before_the_commit(start, ann, owner, database):
    """What was not committed is not there: the repeat makes the task, and nothing is replayed."""
    async with Commits(database.api_url) as commits:
        client, process = await start(commits.url)
        commits.holds = "commit"
        lost = asyncio.create_task(_create(client, ann))
        await commits.seen.wait()
        process.kill()
        with pytest.raises(httpx.TransportError):
            await lost
    assert await owner.fetchval("SELECT count(*) FROM kept_answers") == 0
    assert await ann.titles() == []
    again = await ann.send("k", json={"title": "One"})
    assert (again.status_code, "idempotency-replayed" in again.headers) == (201, False)
    assert await ann.titles() == ["One"]


async def test_a_process_that_does_not_learn_of_its_commit(start, ann, database):
    """PostgreSQL goes away at the commit: 503 tells that nothing is known. The repeat, to the same process, replays."""
    async with Commits(database.api_url) as commits:
        client, _ = await start(commits.url)
        commits.holds = "answer"
        unknown = asyncio.create_task(_create(client, ann))
        await commits.seen.wait()
        await eventually(ann.titles, "the change is committed")
        commits.holds = None
        commits.cut()
        assert (await unknown).status_code == 503
        again = await _create(client, ann)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert await ann.titles() == ["One"]
