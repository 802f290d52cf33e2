"""A trial fits on a node with two cores: the scheduler places every pod of the defaults, also during an upgrade."""

from decimal import Decimal

import pytest

from taskbell.contract.reminder_schedules import STAYING, ReminderScheduleSpec

OTHERS = Decimal("0.2")
"""CPU that a node keeps for itself and for the cluster's DNS, at least."""


def cores(quantity):
    """A quantity of CPU as a number."""
    text = str(quantity)
    return Decimal(text.removesuffix("m")) / 1000 if text.endswith("m") else Decimal(text)


def requested(pod):
    """What the scheduler reserves for a pod: its containers together, or its largest init container."""
    together = sum(cores(each["resources"]["requests"]["cpu"]) for each in pod["containers"])
    first = [cores(each["resources"]["requests"]["cpu"]) for each in pod.get("initContainers", [])]
    return max([together, *first])


@pytest.fixture
def trial(chart):
    """The rendered defaults."""
    return chart.rendered({})


def _programs(trial):
    """For each Deployment what one pod requests, and how many there are."""
    pools = {
        pool["spec"]["targetRef"]["name"]: pool["spec"]["replicas"]["min"] for pool in trial.of("WorkerPool").values()
    }
    for name, found in trial.of("Deployment").items():
        yield requested(found["spec"]["template"]["spec"]), found["spec"].get("replicas") or pools[name]


def _steady(trial):
    """Everything that runs at one time in the busiest hour: also a migration, maintenance, and two sweeps that meet."""
    stores = (requested(found["spec"]["template"]["spec"]) for found in trial.of("StatefulSet").values())
    jobs = (requested(found["spec"]["template"]["spec"]) for found in trial.of("Job").values())
    sweeps = Decimal(0)
    for found in trial.of("ReminderSchedule").values():
        spec = ReminderScheduleSpec.model_validate(found["spec"])
        meet = 2 if spec.kind in STAYING else 1
        sweeps += cores(spec.pod.resources.requests["cpu"]) * spec.shards * meet
    return sum(each * pods for each, pods in _programs(trial)) + sum(stores) + sum(jobs) + sweeps


@pytest.mark.feature("K7")
def test_the_defaults_fit_on_two_cores(trial):
    """All pods together request at most 1.5 cores, and 1.8 while an upgrade replaces one of each program at a time."""
    steady = _steady(trial)
    surge = sum(each for each, _ in _programs(trial))
    assert steady <= Decimal("1.5")
    assert steady + surge <= 2 - OTHERS


@pytest.mark.feature("K7", "K9")
def test_every_program_has_two_pods(trial):
    """A trial shows what a pod's death does: one of two goes on, and a disruption budget keeps it."""
    assert [pods for _, pods in _programs(trial)] == [2] * len(trial.of("Deployment"))
    assert set(trial.of("PodDisruptionBudget")) == set(trial.of("Deployment"))
