"""What can be wrong with a request about invitations."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class InvitationNotFound(Refused):
    """There is no such invitation, or it has expired, was withdrawn, or is not yours."""

    code = ProblemCode.NOT_FOUND


class InvitationsNotPermitted(Refused):
    """Only owners and admins of a workspace see and withdraw its invitations."""

    code = ProblemCode.FORBIDDEN


class EmailNotConfirmed(Refused):
    """Confirm your e-mail address first: POST /v1/me/email/confirmation sends you a message."""

    code = ProblemCode.EMAIL_NOT_CONFIRMED


class AlreadyInvited(Refused):
    """The address is invited to this workspace already: withdraw that invitation to change its role."""

    code = ProblemCode.CONFLICT


class AlreadyMember(Refused):
    """The account is a member of this workspace already."""

    code = ProblemCode.CONFLICT


class WorkspaceFull(Refused):
    """The workspace has as many members as it may have."""

    code = ProblemCode.LIMIT_REACHED


class TooManyInvitations(Refused):
    """There are as many invitations as there may be."""

    code = ProblemCode.LIMIT_REACHED
