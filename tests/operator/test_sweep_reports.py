"""The reports of sweeps: read from the status of their pods, for as long as they tell something."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.operator.plan.cron import parse
from taskbell.operator.plan.sweep_reports import SweepReport, newest_report
from taskbell.operator.specs.cron_job import SweepDefaults, build_cron_job

OWNER = {"kind": "ReminderSchedule", "metadata": {"name": "due", "namespace": "default", "uid": "u"}}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
INDEX = "batch.kubernetes.io/job-completion-index"


def declared(**spec):
    """The CronJob of a schedule."""
    given_spec = ReminderScheduleSpec.model_validate({"kind": "due", "schedule": "* * * * *"} | spec)
    return build_cron_job(OWNER, given_spec, SweepDefaults(image="api:1"))


def pod(cron_job, message, *, ended="12:00", shard=None, **terminated):
    """A pod of a CronJob that has ended with a message."""
    job = cron_job["spec"]["jobTemplate"]["spec"]
    state = {"exitCode": 0, "finishedAt": f"2026-11-20T{ended}:00Z", "message": message} | terminated
    return {
        "metadata": {"name": "x", "annotations": {} if shard is None else {INDEX: str(shard)}},
        "spec": job["template"]["spec"],
        "status": {"containerStatuses": [{"name": "sweeper", "state": {"terminated": state}}]},
    }


def left(seconds):
    """A report as a sweep writes it."""
    return json.dumps({"kind": "due", "oldest_due": seconds})


def test_the_newest_report_counts():
    """Of the pods of several runs the one that ended last tells."""
    due = declared()
    pods = [pod(due, left(1), ended="11:58"), pod(due, left(2.5), ended="12:00"), pod(due, left(3), ended="11:59")]
    assert newest_report(pods, due) == SweepReport(NOON, 2.5)
    assert newest_report([], due) is None


def test_all_shards_count():
    """The oldest of all shards is reported, as of the earliest report; a shard without a report leaves it unknown."""
    due = declared(shards=2)
    pods = [pod(due, left(9), shard=0), pod(due, left(4), shard=1, ended="12:01"), pod(due, left(7), shard=1)]
    assert newest_report(pods, due) == SweepReport(NOON, 9)
    assert newest_report(pods[1:], due) is None


def test_sweeps_of_other_leads_do_not_count():
    """After a change of the leads or shards the pods from before it tell nothing of the present ones."""
    before = pod(declared(), left(5))
    assert newest_report([before], declared(leads=["24h"])) is None
    assert newest_report([before], declared(shards=2)) is None
    assert newest_report([before], declared(batchSize=7)) == SweepReport(NOON, 5)


@pytest.mark.parametrize(
    "message",
    [
        *("", "no JSON", "[]", "{}", "null", "7", "{" * 5000),
        *(left(-1), left(None), left("x"), left([1]), left(1e12), '{"oldest_due": NaN}', '{"oldest_due": 1e999}'),
    ],
)
def test_what_is_no_report_is_unknown(message):
    """A message that a sweep does not write is as if there were none."""
    due = declared()
    assert newest_report([pod(due, message)], due) is None


@given(
    message=st.text()
    | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(lambda v: json.dumps({"oldest_due": v}))
)
def test_any_message_is_a_report_or_unknown(message):
    """Whatever a pod leaves, the result is an age that can be shown, or nothing."""
    due = declared()
    found = newest_report([pod(due, message)], due)
    assert found is None or 0 <= int(found.oldest_due) < 2**31


@pytest.mark.parametrize("state", [{"exitCode": 1}, {"finishedAt": None}, {"finishedAt": ""}])
def test_failed_sweeps_report_nothing(state):
    """A sweep that failed, or whose end is unknown, tells nothing."""
    due = declared()
    assert newest_report([pod(due, left(5), **state)], due) is None
    running = pod(due, left(5))
    running["status"]["containerStatuses"][0]["state"] = {"running": {}}
    assert newest_report([running, {**running, "status": {}}], due) is None


@pytest.mark.parametrize(
    ("cron", "minutes", "expected"),
    [("* * * * *", 4, True), ("* * * * *", 5, False), ("0 * * * *", 122, True), ("0 * * * *", 123, False)],
)
def test_a_report_counts_for_two_runs(cron, minutes, expected):
    """A report counts until two runs and two minutes later; then what is due is unknown."""
    report = SweepReport(NOON + timedelta(seconds=5), 0.0)
    assert report.counts(parse(cron, "Etc/UTC"), NOON + timedelta(minutes=minutes)) is expected


@pytest.fixture
def ended(kubectl, place, clock):
    """Make a pod of a sweep that succeeded with a message, and say so in the CronJob's status."""

    async def make(name, message, *, minute, labels=None):
        job = (await place.cron_job())["spec"]["jobTemplate"]["spec"]["template"]
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels or job["metadata"]["labels"]},
            "spec": {name: value for name, value in job["spec"].items() if name != "serviceAccountName"},
        }
        await kubectl.must("POST", kubectl.at("pods", group=""), body)
        terminated = {"exitCode": 0, "finishedAt": clock.minute(minute), "message": message}
        statuses = [
            {
                "name": "sweeper",
                "image": "api:1",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"terminated": terminated},
            }
        ]
        status = {"phase": "Succeeded", "containerStatuses": statuses}
        await kubectl.must_merge(kubectl.at("pods", name, "status", group=""), {"status": status})
        await place.report(lastScheduleTime=clock.minute(minute - 1), lastSuccessfulTime=clock.minute(minute))

    return make


