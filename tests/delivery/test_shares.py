"""Who gets the next places of a worker."""

import heapq
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskbell.delivery.lookout import Lookout
from taskbell.delivery.shares import MOST_KNOWN, Places, Queue, Shares
from taskbell.kit.ids import new_id

_LIMITS = Places(all=64, per_receiver=8, per_workspace=32)


def _queue(workspace=None, waiting=1_000, channel="webhook"):
    workspace = workspace or new_id()
    return Queue(
        id=workspace if channel == "email" else new_id(), channel=channel, workspace_id=workspace, waiting=waiting
    )


class Worker:
    """A worker whose attempts take as long as this test says, in the time of this test."""

    def __init__(self, limits=_LIMITS):
        self.shares = Shares(limits)
        self.now = 0.0
        self.due = {}
        self.waited = {}
        self._seconds = {}
        self._since = {}
        self._ends = []

    def add(self, queue, *, takes, count=1_000_000):
        """Something is due."""
        self.due[queue] = self.due.get(queue, 0) + count
        self._seconds[queue] = takes
        self._since.setdefault(queue, self.now)
        self._serve()

    def pass_time(self, seconds):
        """Let attempts end."""
        until = self.now + seconds
        while self._ends and self._ends[0][0] <= until:
            self.now, _, place = heapq.heappop(self._ends)
            self.shares.release(place, now=self.now)
            self.shares.learn(place.queue, seconds=self._seconds[place.queue], failing=False)
            self._serve()
        self.now = until

    def places(self, workspace):
        """How many a workspace has."""
        return sum(place.queue.workspace_id == workspace for place in self.shares.taken)

    def _serve(self):
        queues = [
            Queue(id=queue.id, channel=queue.channel, workspace_id=queue.workspace_id, waiting=count)
            for queue, count in self.due.items()
            if count
        ]
        known = {queue.key: queue for queue in self.due}
        for found, places in self.shares.grant(queues, now=self.now).items():
            queue = known[found]
            self.due[queue] -= places
            self.waited[queue] = self.now - self._since.pop(queue, self.now)
            for _ in range(places):
                place = self.shares.take(queue, now=self.now)
                heapq.heappush(self._ends, (self.now + self._seconds[queue], id(place), place))


@pytest.mark.parametrize("hogs", [1, 2, 5])
@pytest.mark.parametrize("known", [True, False])
def test_whoever_is_quick_waits_for_nobody_who_is_slow(hogs, known):
    """Twenty webhooks each of some workspaces accept after 14 s: an event of another starts at once."""
    worker = Worker()
    mine = _queue()
    if known:
        worker.add(mine, takes=0.05, count=1)
        worker.pass_time(1.0)
    for workspace in [new_id() for _ in range(hogs)]:
        for _ in range(20):
            worker.add(_queue(workspace), takes=14.0)
    for _ in range(60):
        worker.pass_time(1.7)
        worker.add(mine, takes=0.05, count=1)
        assert worker.waited[mine] == 0.0


def test_many_workspaces_with_new_webhooks_that_hang_leave_places_for_quick_receivers():
    """A user has many workspaces, and the first place of each is free of other bounds, but all of them are not all."""
    shares, honest = Shares(_LIMITS), _queue()
    shares.learn(honest, seconds=0.02, failing=False)
    hanging = {queue.key: queue for queue in (_queue() for _ in range(100))}
    for key, places in shares.grant(list(hanging.values()), now=0.0).items():
        for _ in range(places):
            shares.take(hanging[key], now=0.0)
    assert len(shares.taken) == 56
    assert shares.grant([honest], now=5.0)


def test_a_slow_webhook_does_not_delay_a_quick_one_of_its_own_workspace():
    """Also within a workspace the quick one starts at once."""
    worker, workspace = Worker(), new_id()
    for _ in range(19):
        worker.add(_queue(workspace), takes=14.0)
    worker.pass_time(60.0)
    mine = _queue(workspace)
    for _ in range(60):
        worker.add(mine, takes=0.05, count=1)
        assert worker.waited[mine] == 0.0
        worker.pass_time(1.7)


