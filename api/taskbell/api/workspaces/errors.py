"""What can be wrong with a request about workspaces."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class WorkspaceNotFound(Refused):
    """There is no such workspace, or you are not a member of it."""

    code = ProblemCode.NOT_FOUND


class MemberNotFound(Refused):
    """The user is not a member of this workspace."""

    code = ProblemCode.NOT_FOUND


class RoleInsufficient(Refused):
    """Only owners and admins change who belongs to a workspace, and only owners make or remove owners."""

    code = ProblemCode.FORBIDDEN


class OwnersOnly(Refused):
    """Only an owner deletes a workspace or restores it."""

    code = ProblemCode.FORBIDDEN


class BotOwnsNothing(Refused):
    """A bot is no owner of a workspace."""

    code = ProblemCode.CONFLICT


class TooManyWorkspaces(Refused):
    """You belong to as many workspaces as a user may."""

    code = ProblemCode.LIMIT_REACHED


class LastOwnerKept(Refused):
    """A workspace keeps at least one owner: make another one first."""

    code = ProblemCode.CONFLICT


class PersonalWorkspaceNeeded(Refused):
    """A personal workspace stays as long as its user's account."""

    code = ProblemCode.CONFLICT


class PersonalWorkspaceKept(Refused):
    """Everybody owns their own personal workspace: nobody leaves it, is removed from it, or gets another role in it."""

    code = ProblemCode.CONFLICT
