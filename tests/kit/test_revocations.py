"""Which sessions have ended is read a little at a time, and nothing that commits late is missed."""

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from taskbell.kit import revocations
from taskbell.kit.looper import running
from taskbell.kit.revocations import Revocations
from taskbell.testing.waiting import eventually

_NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Ledger:
    """Ended sessions, read as the database gives them."""

    def __init__(self):
        self.rows = []
        self.reads, self.is_away = 0, False
        self._numbers = itertools.count(1)

    def end(self, *, at):
        """End a session so many seconds later; returns its id."""
        found = UUID(int=next(self._numbers))
        self.rows.append((_NOW + timedelta(seconds=at), found))
        return found

    async def read(self, after, keep, past, at_most):
        """Answer like the statement."""
        self.reads += 1
        if self.is_away:
            raise OSError
        since = after or _NOW - keep
        rows = sorted(row for row in self.rows if row > (since, past))
        return [(identity, at) for at, identity in rows[:at_most]]


@pytest.fixture
def ledger():
    """Sessions that have ended."""
    return Ledger()


@pytest.fixture
def ended(ledger):
    """What a process knows of them."""
    return Revocations(ledger.read, keep=timedelta(minutes=30), away=(OSError,))


async def test_each_is_known_and_told_once(ledger, ended):
    """Those of before the start are known, and each later one is told once, however often it is read."""
    earlier = ledger.end(at=-60)
    heard = []
    await ended.read()
    ended.listen(heard.append)
    later = [ledger.end(at=1), ledger.end(at=2)]
    for _ in range(3):
        await ended.read()
    assert all(each in ended for each in (earlier, *later))
    assert heard == later
    assert UUID(int=0) not in ended


async def test_it_reads_until_it_is_stopped(ledger, ended, monkeypatch):
    """What ends while a process runs becomes known, again and again; a time without an answer changes nothing."""
    monkeypatch.setattr(revocations, "EVERY", 0.01)
    async with running(ended.run, name="reader"):
        for _ in range(3):
            known, ledger.is_away = ledger.end(at=0), False
            await eventually(lambda known=known: known in ended, "the reader knows it")
            ledger.is_away, reads = True, ledger.reads
            await eventually(lambda reads=reads: ledger.reads > reads + 1, "the reader asks in vain")
            assert known in ended


async def test_what_commits_late_is_found(ledger, ended):
    """A transaction that says an earlier time than the newest one that is known is read all the same."""
    ledger.end(at=20)
    await ended.read()
    late = ledger.end(at=0)
    await ended.read()
    assert late in ended


async def test_many_are_read_in_pieces(ledger, ended, monkeypatch):
    """Also those that ended at one time: each read goes on after the last row of the one before."""
    monkeypatch.setattr(revocations, "_AT_ONCE", 10)
    many = [ledger.end(at=0) for _ in range(35)]
    await ended.read()
    assert all(each in ended for each in many)
    assert ledger.reads == 4


async def test_what_can_matter_no_more_is_forgotten(ledger, ended, monkeypatch):
    """After the life of an access token, and past a bound the first first."""
    old, young = ledger.end(at=0), ledger.end(at=1700)
    await ended.read()
    newest = ledger.end(at=1801)
    await ended.read()
    assert [each in ended for each in (old, young, newest)] == [False, True, True]
    monkeypatch.setattr(revocations, "MOST", 1)
    await ended.read()
    assert [each in ended for each in (young, newest)] == [False, True]
    assert len(ended) == 1
