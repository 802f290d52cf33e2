"""What can be wrong with a request about tasks."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class TaskNotFound(Refused):
    """There is no such task, or it is not yours to see."""

    code = ProblemCode.NOT_FOUND


class ChangeForbidden(Refused):
    """A viewer may read tasks but not change them."""

    code = ProblemCode.FORBIDDEN


class TaskVersionMismatch(Refused):
    """The task has changed since the version that If-Match names."""

    code = ProblemCode.VERSION_MISMATCH


class ChangeTooLarge(Refused):
    """The task with the values that it had before is too large for one event."""

    code = ProblemCode.BODY_TOO_LARGE


class ParameterInvalid(Refused):
    """A parameter is not valid."""

    code = ProblemCode.VALIDATION_FAILED


class MoveInvalid(Refused):
    """A task is moved next to another task of the same workspace."""

    code = ProblemCode.VALIDATION_FAILED


class AssigneeNotMember(Refused):
    """Only members of the workspace can be assigned."""

    code = ProblemCode.VALIDATION_FAILED
