"""How many invitations there may be. Pure: the service asks before it writes."""

from __future__ import annotations

from dataclasses import dataclass

from taskbell.api.invitations.errors import AlreadyMember, TooManyInvitations, WorkspaceFull
from taskbell.contract.problems import Refused

_SHARE = 4
"""At most this part of the invitations to one address comes from one user, so that nobody uses all of them up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterBounds:
    """How many letters there may be within a day; an invitation past them has none, and can be accepted all the same.

    Attributes:
        to_mailbox: Letters to one mailbox, whatever the tags of its addresses.
        by_user_to_mailbox: Of those, from one user.
        by_user: Letters from one user.
    """

    to_mailbox: int = 10
    by_user_to_mailbox: int = 3
    by_user: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many of each there may be at a time.

    Attributes:
        members: Members of a workspace; invitations that may still be accepted count, too.
        of_workspace: Invitations of a workspace.
        by_user: Invitations that a user made.
        to_recipient: Invitations to an address that wait for an answer.
    """

    members: int
    of_workspace: int
    by_user: int
    to_recipient: int

    @property
    def by_user_to_recipient(self) -> int:
        """Invitations from one user to one address."""
        return max(1, self.to_recipient // _SHARE)

    @property
    def letters(self) -> LetterBounds:
        """Letters of invitations: a user who withdraws and invites again sends no more than who does not."""
        return LetterBounds(by_user=self.by_user)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What there is when a user invites an address.

    An invitation counts until it expires, also when it was withdrawn or declined: whoever withdraws and invites again
    gains nothing. Only `to_recipient` counts those that wait for an answer.

    Attributes:
        is_member: Whether the account of the address is a member.
        members: Members of the workspace.
        of_workspace: Invitations of the workspace.
        by_user: Invitations that the user made.
        to_recipient: Invitations to the address that wait for an answer.
        by_user_to_recipient: Invitations from the user to the address.
    """

    is_member: bool
    members: int
    of_workspace: int
    by_user: int
    to_recipient: int
    by_user_to_recipient: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What there is when a user accepts an invitation.

    Attributes:
        members: Members of the workspace.
        workspaces: Workspaces of the user.
        confirmed: Whether the user's e-mail address is confirmed.
    """

    members: int
    workspaces: int
    confirmed: bool


def refusal(load: Load, bounds: Bounds) -> Refused | None:
    """Why one more invitation is not possible; None when it is."""
    if load.is_member:
        return AlreadyMember()
    if load.members + load.of_workspace >= bounds.members:
        return WorkspaceFull(f"A workspace has at most {bounds.members} members and invitations.")
    for there, most, whose in (
        (load.of_workspace, bounds.of_workspace, "A workspace has at most {} invitations"),
        (load.by_user, bounds.by_user, "A user has at most {} invitations"),
        (load.to_recipient, bounds.to_recipient, "An address has at most {} invitations without an answer"),
        (load.by_user_to_recipient, bounds.by_user_to_recipient, "A user invites an address at most {} times"),
    ):
        if there >= most:
            return TooManyInvitations(f"{whose.format(most)}; each counts until it expires.")
    return None
