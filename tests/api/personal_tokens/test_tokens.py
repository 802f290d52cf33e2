"""Personal access tokens: made, shown once, listed, used, refused, ended."""

import asyncio
import json
import logging
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from taskbell.api.app import create_app
from taskbell.api.personal_tokens.policy import Lifetime
from taskbell.api.personal_tokens.verifier import REMEMBERED_SECONDS, PersonalTokenVerifier
from taskbell.contract import personal_tokens
from taskbell.kit.jwt import TokenRefused
from taskbell.local import db

_NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def overrides():
    """Few tokens, so that the bound is soon reached."""
    return {"personal_tokens_per_user": 3}


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner."""
    async with db.connected(database.owner_url) as connection:
        yield connection


@pytest.mark.feature("M37")
async def test_a_token_acts_in_the_name_of_its_maker(api, ann, make_token, bearer):
    """With the token alone a program creates and reads tasks of the user, in the user's own workspace."""
    token = await make_token(ann, "tasks:write")
    made = await api.post("/v1/tasks", json={"title": "By a program"}, headers=bearer(token))
    assert (made.status_code, made.json()["created_by"]) == (201, ann.user_id)
    assert made.json()["workspace_id"] == ann.workspace_id
    listed = await api.get("/v1/tasks", headers=bearer(token))
    assert [task["id"] for task in listed.json()["items"]] == [made.json()["id"]]
    assert listed.headers["ratelimit-policy"].startswith('"user"')


async def test_a_token_is_shown_once_and_stored_as_its_hash(api, ann, make_token, owner):
    """No list shows it, and no column of the database holds it or a part of it."""
    token = await make_token(ann)
    page = await api.get("/v1/tokens", headers=ann.headers)
    (shown,) = page.json()["items"]
    assert shown == {name: value for name, value in token.items() if name != "token"}
    assert token["token"][4:] not in page.text
    (row,) = await owner.fetch("SELECT * FROM personal_tokens")
    assert row["token_hash"] == personal_tokens.digest(token["token"])
    assert token["token"][4:20] not in str({**row})


async def test_no_program_reads_a_hash(database):
    """The API's role may not read the column: a flaw in a list cannot give hashes away."""
    async with db.connected(database.api_url) as connection:
        assert not await connection.fetchval("SELECT has_column_privilege('personal_tokens', 'token_hash', 'SELECT')")
        assert not await connection.fetchval("SELECT has_table_privilege('personal_tokens', 'UPDATE')")


async def test_a_token_is_in_no_log(api, ann, make_token, bearer, caplog):
    """Neither making, using nor refusing a token writes it anywhere."""
    with caplog.at_level(logging.DEBUG):
        token = await make_token(ann)
        await api.get("/v1/tasks", headers=bearer(token))
        refused = await api.get("/v1/tasks", headers=bearer(token["token"][:-1] + "_"))
    assert refused.status_code == 401
    assert token["token"][4:47] not in caplog.text + refused.text


@pytest.mark.feature("M32", "H4")
async def test_damaged_unknown_and_ended_tokens_are_refused(api, ann, make_token, bearer, owner):
    """Truncated, mistyped, foreign, expired or deleted: each is 401 `unauthenticated`, with a challenge."""
    token, expired, deleted = [await make_token(ann) for _ in range(3)]
    await owner.execute("UPDATE personal_tokens SET expires_at = now() WHERE id = $1", UUID(expired["id"]))
    assert (await api.delete(f"/v1/tokens/{deleted['id']}", headers=ann.headers)).status_code == 204
    text = token["token"]
    wrong = {
        "truncated": text[:-1],
        "longer": text + "0",
        "prefix": "tbr_" + text[4:],
        "prefix alone": "tbp_",
        "checksum": text[:-1] + ("0" if text[-1] != "0" else "1"),
        "mistyped": text[:10] + ("0" if text[10] != "0" else "1") + text[11:],
        "upper case": text.upper(),
        "not ASCII": "tbp_" + "é" * 49,
        "64 KiB": "tbp_" + "0" * 65_000,
        "unknown": personal_tokens.make(),
        "expired": expired["token"],
        "deleted": deleted["token"],
        "hash": personal_tokens.digest(text).hex(),
    }
    for reason, credential in wrong.items():
        header = {b"authorization": f"Bearer {credential}".encode("latin-1")}
        answer = await api.get("/v1/tasks", headers=header)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), reason
        assert answer.headers["www-authenticate"].startswith("Bearer"), reason
    assert (await api.get("/v1/tasks", headers=bearer(token))).status_code == 200


async def test_a_token_is_no_refresh_token(api, ann, make_token):
    """It begins no session."""
    token = await make_token(ann)
    answer = await api.post("/v1/auth/refresh", json={"refresh_token": token["token"]})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")


