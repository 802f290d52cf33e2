"""The relay's memory is bounded, however large the events are that wait for it."""

import resource

from taskbell.contract.events import MAX_DATA_BYTES
from taskbell.testing.waiting import eventually

_BOUND = 128 * 2**20
"""Bytes: half of the limit of `relay.resources` in the chart."""


async def test_a_window_of_the_largest_events_fits_its_memory(table, stream, relay_process, memory_of):
    """600 events of the largest size, 96 MB, are published by a relay that may have half of its chart's limit."""
    process = (await relay_process(LOG_LEVEL="ERROR")).process
    memory = memory_of("relay")
    resource.prlimit(process.pid, resource.RLIMIT_DATA, (_BOUND, _BOUND))
    await table.connection.execute(
        "INSERT INTO events (workspace_id, type, subject_id, audience, data)"
        " SELECT gen_random_uuid(), 'task.updated', gen_random_uuid(), '{}', json_build_object('pad', repeat('x', $1))"
        " FROM generate_series(1, 600)",
        MAX_DATA_BYTES - 100,
    )

    async def published():
        assert process.returncode is None
        return await stream.length() >= 600

    await eventually(published, "600 messages")
    assert memory.peak(process.pid) < _BOUND
