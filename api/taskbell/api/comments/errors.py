"""What can be wrong with a request about comments."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class CommentNotFound(Refused):
    """There is no such comment on this task, or it is not yours to see."""

    code = ProblemCode.NOT_FOUND


class DeletionForbidden(Refused):
    """A comment is deleted by its author, or by an owner or admin of the workspace."""

    code = ProblemCode.FORBIDDEN


class MentionedNotMember(Refused):
    """Only members of the workspace can be mentioned."""

    code = ProblemCode.VALIDATION_FAILED
