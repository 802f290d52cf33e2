"""What can be wrong with a request about notifications."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class NotificationNotFound(Refused):
    """There is no such notification, or it is not yours."""

    code = ProblemCode.NOT_FOUND