@pytest.mark.feature("K5")
async def test_the_oldest_due_reminder_shows_in_the_status(place, due, proxy, still_clock, ended):
    """The status has what the last sweep left, and nothing once no sweep has reported for two runs."""
    clock = still_clock
    await place.make()
    keep = due()
    await keep()
    clock.pass_by(2)
    await keep()
    assert "oldestDueSeconds" not in await place.status()
    await ended("due-1", left(0.2), minute=1)
    clock.pass_by(65)
    await keep()
    assert (await place.status())["oldestDueSeconds"] == 0
    await ended("another", left(999), minute=2, labels={"app": "another"})
    await ended("due-2", left(125.9), minute=2)
    clock.pass_by(60)
    await keep()
    assert (await place.status())["oldestDueSeconds"] == 125
    proxy.calls.clear()
    await keep()
    assert [call.path for call in proxy.calls if call.path.endswith("/pods")] == []
    clock.pass_by(300)
    await keep()
    assert "oldestDueSeconds" not in await place.status()


@pytest.fixture
def clock(still_clock):
    """Time that a test sets."""
    return still_clock


@pytest.mark.feature("K5")
@pytest.mark.parametrize(("kind", "expected"), [("overdue", 7), ("stale", None), ("digest", None)])
async def test_what_fires_reminders_tells_what_it_left(place, due, ended, kind, expected):
    """A schedule of overdue tasks has `oldestDueSeconds`, as one of due reminders; what has no reminders has none."""
    await place.make(kind=kind)
    await due()()
    await ended("sweep", left(7.2), minute=1)
    await due()()
    assert (await place.status()).get("oldestDueSeconds") == expected


@pytest.mark.feature("K5")
async def test_leads_reach_the_sweep(place, due, kubectl):
    """The CronJob of a schedule with leads fires these leads; the API server refuses what is no list of leads."""
    await place.make(leads=["24h", "1h30m"])
    await due()()
    (container,) = (await place.cron_job())["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][-4:] == ["--lead", "24h", "--lead", "1h30m"]
    path = kubectl.at("reminderschedules")
    for number, (kind, leads) in enumerate(
        [
            ("due", ["1h", "60m"]),
            ("due", ["8760h1s"]),
            ("due", ["1d"]),
            ("due", [f"{n}h" for n in range(11)]),
            *((kind, ["1h"]) for kind in ("overdue", "stale", "digest", "maintenance")),
        ]
    ):
        spec = {"kind": kind, "schedule": "* * * * *", "leads": leads}
        body = {
            "apiVersion": "taskbell.dev/v1alpha1",
            "kind": "ReminderSchedule",
            "metadata": {"name": f"wrong-{number}"},
            "spec": spec,
        }
        status, answer = await kubectl.send("POST", path, body)
        assert status == 422, (leads, answer)
