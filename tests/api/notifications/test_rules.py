"""Who hears what: the table of the contract, compared with what the platform does."""

import itertools

import pytest

from taskbell.contract.notices import RULES, Kind, Relation
from taskbell.local import db

_SITUATIONS = {
    "has nothing to do with it": set(),
    "created it, and nobody is assigned": {Relation.CREATOR, Relation.RESPONSIBLE},
    "created it, and another is assigned": {Relation.CREATOR},
    "is assigned": {Relation.ASSIGNEE, Relation.RESPONSIBLE},
    "created it, and the assignee left": {Relation.CREATOR, Relation.RESPONSIBLE},
    "watches it": {Relation.WATCHER},
    "commented on it": {Relation.COMMENTER},
    "is assigned by this change": {Relation.NEW_ASSIGNEE},
    "is mentioned": {Relation.MENTIONED},
    "watches it and is mentioned": {Relation.WATCHER, Relation.MENTIONED},
    "is assigned, watches it and commented": {
        Relation.ASSIGNEE,
        Relation.RESPONSIBLE,
        Relation.WATCHER,
        Relation.COMMENTER,
    },
}
"""What somebody has to do with a task, and which relations that is."""
_FACTS = {
    "assign": {Kind.ASSIGNED},
    "change status": {Kind.STATUS_CHANGED},
    "comment": {Kind.COMMENT, Kind.MENTION},
    "remind": {Kind.REMINDER},
    **{kind: {kind} for kind in (Kind.DUE_SOON, Kind.OVERDUE, Kind.STALE)},
}
"""What happens, and which kinds of notifications it can cause. The last ones are facts of the sweeper."""
_ONLY_WITH = {Relation.NEW_ASSIGNEE: "assign", Relation.MENTIONED: "comment"}


class World:
    """Somebody, who is in each situation in turn, with colleagues."""

    def __init__(self, *, somebody, boss, other, former, connections):
        self.somebody, self.boss, self.other, self.former = somebody, boss, other, former
        self.owner, self.superuser = connections

    async def task(self, situation):
        """A task to which somebody has the relations of a situation."""
        creator = self.somebody if "created" in situation else self.boss
        assigned = {
            "created it, and another is assigned": [self.other],
            "created it, and the assignee left": [self.former],
            "is assigned": [self.somebody],
            "is assigned, watches it and commented": [self.somebody],
            "created it, and nobody is assigned": [],
        }.get(situation, [self.boss])
        task = await creator.create(workspace_id=self.boss.workspace_id)
        await self.owner.execute(
            "UPDATE tasks SET assignee_ids = $2::text[]::uuid[] WHERE id = $1",
            task["id"],
            [person.user_id for person in assigned],
        )
        if "watches" in situation:
            await self.somebody.follow(task, "watching")
        if "commented" in situation:
            await self.somebody.comment(task)
        return (await self.boss.request("GET", f"/tasks/{task['id']}", status=200)).json()

    async def happen(self, fact, task, *, actor, situation):
        """Let a fact about the task become true."""
        if fact == "assign":
            free = [who.user_id for who in (self.other, self.boss) if who.user_id not in task["assignee_ids"]]
            newcomer = self.somebody.user_id if situation == "is assigned by this change" else free[0]
            await actor.patch(task, assignee_ids=[*task["assignee_ids"], newcomer])
        elif fact == "change status":
            await actor.patch(task, status="in_progress")
        elif fact == "comment":
            mentioned = [self.somebody.user_id] if "mentioned" in situation else [self.other.user_id]
            await actor.comment(task, mention_ids=mentioned)
        elif fact == "remind":
            await actor.remind(task)
        else:
            await self.superuser.execute(
                "SELECT taskbell.notify(taskbell.responsible(workspace_id, created_by, assignee_ids), $2,"
                " workspace_id, id, NULL, title, 'Text', NULL) FROM tasks WHERE id = $1",
                task["id"],
                fact.value,
            )

    async def heard(self, fact, situation, *, muted, is_actor):
        """Which kinds of notifications somebody gets of the fact."""
        task = await self.task(situation)
        if muted:
            await self.somebody.follow(task, "muted")
        before = {item["id"] for item in (await self.somebody.inbox())["items"]}
        await self.happen(fact, task, actor=self.somebody if is_actor else self.boss, situation=situation)
        new = [item for item in (await self.somebody.inbox())["items"] if item["id"] not in before]
        assert all(item["task_id"] == task["id"] for item in new)
        return sorted(item["kind"] for item in new)


