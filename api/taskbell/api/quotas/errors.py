"""Errors of requests for which a workspace has no room."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class QuotaExceeded(Refused):
    """The changes of this workspace took more storage than they may in a day."""

    code = ProblemCode.QUOTA_EXCEEDED


class StorageFull(Refused):
    """The tasks of this workspace take as much storage as they may: delete some, and try again after a minute."""

    code = ProblemCode.STORAGE_FULL
