"""Row-level security of workspaces and memberships: who renames a workspace, and who gives which role."""

import dataclasses
import itertools
from uuid import UUID, uuid4

import asyncpg
import pytest

from taskbell.api.workspaces.policy import Role, may_change_membership
from taskbell.local import db

pytestmark = pytest.mark.feature("M33")


@dataclasses.dataclass(frozen=True)
class Founder:
    """A user with a personal workspace."""

    user: UUID
    workspace: UUID


async def _join(owner, user, workspace, role):
    await owner.execute(
        "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, $3)", user, workspace, role
    )


async def _founder(owner):
    user, workspace = uuid4(), uuid4()
    await owner.execute(
        "INSERT INTO users (id, email, name, personal_workspace_id) VALUES ($1, $2, 'Somebody', $3)",
        *(user, f"{user}@example.com", workspace),
    )
    await owner.execute("INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'Mine', $2)", workspace, user)
    await _join(owner, user, workspace, "owner")
    return Founder(user=user, workspace=workspace)


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner, which alone may prepare foreign rows."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.fixture
def join(owner):
    """Lets a user join a workspace, whoever agrees."""

    async def joined(user, workspace, role):
        await _join(owner, user, workspace, role)

    return joined


@pytest.fixture
async def mine(owner):
    """Who acts."""
    return await _founder(owner)


@pytest.fixture
async def foreign(owner):
    """Somebody else."""
    return await _founder(owner)


@pytest.fixture
async def api(database):
    """A connection as the API."""
    async with db.connected(database.api_url) as connection:
        yield connection


@pytest.fixture
def act_as(api):
    """Sets the actor for what the API's connection does next."""

    async def act(user):
        await api.execute("SELECT set_config('taskbell.actor', $1, false)", str(user))

    return act


@pytest.mark.parametrize(
    ("role", "outcome"), [("owner", "UPDATE 1"), ("admin", "UPDATE 1"), ("member", None), ("viewer", "UPDATE 0")]
)
async def test_a_workspace_is_renamed_by_who_administers_it(api, act_as, owner, join, mine, foreign, role, outcome):
    """A member may lock the row, to take turns, and not change it; a viewer and a stranger find nothing to change."""
    rename = "UPDATE workspaces SET name = 'Taken' WHERE id = $1"
    await act_as(mine.user)
    assert await api.execute(rename, foreign.workspace) == "UPDATE 0"
    await join(mine.user, foreign.workspace, role)
    locked = await api.fetch("SELECT FROM workspaces WHERE id = $1 FOR UPDATE", foreign.workspace)
    assert len(locked) == (role != "viewer")
    if outcome is None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await api.execute(rename, foreign.workspace)
    else:
        assert await api.execute(rename, foreign.workspace) == outcome
    name = await owner.fetchval("SELECT name FROM workspaces WHERE id = $1", foreign.workspace)
    assert name == ("Taken" if outcome == "UPDATE 1" else "Mine")


async def _gives_role(api, *, user, workspace, role):
    """Whether the actor can give a member a role, and takes it back; a refusal and a row that is not found are no."""
    change = api.transaction()
    await change.start()
    try:
        done = await api.execute(
            "UPDATE memberships SET role = $3 WHERE user_id = $1 AND workspace_id = $2", user, workspace, role
        )
    except asyncpg.InsufficientPrivilegeError:
        return False
    finally:
        await change.rollback()
    return done == "UPDATE 1"


@pytest.mark.parametrize("actor", Role)
async def test_a_role_is_given_by_who_may(api, act_as, owner, join, mine, foreign, actor):
    """Nobody raises themselves or another above what `policy` lets them: all pairs of roles, decided by PostgreSQL."""
    third = await _founder(owner)
    await join(mine.user, foreign.workspace, actor)
    await join(third.user, foreign.workspace, "viewer")
    await act_as(mine.user)
    for had, wanted in itertools.product(Role, Role):
        await owner.execute(
            "UPDATE memberships SET role = $3 WHERE user_id = $1 AND workspace_id = $2",
            *(third.user, foreign.workspace, had),
        )
        may = may_change_membership(actor=actor, of=had) and may_change_membership(actor=actor, of=wanted)
        given = await _gives_role(api, user=third.user, workspace=foreign.workspace, role=wanted)
        assert given == may, (had, wanted)
        if had is actor:
            own = await _gives_role(api, user=mine.user, workspace=foreign.workspace, role=wanted)
            assert own == may, ("own", wanted)


async def test_a_role_is_given_in_ones_own_workspaces_only(api, act_as, mine, foreign):
    """An owner gives no role in the workspace of another; and stays the owner of the personal one."""
    await act_as(mine.user)
    for user, workspace in ((foreign.user, foreign.workspace), (mine.user, mine.workspace)):
        assert not await _gives_role(api, user=user, workspace=workspace, role="viewer")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE memberships SET workspace_id = $1 WHERE workspace_id = $2",
        "UPDATE memberships SET user_id = $1 WHERE workspace_id = $2",
        "UPDATE workspaces SET id = $1 WHERE id = $2",
        "UPDATE workspaces SET created_by = $1 WHERE id = $2",
    ],
)
async def test_no_membership_or_workspace_becomes_anothers(api, act_as, mine, foreign, change):
    """Of a membership only the role changes, of a workspace only the name: no row moves, whoever asks."""
    await act_as(mine.user)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await api.execute(change, foreign.workspace, mine.workspace)
