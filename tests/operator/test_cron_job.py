"""The CronJob's manifest, written as the API server stores it."""

from typing import get_args

import pytest

from taskbell.contract.reminder_schedules import ReminderScheduleSpec, SweepKind
from taskbell.operator.plan.drift import differs
from taskbell.operator.specs.cron_job import SweepDefaults, build_cron_job
from taskbell.operator.specs.quantities import canonical

OWNER = {"kind": "ReminderSchedule", "metadata": {"name": "due", "namespace": "default", "uid": "u"}}


def container(**pod):
    """The container of a sweep with some overrides."""
    spec = ReminderScheduleSpec.model_validate({"kind": "due", "schedule": "* * * * *", "pod": pod})
    cron_job = build_cron_job(OWNER, spec, SweepDefaults(image="api:1"))
    (found,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.feature("K5")
@pytest.mark.parametrize("kind", get_args(SweepKind))
def test_each_kind_of_sweep_has_its_arguments(kind):
    """What fires reminders stays its minute and reports; all but maintenance are sharded and have a batch size."""
    shards = 1 if kind == "maintenance" else 3
    spec = ReminderScheduleSpec.model_validate({"kind": kind, "schedule": "@hourly", "shards": shards})
    cron_job = build_cron_job(OWNER, spec, SweepDefaults(image="api:1"))
    (found,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    stays = ["--until", "+60s", "--report", "/dev/termination-log"] if kind in {"due", "overdue"} else []
    share = [] if kind == "maintenance" else ["--shard", "$(JOB_COMPLETION_INDEX)/3"]
    assert found["args"] == ["--kind", kind, *stays, *share]
    named = {"TASKBELL_REMINDER_BATCH_SIZE"} if kind != "maintenance" else set()
    assert {variable["name"] for variable in found["env"]} == named


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1.5", "1500m"),
        ("2", "2"),
        ("1000", "1k"),
        ("0.1m", "100u"),
        ("0", "0"),
        ("0Mi", "0"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1000Ki", "1000Ki"),
        ("1500M", "1500M"),
        ("1000M", "1G"),
        ("0.0001Ki", "102400u"),
    ],
)
def test_quantities_are_canonical(given, expected):
    """Quantities get the form in which Kubernetes stores them."""
    assert canonical(given) == expected
    assert canonical(expected) == expected


def test_values_are_declared_as_they_are_stored():
    """Quantities and an empty variable are declared in the form that the API server stores."""
    found = container(
        resources={"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": "1000m"}},
        env=[{"name": "EMPTY", "value": ""}],
    )
    assert found["resources"] == {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1"}}
    assert {"name": "EMPTY"} in found["env"]


@pytest.mark.parametrize(
    ("declared", "live", "expected"),
    [
        ({}, None, False),
        ([], None, False),
        ({"a": {}}, {}, False),
        ({"a": {}}, {"a": {"b": 1}}, False),
        ({"a": False}, {}, True),
        ({"a": []}, {"a": [1]}, True),
        ([{"a": 1}], [{"a": 1, "b": 2}], False),
        ([{"a": 1}], [{"a": 1}, {"b": 2}], True),
        ({"a": {"b": 1}}, {"a": 1}, True),
        ([1], {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
    ],
)
def test_differences(declared, live, expected):
    """Empty values that the API server drops and defaults that it adds are not differences; all other changes are."""
    assert differs(declared, live) is expected