async def test_a_token_of_another_user_cannot_be_deleted(api, ann, sign_up, make_token, bearer):
    """Its id is as good as an unknown one, and it goes on working."""
    bob = await sign_up()
    token = await make_token(ann)
    for identity in (token["id"], str(uuid4())):
        answer = await api.delete(f"/v1/tokens/{identity}", headers=bob.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await api.get("/v1/tasks", headers=bearer(token))).status_code == 200


async def test_of_many_deletions_at_once_one_succeeds(api, ann, make_token):
    """Concurrent deletions of one token: one 204, the others 404."""
    token = await make_token(ann)
    answers = await asyncio.gather(*(api.delete(f"/v1/tokens/{token['id']}", headers=ann.headers) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [204] + [404] * 9


async def test_a_user_has_a_bounded_number(api, ann, make_token, owner):
    """Of many that are made at once as many succeed as there may be; one that ended a month ago gives way."""
    body = {"name": "Program", "scopes": ["tasks:read"]}
    answers = await asyncio.gather(*(api.post("/v1/tokens", json=body, headers=ann.headers) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 5
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"limit_reached"}
    await owner.execute("UPDATE personal_tokens SET expires_at = now() - interval '29 days'")
    assert (await api.post("/v1/tokens", json=body, headers=ann.headers)).status_code == 409
    await owner.execute("UPDATE personal_tokens SET expires_at = now() - interval '31 days'")
    await make_token(ann)
    assert len((await api.get("/v1/tokens", headers=ann.headers)).json()["items"]) == 1


async def test_a_token_ends_when_its_maker_says_or_in_ninety_days(api, ann, make_token):
    """Without a time it lives for the usual one; with one, until then, to the microsecond."""
    usual = datetime.fromisoformat((await make_token(ann))["expires_at"])
    assert abs(usual - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=10)
    wanted = datetime.now(UTC) + timedelta(days=3)
    made = await make_token(ann, expires_at=wanted.isoformat())
    assert datetime.fromisoformat(made["expires_at"]) == wanted


@pytest.mark.parametrize("delta", [timedelta(days=-1), timedelta(days=367)])
async def test_an_end_in_the_past_or_far_ahead_is_refused(api, ann, delta):
    """Nothing is made, and the answer names the field."""
    body = {"name": "Program", "scopes": ["tasks:read"], "expires_at": (datetime.now(UTC) + delta).isoformat()}
    answer = await api.post("/v1/tokens", json=body, headers=ann.headers)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/expires_at")
    assert (await api.get("/v1/tokens", headers=ann.headers)).json()["items"] == []


def test_the_usual_lifetime_is_never_longer_than_the_greatest():
    """An installation that lowers the greatest lifetime need not lower the usual one, too."""
    bounds = Lifetime(usual=timedelta(days=90), most=timedelta(days=7))
    assert bounds.end(now=_NOW) == _NOW + timedelta(days=7)
    assert bounds.fault(_NOW + timedelta(days=7), now=_NOW) is None
    assert bounds.fault(_NOW + timedelta(days=7, seconds=1), now=_NOW) == "at most 7 days ahead"
    assert bounds.fault(_NOW, now=_NOW) == "the instant must lie ahead"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Program"},
        {"name": "Program", "scopes": []},
        {"name": "Program", "scopes": ["tasks:read", "tasks:read"]},
        {"name": "Program", "scopes": ["tasks:everything"]},
        {"name": "Program", "scopes": ["tasks:read\x00"]},
        {"name": " ", "scopes": ["tasks:read"]},
        {"name": "Program", "scopes": ["tasks:read"], "token": "tbp_mine"},
        {"name": "Program", "scopes": ["tasks:read"], "expires_at": "2027-01-01"},
    ],
)
async def test_a_malformed_wish_is_refused(api, ann, body):
    """Unknown, repeated or no scopes, a blank name, a chosen secret: 422."""
    assert (await api.post("/v1/tokens", json=body, headers=ann.headers)).status_code == 422


async def test_the_last_use_is_written_apart_from_requests(app, api, ann, make_token, bearer, owner):
    """A request writes nothing; the role writes the newest use of each token, and never an earlier one."""
    token, unused = await make_token(ann), await make_token(ann)
    verifier = app.state.services.personal_token_verifier
    begun = datetime.now(UTC)
    assert (await api.get("/v1/tasks", headers=bearer(token))).status_code == 200
    assert await owner.fetchval("SELECT count(last_used_at) FROM personal_tokens") == 0
    await verifier.note_use()
    listed = {each["id"]: each for each in (await api.get("/v1/tokens", headers=ann.headers)).json()["items"]}
    used_at = datetime.fromisoformat(listed[token["id"]]["last_used_at"])
    assert begun <= used_at <= datetime.now(UTC)
    assert listed[unused["id"]]["last_used_at"] is None
    later = used_at + timedelta(days=1)
    await owner.execute("UPDATE personal_tokens SET last_used_at = $1 WHERE id = $2", later, UUID(token["id"]))
    await api.get("/v1/tasks", headers=bearer(token))
    await verifier.note_use()
    assert await owner.fetchval("SELECT last_used_at FROM personal_tokens WHERE id = $1", UUID(token["id"])) == later


async def test_the_last_use_is_written_when_a_process_ends(
    settings, api_client_of, api, ann, make_token, bearer, owner
):
    """A process that stops within the minute loses no use of a token."""
    token = await make_token(ann)
    other = create_app(settings)
    async with other.router.lifespan_context(other), api_client_of(other) as client:
        assert (await client.get("/v1/tasks", headers=bearer(token))).status_code == 200
        assert await owner.fetchval("SELECT count(last_used_at) FROM personal_tokens") == 0
    assert await owner.fetchval("SELECT count(last_used_at) FROM personal_tokens") == 1


async def test_a_ticket_tells_the_token_that_it_was_made_with(api, ann, make_token, bearer):
    """The gateway learns from it whose end ends the connection; a ticket of a session names no token."""
    token = await make_token(ann, "events:read")
    found = []
    for headers in (bearer(token), ann.headers):
        answer = await api.post("/v1/realtime/tickets", headers=headers)
        payload = answer.json()["ticket"].split(".")[1]
        found.append(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    assert found[0]["pat"] == token["id"]
    assert "pat" not in found[1]
    assert {claims["sub"] for claims in found} == {ann.user_id}


@pytest.fixture
def clock():
    """A clock that stands, and a function that moves it."""
    times = [1000.0]

    def read():
        return times[0]

    read.forward = lambda seconds: times.__setitem__(0, times[0] + seconds)
    return read


@pytest.mark.feature("P26", "M39")
async def test_a_verified_token_is_remembered_for_a_second(app, api, ann, make_token, clock, owner):
    """Within a second PostgreSQL is not asked again; after it a deleted token is refused, as if it had never been."""
    token = await make_token(ann)
    verifier = PersonalTokenVerifier(app.state.services.database, clock=clock)
    claims = await verifier.verify(token["token"])
    assert str(claims.user_id) == ann.user_id
    await owner.execute("DELETE FROM personal_tokens")
    clock.forward(REMEMBERED_SECONDS - 0.001)
    assert await verifier.verify(token["token"]) is claims
    clock.forward(0.001)
    for _ in range(2):
        with pytest.raises(TokenRefused):
            await verifier.verify(token["token"])


async def test_use_does_not_prolong_what_is_remembered(app, ann, make_token, clock, owner):
    """A token that is used all the time is asked for all the same."""
    token = await make_token(ann)
    verifier = PersonalTokenVerifier(app.state.services.database, clock=clock)
    await verifier.verify(token["token"])
    await owner.execute("DELETE FROM personal_tokens")
    for _ in range(3):
        clock.forward(REMEMBERED_SECONDS / 4)
        await verifier.verify(token["token"])
    clock.forward(REMEMBERED_SECONDS / 4)
    with pytest.raises(TokenRefused):
        await verifier.verify(token["token"])


async def test_what_is_remembered_is_bounded(app, sign_up, make_token, clock, owner):
    """The least recently asked token is forgotten first, and refused tokens are not remembered at all."""
    people = [await sign_up() for _ in range(3)]
    tokens = [(await make_token(person))["token"] for person in people]
    verifier = PersonalTokenVerifier(app.state.services.database, capacity=2, clock=clock)
    for token in tokens:
        await verifier.verify(token)
    for _ in range(5):
        with pytest.raises(TokenRefused):
            await verifier.verify(personal_tokens.make())
    await owner.execute("DELETE FROM personal_tokens")
    with pytest.raises(TokenRefused):
        await verifier.verify(tokens[0])
    for token in tokens[1:]:
        await verifier.verify(token)


@pytest.mark.feature("M37")
async def test_a_token_ends_itself(app, api, ann, make_token, bearer):
    """`POST /v1/auth/logout` with a token, whatever its scopes, deletes it; again it changes nothing; others stay."""
    token, other = await make_token(ann, "tasks:read"), await make_token(ann)
    for _ in range(2):  # the verifier remembers it for a second
        assert (await api.post("/v1/auth/logout", headers=bearer(token))).status_code == 204
    listed = (await api.get("/v1/tokens", headers=ann.headers)).json()["items"]
    assert [each["id"] for each in listed] == [other["id"]]
    verifier = PersonalTokenVerifier(app.state.services.database)  # of another process
    with pytest.raises(TokenRefused):
        await verifier.verify(token["token"])
    assert (await api.get("/v1/tasks", headers=bearer(other))).status_code == 200
