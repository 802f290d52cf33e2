"""Single passes over a cluster that is a dictionary: what an admission webhook, a quota or a rival program does."""

import copy

import pytest

from taskbell.operator.cluster import (
    CRON_JOBS,
    DEPLOYMENTS,
    REMINDER_SCHEDULES,
    WORKER_POOLS,
    ObjectGone,
    RequestRefused,
)
from taskbell.operator.events import Events
from taskbell.operator.plan.need import Reading
from taskbell.operator.plan.victims import Load
from taskbell.operator.queue import Key
from taskbell.operator.reconcile.reminder_schedule import ScheduleKeeper
from taskbell.operator.reconcile.worker_pool import PoolKeeper
from taskbell.operator.specs.cron_job import SweepSurroundings


class Time:
    """Wall clock and monotonic clock, apart."""

    def __init__(self):
        self.wall = self.steady = 1_790_000_000.0

    def now(self):
        """Unix seconds."""
        return self.wall

    def monotonic(self):
        """Seconds that never go back."""
        return self.steady

    def pass_by(self, seconds):
        """Let both go on."""
        self.wall += seconds
        self.steady += seconds


class FakeCluster:
    """Objects by plural and name; `admit` is an admission webhook, `refused` names resources that take no writes."""

    def __init__(self):
        self.objects, self.writes, self.refused, self.version = {}, [], set(), 0
        self.admit = lambda body: body

    def put(self, resource, name, **body):
        """Store an object as it is."""
        self.version += 1
        metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "generation": 1}
        metadata |= {"resourceVersion": str(self.version), "creationTimestamp": "2026-09-21T00:00:00Z"}
        header = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        self.objects[resource.plural, name] = header | body

    def change(self, resource, name, **spec):
        """Change an object's spec, as somebody else."""
        self.version += 1
        body = copy.deepcopy(self.objects[resource.plural, name])
        body["spec"] |= spec
        body["metadata"] |= {"generation": body["metadata"]["generation"] + 1, "resourceVersion": str(self.version)}
        self.objects[resource.plural, name] = body

    async def get(self, resource, _namespace, name, *, subresource=""):
        """An object, or its scale."""
        body = copy.deepcopy(self.objects.get((resource.plural, name)))
        if body is None or not subresource:
            return body
        return body | {"status": {"replicas": body["spec"]["replicas"], "selector": "app=x"}}

    async def all(self, resource, _namespace, *, labels=""):
        """All objects of a kind."""
        assert not labels
        return [copy.deepcopy(body) for (plural, _), body in self.objects.items() if plural == resource.plural]

    async def apply(self, resource, manifest):
        """Take a spec over, as the webhook leaves it; unchanged objects keep their version."""
        self._written("apply", resource)
        body = self.admit(copy.deepcopy(manifest))
        known = self.objects.get((resource.plural, body["metadata"]["name"]))
        if known is None:
            self.put(resource, body["metadata"]["name"], spec=body["spec"])
        elif known["spec"] != body["spec"]:
            self.change(resource, body["metadata"]["name"], **body["spec"])
        stored = self.objects[resource.plural, body["metadata"]["name"]]
        stored["metadata"] |= {name: body["metadata"][name] for name in ("labels", "annotations", "ownerReferences")}
        return copy.deepcopy(stored)

    async def apply_status(self, resource, owner, status):
        """Store a status."""
        self._written("status", resource)
        self.objects[resource.plural, owner["metadata"]["name"]]["status"] = status

    async def scale(self, resource, scale, replicas):
        """Store a size."""
        self._written("scale", resource)
        self.objects[resource.plural, scale["metadata"]["name"]]["spec"]["replicas"] = replicas
        return scale | {"spec": {"replicas": replicas}}

    async def create(self, resource, manifest):
        """Count an event."""
        self.writes.append(("create", resource.kind, manifest["reason"]))
        if resource.plural in self.refused:
            raise RequestRefused("events: 403 exceeded quota")

    async def amend(self, resource, _namespace, name, change):
        """Count a change of an event, or of a pod's deletion cost."""
        if resource.kind == "Event":
            self.writes.append(("amend", "Event", change["count"]))
            return
        (cost,) = change["metadata"]["annotations"].values()
        self.writes.append(("amend", resource.kind, (name, cost)))
        if name == "gone":
            raise ObjectGone("404")

    def _written(self, verb, resource):
        self.writes.append((verb, resource.kind, ""))
        if resource.plural in self.refused:
            raise RequestRefused(f"{resource.plural}: 403 exceeded quota")

    def condition(self, resource, name, kind):
        """Status and reason of a condition."""
        found = self.objects[resource.plural, name]["status"]["conditions"]
        return next((c["status"], c["reason"]) for c in found if c["type"] == kind)


