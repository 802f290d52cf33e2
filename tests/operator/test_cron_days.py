"""How the cron library of Kubernetes combines days, and what it accepts as a number."""

from datetime import datetime

import pytest

from taskbell.operator.plan.cron import ScheduleNotUnderstood, parse


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 0 10 * mon", [2, 9, 10]),
        ("0 0 */10 * mon", [1, 2, 9]),
        ("0 0 */1 * mon", [2, 9, 16]),
        ("0 0 10 * */7", [1, 8, 10]),
        ("0 0 ? * mon", [2, 9, 16]),
        ("0 0 5,* * mon", [2, 9, 16]),
        ("0 0 10 * *,mon", [10]),
    ],
)
def test_a_star_with_a_step_is_a_list_of_days(text, days):
    """With a `*` the other day field decides; `*/2` is a list, and a day of either list matches."""
    schedule, at = parse(text, "Etc/UTC"), datetime.fromisoformat("2026-10-31T23:59:00Z")
    found = []
    for _ in days:
        at = schedule.after(at)
        found.append(at.day)
    assert found == days


@pytest.mark.parametrize("step", ["+5", "1_0", " 5", "٣", ""])
def test_steps_are_plain_numbers(step):
    """Numbers that Python accepts and Kubernetes does not are refused."""
    with pytest.raises(ScheduleNotUnderstood):
        parse(f"*/{step} * * * *", "Etc/UTC")
