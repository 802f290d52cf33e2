"""What can be wrong with a request for a report."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class RangeInvalid(Refused):
    """The days that are asked for are too many, or end before they begin."""

    code = ProblemCode.VALIDATION_FAILED


class ReportsNotReady(Refused):
    """The tasks from before an upgrade are still being counted; try again in a minute."""

    code = ProblemCode.UNAVAILABLE
