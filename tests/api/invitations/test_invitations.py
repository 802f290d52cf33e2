"""Nobody belongs to a workspace, nor is anything told of them, before they accept."""

import asyncio
import json

import pytest

from joining import join


@pytest.mark.feature("P4")
async def test_nothing_is_told_before_the_person_accepts(garden, ann, bob, rows):
    """The answer is the same with and without an account; no membership, no event in the workspace, no name."""
    answers = [await garden.invite(email) for email in (bob.email, "nobody@example.com")]
    assert [answer.status_code for answer in answers] == [201, 201]
    with_account, without = (answer.json() for answer in answers)
    assert with_account.keys() == without.keys()
    assert with_account | {"id": "", "created_at": "", "expires_at": ""} == {
        "id": "",
        "workspace_id": garden.id,
        "email": bob.email,
        "role": "member",
        "invited_by": ann.user_id,
        "created_at": "",
        "expires_at": "",
        "state": "open",
    }
    assert "Bob" not in answers[0].text
    assert bob.user_id not in answers[0].text
    assert await garden.listed() == [with_account, without]
    assert [each["id"] for each in await garden.found("workspaces", by=bob)] == [bob.workspace_id]
    assert [each["email"] for each in await garden.found(f"workspaces/{garden.id}/members", by=ann)] == [ann.email]
    told = [(row["type"], str(row["workspace_id"]), row["audience"]) for row in await rows("SELECT * FROM events")]
    assert [(kind, workspace) for kind, workspace, _ in told] == [("notification.created", bob.workspace_id)]
    assert [str(user) for user in told[0][2]] == [bob.user_id]


async def test_the_inbox_shows_it_and_accepting_joins(api, garden, ann, bob, rows):
    """The notification has the invitation's id, and can be read before; accepting is an event of the workspace."""
    invitation = (await garden.invite(bob.email, "admin")).json()
    (notice,) = await garden.found("notifications", by=bob)
    assert (notice["id"], notice["kind"], notice["actor_id"]) == (invitation["id"], "invited", ann.user_id)
    assert (notice["title"], notice["task_id"]) == ("Invitation to a workspace", None)
    assert notice["body"] == "Ann (ann@example.com) invites you to Garden as admin"
    (document,) = await rows("SELECT data FROM events")
    assert json.loads(document["data"]) == notice
    read = await api.patch(f"/v1/notifications/{notice['id']}", json={"read": True}, headers=bob.headers)
    assert read.status_code == 200
    (shown,) = await garden.found("invitations", by=bob)
    assert (shown["id"], shown["workspace_name"], shown["role"]) == (invitation["id"], "Garden", "admin")
    assert (shown["inviter_name"], shown["inviter_email"], shown["declined_at"]) == ("Ann", ann.email, None)
    joined = await garden.answer(invitation, "accept", by=bob)
    assert (joined.status_code, joined.json()["name"], joined.json()["role"]) == (200, "Garden", "admin")
    assert [row["type"] for row in await rows("SELECT type FROM events ORDER BY id")] == [
        "notification.created",
        "notification.read",
        "member.added",
    ]
    assert (await garden.found("invitations", by=bob), await garden.listed()) == ([], [])
    assert (await garden.answer(invitation, "accept", by=bob)).status_code == 404
    assert (await garden.invite(bob.email)).json()["code"] == "conflict"


async def test_who_registers_later_finds_it(garden, sign_up):
    """An invitation waits for the account of its address, and is for that address alone."""
    invitation = (await garden.invite("Late@Example.com")).json()
    other = await sign_up(email="other@example.com")
    for how in ("accept", "decline"):
        assert (await garden.answer(invitation, how, by=other)).status_code == 404
    assert (await garden.answer(invitation, "accept", by=garden.ann)).status_code == 404
    late = await sign_up(email="late@example.com")
    assert [each["id"] for each in await garden.found("invitations", by=late)] == [invitation["id"]]
    assert (await garden.answer(invitation, "accept", by=late)).status_code == 200