@pytest.fixture
def clock():
    """Time as the test sets it."""
    return Time()


@pytest.fixture
def cluster():
    """A cluster with a ReminderSchedule and a WorkerPool."""
    made = FakeCluster()
    made.put(REMINDER_SCHEDULES, "due", spec={"kind": "due", "schedule": "* * * * *"})
    signal = {"name": "s", "jetStream": {"stream": "S", "consumer": "c"}}
    spec = {"targetRef": {"name": "x"}, "replicas": {"min": 1, "max": 20}, "signals": [signal]}
    made.put(WORKER_POOLS, "pool", spec=spec)
    made.put(DEPLOYMENTS, "x", spec={"replicas": 2})
    return made


SCHEDULE, POOL = Key("ReminderSchedule", "default", "due"), Key("WorkerPool", "default", "pool")


@pytest.fixture
def schedules(cluster, clock):
    """Make a keeper of schedules, as a restart does."""

    def make():
        events = Events(cluster, clock=clock, reporter="test")
        return ScheduleKeeper(cluster, events, around=SweepSurroundings(image="api:1"), clock=clock)

    return make


async def settle(keeper, cluster, clock):
    """Two passes; then count writes from here."""
    for _ in range(2):
        await keeper.keep(SCHEDULE)
        clock.pass_by(1)
    cluster.writes.clear()


def mirrored(body):
    """An admission webhook that takes images from a mirror and adds a container, as policies and meshes do."""
    if body["kind"] == "CronJob":
        pod = body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        pod["containers"][0]["image"] = "mirror.example/api:1"
        pod["containers"].append({"name": "sidecar", "image": "mesh:1"})
    return body


async def test_what_a_webhook_changes_is_no_drift(cluster, clock, schedules):
    """A CronJob that an admission webhook rewrites is left so; a restart asks once more and reports nothing."""
    cluster.admit = mirrored
    keeper = schedules()
    await settle(keeper, cluster, clock)
    for _ in range(5):
        await keeper.keep(SCHEDULE)
    assert cluster.writes == []
    again = schedules()
    for _ in range(5):
        await again.keep(SCHEDULE)
    assert cluster.writes == [("apply", "CronJob", "")]
    assert cluster.condition(REMINDER_SCHEDULES, "due", "Progressing") == ("False", "Settled")


async def test_a_refused_cron_job_is_said(cluster, clock, schedules):
    """What the API server will not take, as for a quota, is a condition and one event; trying goes on."""
    cluster.refused = {"cronjobs"}
    keeper = schedules()
    for _ in range(3):
        with pytest.raises(RequestRefused):
            await keeper.keep(SCHEDULE)
    assert cluster.condition(REMINDER_SCHEDULES, "due", "Ready") == ("False", "CronJobRefused")
    assert cluster.writes.count(("create", "Event", "CronJobRefused")) == 1
    assert cluster.writes.count(("status", "ReminderSchedule", "")) == 1
    cluster.refused = set()
    await settle(keeper, cluster, clock)
    assert cluster.condition(REMINDER_SCHEDULES, "due", "Degraded") == ("False", "Healthy")


