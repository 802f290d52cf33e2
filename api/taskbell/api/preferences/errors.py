"""What can be wrong with a request about preferences."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class WorkspacesUnknown(Refused):
    """Some preferences name workspaces that you do not belong to."""

    code = ProblemCode.VALIDATION_FAILED