async def test_declining_is_told_to_nobody(garden, bob):
    """Who invites sees no difference, and cannot invite again meanwhile; the person may still accept."""
    invitation = (await garden.invite(bob.email)).json()
    assert (await garden.answer(invitation, "decline", by=bob)).status_code == 204
    assert await garden.listed() == [invitation]
    assert (await garden.invite(bob.email)).json()["code"] == "conflict"
    (shown,) = await garden.found("invitations", by=bob)
    assert shown["declined_at"] is not None
    assert (await garden.answer(invitation, "accept", by=bob)).status_code == 200


async def test_an_invitation_that_has_ended(api, garden, ann, bob, sign_up, rows):
    """Withdrawn, expired, or made by somebody who may no longer make it: it is not there. One notification is told."""
    eve = await sign_up(email="eve@example.com")
    await join(api, ann, eve, workspace_id=garden.id, role="admin")
    first = (await garden.invite(bob.email)).json()
    assert await garden.withdraw(first) == 204
    assert await garden.withdraw(first) == 404
    assert await garden.listed() == []
    assert (await garden.answer(first, "accept", by=bob)).status_code == 404
    again = (await garden.invite(bob.email, "viewer", by=eve)).json()
    assert (again["id"], again["role"]) == (first["id"], "viewer")
    assert len(await garden.found("notifications", by=bob)) == 1
    await api.delete(f"{garden.path}/members/{eve.user_id}", headers=ann.headers)
    assert (await garden.answer(again, "accept", by=bob)).status_code == 404
    assert await garden.found("invitations", by=bob) == []
    await garden.withdraw(again)
    third = (await garden.invite(bob.email)).json()
    await rows("UPDATE invitations SET expires_at = now()")
    for how in ("accept", "decline"):
        assert (await garden.answer(third, how, by=bob)).status_code == 404
    assert (await garden.found("invitations", by=bob), await garden.listed()) == ([], [])
    fourth = (await garden.invite(bob.email)).json()
    assert fourth["id"] != third["id"]
    assert (await garden.answer(fourth, "accept", by=bob)).status_code == 200


async def test_who_sees_and_withdraws_invitations(api, garden, ann, bob, sign_up):
    """Owners and admins; only an owner withdraws the invitation of an owner. A stranger finds no such workspace."""
    invitation = (await garden.invite(bob.email, "owner")).json()
    guest = await sign_up(email="guest@example.com")
    assert (await garden.listed(by=guest), await garden.withdraw(invitation, by=guest)) == (404, 404)
    for role, refused in (("viewer", 403), ("member", 403), ("admin", None)):
        await join(api, ann, guest, workspace_id=garden.id, role=role)
        assert await garden.listed(by=guest) == (refused or [invitation])
        assert await garden.withdraw(invitation, by=guest) == 403
        await api.delete(f"{garden.path}/members/{guest.user_id}", headers=guest.headers)
    assert await garden.withdraw(invitation) == 204