@pytest.fixture
async def world(database, owner, ann, bob, cid, person):
    """Bob in all situations; Ann is the boss, Cid another member, and somebody has left."""
    async with db.connected(database.superuser_url) as superuser:
        yield World(somebody=bob, boss=ann, other=cid, former=await person(), connections=(owner, superuser))


def _expected(fact, situation, *, muted, is_actor):
    """What the rules say."""
    relations = _SITUATIONS[situation]
    if muted:
        relations = relations - {Relation.WATCHER}  # one follows a task in one way
    heard = {
        kind
        for kind in _FACTS[fact]
        if RULES[kind].heard_by & relations
        and (RULES[kind].passes_mute or not muted)
        and (kind is Kind.REMINDER or not is_actor)
    }
    return sorted(heard - {Kind.COMMENT} if Kind.MENTION in heard else heard)


@pytest.mark.feature("P11", "P12", "P16", "P15")
@pytest.mark.parametrize("fact", _FACTS)
async def test_users_hear_what_the_rules_say(world, fact):
    """Each fact, in each situation, muted or not, by another or by oneself, notifies as the contract's table says."""
    wrong, tried = [], 0
    for situation, muted, is_actor in itertools.product(_SITUATIONS, (False, True), (False, True)):
        elsewhere = any(fact != _ONLY_WITH.get(relation, fact) for relation in _SITUATIONS[situation])
        if elsewhere or (is_actor and isinstance(fact, Kind)):
            continue
        case = {"muted": muted, "is_actor": is_actor}
        heard = await world.heard(fact, situation, **case)
        expected = [kind.value for kind in _expected(fact, situation, **case)]
        tried += 1
        if heard != expected:
            wrong.append((situation, case, heard, expected))
    assert wrong == []
    assert tried >= 16


def test_every_rule_is_tried():
    """The facts above cause every kind of notification that has a rule, and the situations have every relation."""
    assert set().union(*_FACTS.values()) == set(RULES)
    assert set().union(*_SITUATIONS.values()) == set(Relation)


async def test_who_left_watches_nothing(ann, bob, owner):
    """A watcher who is no longer a member hears nothing of the task."""
    task = await ann.create()
    await bob.follow(task, "watching")
    await ann.request("DELETE", f"/workspaces/{ann.workspace_id}/members/{bob.user_id}", status=204)
    await ann.patch(task, status="completed")
    assert (await bob.inbox())["items"] == []
    assert await owner.fetchval("SELECT count(*) FROM notifications") == 0


async def test_nobody_sees_who_watches_or_muted(api, ann, bob, database, owner):
    """The API's role reads nobody's subscriptions but the actor's, and asks about members of its workspaces alone."""
    task = await ann.create()
    await bob.follow(task, "watching")
    async with db.connected(database.api_url) as connection:
        ask = "SELECT taskbell.hearers($1, $2, '{}', true, false)", ann.workspace_id, task["id"]
        assert await connection.fetchval(*ask) == []
        async with connection.transaction():
            await connection.execute("SELECT set_config('taskbell.actor', $1, true)", ann.user_id)
            assert await connection.fetchval("SELECT count(*) FROM task_subscriptions") == 0
            assert [str(user) for user in await connection.fetchval(*ask)] == [bob.user_id]


async def test_the_unread_count_counts_what_came(ann, bob):
    """Comments, mentions and reminders count once each, and a read one no longer."""
    task = await ann.create(assignee_ids=[bob.user_id])
    await ann.comment(task)
    await ann.comment(task, mention_ids=[bob.user_id])
    await ann.remind(task)
    inbox = await bob.inbox(unread=True)
    assert [item["kind"] for item in inbox["items"]] == ["reminder", "mention", "comment", "assigned"]
    assert inbox["meta"]["unread"] == 4
    await bob.request("PATCH", f"/notifications/{inbox['items'][0]['id']}", status=200, json={"read": True})
    assert (await bob.inbox())["meta"]["unread"] == 3