def test_a_workspace_that_is_alone_is_bounded_and_more_share():
    """One has its bound of places; of two each has about a third, and a third is free."""
    worker, one, other = Worker(), new_id(), new_id()
    quick = [_queue(one) for _ in range(20)]
    for queue in quick:
        worker.add(queue, takes=0.5)
    worker.pass_time(5.0)
    assert worker.places(one) == 32
    for _ in range(20):
        worker.add(_queue(other), takes=0.5)
    worker.pass_time(5.0)
    assert 20 <= worker.places(one) <= 23
    assert 20 <= worker.places(other) <= 23


def test_without_a_bound_one_workspace_may_have_all_places():
    """Who installs it for one workspace can say so."""
    worker, workspace = Worker(Places(all=64, per_receiver=8, per_workspace=64)), new_id()
    for _ in range(20):
        worker.add(_queue(workspace), takes=0.5)
    worker.pass_time(5.0)
    assert worker.places(workspace) == 64


def test_all_e_mail_shares_the_places_of_one_mail_server():
    """However many workspaces send e-mail."""
    shares = Shares(_LIMITS)
    queues = [_queue(channel="email") for _ in range(20)]
    assert sum(shares.grant(queues, now=0.0).values()) == 8


def test_whoever_used_less_time_comes_first():
    """Of two that want the last place, the one that used less gets it, also if the other one waits longer."""
    shares, much, little = Shares(Places(all=1, per_receiver=1, per_workspace=1)), _queue(), _queue()
    for queue, seconds in ((much, 10.0), (little, 1.0)):
        shares.release(shares.take(queue, now=0.0), now=seconds)
    assert shares.grant([much, little], now=10.0) == {little.key: 1}
    assert shares.grant([much], now=10.0) == {much.key: 1}


@settings(max_examples=50)
@given(
    limits=st.builds(
        lambda most, receiver, workspace: Places(
            all=most, per_receiver=min(receiver, most), per_workspace=min(workspace, most)
        ),
        *(st.integers(1, 70), st.integers(1, 10), st.integers(1, 70)),
    ),
    queues=st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 30), st.sampled_from(["webhook", "email"])), max_size=40
    ),
    slow=st.sets(st.integers(0, 39)),
)
def test_a_grant_keeps_its_bounds_and_leaves_nobody_alone_without_a_place(limits, queues, slow):
    """Whatever is asked: no bound is passed, and a free worker serves somebody."""
    shares = Shares(limits)
    asked = [
        Queue(
            id=new_id() if channel == "webhook" else UUID(int=number),
            channel=channel,
            workspace_id=UUID(int=number),
            waiting=waiting,
        )
        for number, waiting, channel in queues
    ]
    for number, queue in enumerate(asked):
        shares.learn(queue, seconds=5.0 if number in slow else 0.01, failing=False)
    granted = Counter(shares.grant(asked, now=0.0))
    assert bool(granted) is bool(asked)
    assert granted.total() <= limits.all
    of_workspace = Counter()
    for queue in asked:
        assert granted[queue.key] <= limits.per_receiver
        of_workspace[queue.workspace_id] += granted[queue.key]


def test_what_is_known_is_bounded():
    """However many receivers there were, a worker remembers the newest."""
    shares = Shares(_LIMITS)
    for _ in range(MOST_KNOWN + 50):
        queue = _queue()
        shares.release(shares.take(queue, now=0.0), now=5.0)
        shares.learn(queue, seconds=5.0, failing=False)
    assert shares.is_slow(queue)
    assert len(shares._known) == len(shares._used) == MOST_KNOWN


class _Ledger:
    """Queues in the order of their ids; one of them has all of the oldest deliveries."""

    def __init__(self, queues):
        self.queues = sorted(queues, key=lambda queue: queue.key)

    async def oldest_due(self, *, limit):
        """One has them all."""
        return [Queue(id=UUID(int=1), channel="webhook", workspace_id=UUID(int=1), waiting=limit)]

    async def walk(self, *, past, limit, passed_over):
        """The next ones."""
        found = [queue for queue in self.queues if queue.key > past][:limit]
        return found, found[-1].key if len(found) == limit else None


async def test_looks_go_on_where_the_last_one_ended_until_all_were_met():
    """A full queue hides no other, however many there are."""
    queues = [_queue() for _ in range(250)]
    lookout = Lookout(_Ledger(queues))
    met, more, looks = set(), True, 0
    while more:
        found, more = await lookout.look()
        met |= {queue.id for queue in found}
        looks += 1
    assert met >= {queue.id for queue in queues}
    assert looks == 3