async def test_two_programs_do_not_fight_without_end(cluster, clock, schedules):
    """Somebody who changes the CronJob whenever it is set right is met ever more slowly, and later at once again."""
    keeper = schedules()
    await settle(keeper, cluster, clock)
    for _ in range(600):
        if cluster.objects["cronjobs", "due"]["spec"]["schedule"] == "* * * * *":
            cluster.change(CRON_JOBS, "due", schedule="0 0 1 1 *")
        await keeper.keep(SCHEDULE)
        clock.pass_by(1)
    assert 6 <= cluster.writes.count(("apply", "CronJob", "")) <= 20
    assert cluster.writes.count(("create", "Event", "DriftCorrected")) == 1, "the others are counted"
    for pause in (1000, 3):
        clock.pass_by(pause)
        cluster.change(CRON_JOBS, "due", schedule="0 0 1 1 *")
        await keeper.keep(SCHEDULE)
        assert cluster.objects["cronjobs", "due"]["spec"]["schedule"] == "* * * * *"


async def test_a_schedule_that_is_being_deleted_makes_nothing(cluster, schedules):
    """While a schedule is deleted in the foreground, its CronJob, which goes first, is not made anew."""
    cluster.objects["reminderschedules", "due"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    outcome = await schedules().keep(SCHEDULE)
    assert (cluster.writes, outcome.gone, outcome.again_in) == ([], False, None)


async def test_a_foreign_cron_job_is_not_written(cluster, schedules):
    """A CronJob of that name that belongs to nobody, or to a former schedule of that name, is left as it is."""
    cluster.put(CRON_JOBS, "due", spec={"schedule": "0 0 * * *"})
    cluster.objects["cronjobs", "due"]["metadata"]["ownerReferences"] = [{"name": "due", "uid": "former"}]
    await schedules().keep(SCHEDULE)
    assert cluster.condition(REMINDER_SCHEDULES, "due", "Ready") == ("False", "NameTaken")
    assert [write for write in cluster.writes if write[1] == "CronJob"] == []


async def test_the_next_look_is_when_something_may_have_happened(cluster, clock, schedules):
    """Soon after a write, then a little after the next run; a suspended schedule waits to be told."""
    clock.wall = 1_790_000_010.0 // 60 * 60 + 10
    keeper = schedules()
    assert [(await keeper.keep(SCHEDULE)).again_in for _ in range(2)] == [1.0, 70.0]
    cluster.change(REMINDER_SCHEDULES, "due", suspend=True)
    assert [(await keeper.keep(SCHEDULE)).again_in for _ in range(2)] == [1.0, None]
    assert cluster.condition(REMINDER_SCHEDULES, "due", "Ready") == ("True", "Suspended")


class FixedSignals:
    """Signals that say what a test wants."""

    def __init__(self):
        self.needed, self.loads, self.known = 2.0, (), []

    async def read(self, _spec, _scale, known):
        """One reading."""
        self.known.append(known)
        return [Reading(name="s", value=int(self.needed * 1000), needed=self.needed, wakes=True, loads=self.loads)]


@pytest.fixture
def signals():
    """Readings as a test sets them."""
    return FixedSignals()


@pytest.fixture
def pools(cluster, clock, signals):
    """A keeper of pools."""
    return PoolKeeper(cluster, Events(cluster, clock=clock, reporter="test"), signals, interval=15, clock=clock)


async def look(pools, cluster, clock, *, after=15):
    """A pass some seconds later; returns the size then."""
    clock.pass_by(after)
    await pools.keep(POOL)
    return cluster.objects["deployments", "x"]["spec"]["replicas"]


@pytest.mark.parametrize("jump", [-86_400, 86_400])
async def test_a_wall_clock_that_jumps_changes_nothing(cluster, clock, pools, signals, jump):
    """A pool is looked at and kept waiting by steady time: a corrected clock neither freezes nor shrinks it."""
    signals.needed = 8.0
    assert await look(pools, cluster, clock) == 6
    clock.wall += jump
    assert await look(pools, cluster, clock) == 8
    signals.needed = 1.0
    clock.wall += jump
    assert await look(pools, cluster, clock) == 8
    assert await look(pools, cluster, clock, after=299) == 1


@pytest.mark.parametrize("gap", ["rival", "target"])
async def test_after_a_time_in_which_the_size_was_not_its_own_a_pool_holds(cluster, clock, pools, signals, gap):
    """A pool that gets its target back shrinks only after a whole window, as after a restart."""
    signals.needed = 1.0
    await look(pools, cluster, clock)
    target = cluster.objects["deployments", "x"]
    if gap == "rival":
        cluster.put(WORKER_POOLS, "elder", spec={"targetRef": {"name": "x"}})
        cluster.objects["workerpools", "elder"]["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    else:
        del cluster.objects["deployments", "x"]
    clock.pass_by(3600)
    await pools.keep(POOL)
    assert cluster.condition(WORKER_POOLS, "pool", "Ready")[0] == "False"
    cluster.objects.pop(("workerpools", "elder"), None)
    cluster.objects["deployments", "x"] = target | {"spec": {"replicas": 12}}
    assert await look(pools, cluster, clock) == 12
    assert await look(pools, cluster, clock, after=299) == 12
    assert await look(pools, cluster, clock) == 1


async def test_speed_limits_count_what_was_done(cluster, clock, pools, signals):
    """A pass that comes early does not add another step to the one just made; the next period does."""
    signals.needed = 18.0
    assert [await look(pools, cluster, clock, after=seconds) for seconds in (15, 8, 8)] == [6, 6, 12]


async def test_passes_that_come_at_once_read_nothing(cluster, clock, pools, signals):
    """What a watch reports right after a pass asks no signal again, unless the spec was changed, which starts over."""
    for _ in range(3):
        await look(pools, cluster, clock, after=1)
    assert len(signals.known) == 1
    await look(pools, cluster, clock)
    assert signals.known[1] is signals.known[0]
    cluster.change(WORKER_POOLS, "pool", replicas={"min": 3, "max": 20})
    assert await look(pools, cluster, clock, after=1) == 3
    assert signals.known[2] is not signals.known[0]


async def test_a_pool_that_is_being_deleted_is_left_alone(cluster, clock, pools, signals):
    """A pool that waits for its finalizers sets no size and writes no status."""
    signals.needed = 9.0
    cluster.objects["workerpools", "pool"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert await look(pools, cluster, clock) == 2
    assert cluster.writes == []


async def test_a_pool_at_rest_writes_nothing(cluster, clock, pools):
    """Readings that stay the same are read, and nothing at all is written."""
    await look(pools, cluster, clock)
    cluster.writes.clear()
    for _ in range(5):
        await look(pools, cluster, clock)
    assert cluster.writes == []


async def test_a_pool_made_anew_remembers_nothing(cluster, clock, pools, signals):
    """A pool of the same name is another one: it holds what it finds, and its first recommendation is its own."""
    signals.needed = 1.0
    assert [await look(pools, cluster, clock, after=seconds) for seconds in (15, 150, 149)] == [2, 2, 2]
    cluster.objects["workerpools", "pool"]["metadata"]["uid"] = "another"
    assert [await look(pools, cluster, clock, after=seconds) for seconds in (15, 150, 149, 15)] == [2, 2, 2, 1]


async def test_each_trouble_is_told_once(cluster, clock, pools):
    """One that follows another without a recovery between is told, too; one that lasts is not told again."""
    target = cluster.objects.pop(("deployments", "x"))
    for _ in range(2):
        await look_away(pools, clock)
    cluster.put(WORKER_POOLS, "elder", spec={"targetRef": {"name": "x"}})
    cluster.objects["workerpools", "elder"]["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    for _ in range(2):
        await look_away(pools, clock)
    del cluster.objects["workerpools", "elder"]
    cluster.objects["deployments", "x"] = target
    await look_away(pools, clock)
    told = [write[2] for write in cluster.writes if write[:2] == ("create", "Event")]
    assert told == ["TargetMissing", "SizeIsAnothers", "Recovered"]


async def look_away(pools, clock):
    """A pass a while later, whatever the size is then."""
    clock.pass_by(15)
    await pools.keep(POOL)


async def test_a_refused_size_is_said(cluster, clock, pools, signals):
    """A size that a policy forbids is a condition with the reason; what is told once is not told with every try."""
    signals.needed = 8.0
    cluster.refused = {"deployments"}
    for _ in range(3):
        with pytest.raises(RequestRefused):
            await look(pools, cluster, clock)
    assert cluster.condition(WORKER_POOLS, "pool", "Ready") == ("False", "SizeRefused")
    assert cluster.writes.count(("create", "Event", "SizeRefused")) == 1
    cluster.refused = set()
    assert await look(pools, cluster, clock) == 6
    assert cluster.condition(WORKER_POOLS, "pool", "Ready") == ("True", "SizeKept")


@pytest.mark.feature("K6")
async def test_the_pods_with_the_fewest_connections_go_first(cluster, clock, pools, signals):
    """Before a pool shrinks its pods get their connections as deletion cost, where they bear another; never else."""
    signals.loads = (Load("busy", 900), Load("idle", 0), Load("same", 7, "7"), Load("gone", 1), Load("old", 3, "800"))
    signals.needed = 5.0
    assert await look(pools, cluster, clock) == 5
    signals.needed = 1.0
    assert await look(pools, cluster, clock, after=299) == 5
    assert [write for write in cluster.writes if write[1] == "Pod"] == []
    cluster.writes.clear()
    assert await look(pools, cluster, clock) == 1
    marked = [("amend", "Pod", pod) for pod in (("busy", "900"), ("gone", "1"), ("old", "3"))]
    assert cluster.writes[:4] == [*marked, ("scale", "Deployment", "")]


async def test_a_status_that_cannot_be_written_is_no_flood_of_events(cluster, clock, pools):
    """While the status is refused, the pool's trouble is not told anew with every pass."""
    del cluster.objects["deployments", "x"]
    cluster.refused = {"workerpools"}
    for _ in range(5):
        with pytest.raises(RequestRefused):
            await look(pools, cluster, clock)
    assert [write for write in cluster.writes if write[1] == "Event"] == []


async def test_the_same_event_is_counted(cluster, clock):
    """What is told again within half an hour raises the count of its event; later it is a new one."""
    events = Events(cluster, clock=clock, reporter="test")
    owner = await cluster.get(WORKER_POOLS, "default", "pool")
    for _ in range(3):
        await events.tell(owner, "ScaledUp", "from 1 to 2")
    await events.tell(owner, "ScaledUp", "from 2 to 3")
    clock.pass_by(2000)
    await events.tell(owner, "ScaledUp", "from 1 to 2")
    create = ("create", "Event", "ScaledUp")
    assert cluster.writes == [create, ("amend", "Event", 2), ("amend", "Event", 3), create, create]


async def test_an_event_that_was_lost_is_not_counted_on(cluster, clock):
    """What the API server did not take is told anew the next time, and never fails the pass."""
    events = Events(cluster, clock=clock, reporter="test")
    owner = await cluster.get(WORKER_POOLS, "default", "pool")
    cluster.refused = {"events"}
    await events.tell(owner, "ScaledUp", "from 1 to 2")
    cluster.refused = set()
    for _ in range(2):
        await events.tell(owner, "ScaledUp", "from 1 to 2")
    create = ("create", "Event", "ScaledUp")
    assert cluster.writes == [create, create, ("amend", "Event", 2)]


async def test_the_memory_of_events_is_bounded(cluster, clock):
    """Only the latest thousand different ones are counted; one from before them is told anew."""
    events = Events(cluster, clock=clock, reporter="test")
    owner = await cluster.get(WORKER_POOLS, "default", "pool")
    for number in range(1001):
        await events.tell(owner, "ScaledUp", f"from {number}")
    cluster.writes.clear()
    await events.tell(owner, "ScaledUp", "from 1000")
    await events.tell(owner, "ScaledUp", "from 0")
    assert cluster.writes == [("amend", "Event", 2), ("create", "Event", "ScaledUp")]
