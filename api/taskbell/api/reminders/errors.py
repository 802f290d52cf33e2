"""What can be wrong with a request for a reminder."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class TaskDone(Refused):
    """The task is completed or cancelled, so nobody is reminded of it."""

    code = ProblemCode.TASK_DONE


class RemindedOften(Refused):
    """Those responsible were reminded of this task several times within the hour."""

    code = ProblemCode.RATE_LIMITED
