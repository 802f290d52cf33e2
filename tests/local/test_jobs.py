"""Jobs: run to their end, and again."""

import asyncio
import os

import pytest

from taskbell.local.jobs import Job, JobFailed, always


class Repeated:
    """A job that fails at first, then ends well twice, then stays."""

    def __init__(self):
        self.runs = 0
        self.stays = asyncio.Event()

    async def run(self):
        """One run."""
        self.runs += 1
        if self.runs == 1:
            raise JobFailed("the first")
        if self.runs == 4:
            self.stays.set()
            await asyncio.Event().wait()


async def test_a_job_that_ends_runs_again():
    """The next job starts when one ends; a failure is reported and does not end the schedule."""
    job, told = Repeated(), []
    running = asyncio.create_task(always(job, pause=0.01, tell=told.append))
    await job.stays.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert told == ["the first"]


async def test_a_job_that_fails_says_where_to_look(tmp_path):
    """The error names the job, its status, its last words and its log."""
    job = Job(name="remind", module=("taskbell.sweeper", "--shard", "9/1"), env=dict(os.environ), logs=tmp_path)
    with pytest.raises(JobFailed, match=r"remind failed: exit status 2.*9/1.*remind\.log"):
        await job.run()
