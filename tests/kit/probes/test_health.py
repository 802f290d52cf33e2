import asyncio

from taskbell.kit.probes import health


async def _well():
    """A part that is well."""


async def _unwell():
    raise ConnectionRefusedError("secret address")


async def _silent():
    await asyncio.Event().wait()


async def test_all_parts_are_examined_at_once():
    """Each part is reported by name; one failure fails the whole, without details."""
    found = await health.examine({"database": _well, "bus": _unwell, "disk": _silent}, deadline=0.05)
    assert not found.ok
    assert found.checks == {
        "database": "ok",
        "bus": "ConnectionRefusedError",
        "disk": "no answer within 0.05 s",
    }


async def test_well_is_when_every_part_is():
    """Without a failing check the whole is well."""
    assert (await health.examine({"one": _well, "two": _well})).ok


async def test_checks_run_side_by_side():
    """Two parts that wait for each other both pass: no check waits for another."""
    barrier = asyncio.Barrier(2)
    found = await health.examine({"one": barrier.wait, "two": barrier.wait})
    assert found.ok
