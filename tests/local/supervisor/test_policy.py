import signal
from pathlib import Path

import pytest

from taskbell.local.supervisor.component import Component
from taskbell.local.supervisor.policy import Life, RestartPolicy, stop_order

NEVER_READY = Life(ready_for=None, status=1)
KILLED = Life(ready_for=0.1, status=-signal.SIGKILL)
CRASHED_AT_ONCE = Life(ready_for=0.1, status=1)
LONG = Life(ready_for=600, status=1)


def test_the_first_restart_is_at_once():
    """Whatever ended a part that had run, it is back well within a second."""
    for life in (KILLED, CRASHED_AT_ONCE, LONG):
        assert RestartPolicy().pause([LONG, life]) == 0.05


def test_pauses_double_up_to_a_limit_and_start_again():
    """A part in trouble is started less and less often; one long life forgives everything."""
    pauses = [RestartPolicy(failures_allowed=99).pause([NEVER_READY] * number) for number in range(1, 40)]
    assert pauses[:4] == [0.05, 0.1, 0.2, 0.4]
    assert max(pauses) == 5.0
    assert RestartPolicy().pause([*[NEVER_READY] * 5, LONG, NEVER_READY]) == 0.05


@pytest.mark.parametrize("life", [NEVER_READY, CRASHED_AT_ONCE])
def test_a_part_that_cannot_stay_up_is_given_up(life):
    """Eight failed lives in a row are enough."""
    assert RestartPolicy().pause([life] * 7) is not None
    assert RestartPolicy().pause([life] * 8) is None


def test_who_is_killed_from_outside_is_always_started_again():
    """SIGKILL of a part that works says nothing against it, and it is never away for long."""
    assert RestartPolicy().pause([KILLED] * 60) == 1.0


def test_stopping_goes_from_the_last_stage_to_the_first():
    """Stages are stopped one after the other, the parts of one stage together."""
    stages = [("postgres", 0), ("api", 4), ("nats", 2), ("api-2", 4)]
    made = [Component(name=name, command=("x",), log=Path("x"), stage=stage) for name, stage in stages]
    assert [[part.name for part in group] for group in stop_order(made)] == [["api", "api-2"], ["nats"], ["postgres"]]
