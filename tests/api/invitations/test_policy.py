"""How many invitations there may be."""

import dataclasses

import pytest

from taskbell.api.invitations.errors import AlreadyMember, TooManyInvitations, WorkspaceFull
from taskbell.api.invitations.policy import Bounds, Load, refusal

_BOUNDS = Bounds(members=10, of_workspace=5, by_user=6, to_recipient=8)
_LOAD = Load(is_member=False, members=2, of_workspace=4, by_user=5, to_recipient=7, by_user_to_recipient=1)


@pytest.mark.parametrize(
    ("there", "refused"),
    [
        ({}, None),
        ({"is_member": True}, AlreadyMember),
        ({"members": 6}, WorkspaceFull),
        ({"of_workspace": 5}, TooManyInvitations),
        ({"by_user": 6}, TooManyInvitations),
        ({"to_recipient": 8}, TooManyInvitations),
        ({"by_user_to_recipient": 2}, TooManyInvitations),
    ],
)
def test_one_more_is_refused_at_each_bound(there, refused):
    """One below every bound there is room; at any of them there is none. A quarter to one address is one user's."""
    found = refusal(dataclasses.replace(_LOAD, **there), _BOUNDS)
    assert found is None if refused is None else type(found) is refused


def test_a_small_bound_leaves_room_for_one():
    """A quarter of three is not nothing."""
    assert dataclasses.replace(_BOUNDS, to_recipient=3).by_user_to_recipient == 1