class TestBounds:
    """With small bounds: five workspaces of a user, three members, eight invitations to an address that wait."""

    @pytest.fixture
    def overrides(self):
        """Small bounds."""
        return {
            "workspaces_per_user": 5,
            "members_per_workspace": 3,
            "invitations_per_workspace": 2,
            "invitations_per_user": 4,
            "invitations_per_recipient": 8,
        }

    async def test_a_stranger_cannot_burden_a_person(self, found_garden, ann, bob):
        """From however many workspaces: no membership and two notifications; withdrawing makes no room."""
        gardens = [await found_garden(ann) for _ in range(4)]
        answers = await asyncio.gather(*(garden.invite(bob.email) for garden in gardens))
        assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
        for garden, answer in zip(gardens, answers, strict=True):
            if answer.status_code == 201:
                await garden.withdraw(answer.json())
        for garden, answer in zip(gardens, answers, strict=True):
            if answer.status_code == 409:
                assert (await garden.invite(bob.email)).json()["code"] == "limit_reached"
        assert len(await gardens[0].found("notifications", by=bob)) == 2
        assert [each["id"] for each in await gardens[0].found("workspaces", by=bob)] == [bob.workspace_id]

    async def test_what_a_person_cannot_see_keeps_nobody_from_inviting_them(
        self, found_garden, ann, bob, sign_up, rows
    ):
        """Invitations by those who have left their workspaces can be neither accepted nor found to be declined."""
        strangers = [await sign_up() for _ in range(4)]
        for stranger in strangers:
            for _ in range(2):
                assert (await (await found_garden(stranger)).invite(bob.email)).status_code == 201
        garden = await found_garden(ann)
        assert (await garden.invite(bob.email)).json()["code"] == "limit_reached"
        left = "SELECT invited_by, workspace_id FROM invitations"
        await rows(f"DELETE FROM memberships WHERE (user_id, workspace_id) IN ({left})")
        assert await garden.found("invitations", by=bob) == []
        assert (await garden.invite(bob.email)).status_code == 201

    async def test_a_user_has_so_many_workspaces(self, api, found_garden, sign_up, ann, bob):
        """Simultaneous foundations stop at the bound, and an invitation past it cannot be accepted until one leaves."""
        made = await asyncio.gather(
            *(api.post("/v1/workspaces", json={"name": "W"}, headers=bob.headers) for _ in range(7))
        )
        assert sorted(answer.status_code for answer in made) == [201] * 4 + [409] * 3
        garden = await found_garden(ann)
        invitation = (await garden.invite(bob.email)).json()
        refused = await garden.answer(invitation, "accept", by=bob)
        assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
        other = await sign_up(email="other@example.com")
        one = next(answer.json()["id"] for answer in made if answer.status_code == 201)
        await join(api, bob, other, workspace_id=one, role="owner")
        await api.delete(f"/v1/workspaces/{one}/members/{bob.user_id}", headers=bob.headers)
        assert (await garden.answer(invitation, "accept", by=bob)).status_code == 200

    async def test_a_workspace_and_a_user_have_so_many_invitations(self, api, found_garden, sign_up, ann, bob):
        """A workspace has two, whoever asks and however many at once; a user has four; a full workspace has none."""
        first = await found_garden(ann)
        answers = await asyncio.gather(*(first.invite(f"p{number}@example.com") for number in range(6)))
        assert sorted(answer.status_code for answer in answers) == [201, 201] + [409] * 4
        second, third = await found_garden(ann), await found_garden(ann)
        for garden, status in ((second, 201), (second, 201), (third, 409)):
            answer = await garden.invite(f"q{status}{len(await garden.listed())}@example.com")
            assert answer.status_code == status
        assert answer.json()["code"] == "limit_reached"
        full = await found_garden(bob)
        guests = [await sign_up() for _ in range(3)]
        for guest in guests[:2]:
            await join(api, bob, guest, workspace_id=full.id)
        refused = await full.invite(guests[2].email)
        assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
        assert "3 members" in refused.json()["detail"]


class TestConfirmedAddress:
    """Where addresses are confirmed."""

    @pytest.fixture
    def overrides(self):
        """Only users with a confirmed address accept."""
        return {"invitations_need_confirmed_email": True}

    async def test_who_registers_a_foreign_address_accepts_nothing(self, garden, bob, rows):
        """The address must be confirmed before its invitation is accepted."""
        invitation = (await garden.invite(bob.email)).json()
        refused = await garden.answer(invitation, "accept", by=bob)
        assert (refused.status_code, refused.json()["code"]) == (409, "email_not_confirmed")
        await rows("UPDATE users SET email_confirmed_at = now() WHERE email = $1", bob.email)
        assert (await garden.answer(invitation, "accept", by=bob)).status_code == 200
