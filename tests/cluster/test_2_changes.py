"""Changes that an operator of the platform makes while people use it."""

import pytest

from real_cluster.release import PARTS, PATIENT
from real_cluster.report import unseen

PER_SECOND = 30

pytestmark = [pytest.mark.feature("M22")]


@pytest.mark.feature("K3")
@pytest.mark.parametrize("part", PARTS)
def test_a_rolling_restart_is_seen_by_nobody(busy, report, part):
    """While the pods of a part are replaced, no request fails, and a listener hears each event once."""
    with busy.users.doing("load", PER_SECOND) as result:
        busy.restart(part)
    unseen(report, f"rolling restart of {part} at {PER_SECOND} creates/s", result)


def test_an_upgrade_and_a_rollback_are_seen_by_nobody(busy, report):
    """`helm upgrade` with a new setting for each part and `helm rollback` replace all pods; nobody sees any of it."""
    revision = busy.revision()
    changed = [option for part in PARTS for option in ("--set", f"{part}.settings.TASKBELL_LOG_LEVEL=WARNING")]
    before = {part: set(busy.pods(part)) for part in PARTS}
    with busy.users.doing("load", PER_SECOND, within=900) as result:
        busy.upgrade(*changed)
    assert all(not before[part] & set(busy.pods(part)) for part in PARTS), "each part has new pods"
    unseen(report, f"helm upgrade at {PER_SECOND} creates/s", result)
    with busy.users.doing("load", PER_SECOND, within=900) as result:
        busy.helm("rollback", "tasks", str(revision), *PATIENT)
        busy.settle()
    unseen(report, f"helm rollback at {PER_SECOND} creates/s", result)
