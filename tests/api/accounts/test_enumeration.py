"""Whether an address has an account shows neither in an answer nor in what the request for a new password costs."""

import asyncpg
import pytest

REQUEST = "/v1/auth/password-reset"
_OF_A_REQUEST = {"x-request-id", "taskbell-consistency"}
"""Headers that differ in any two answers."""
_OF_THE_PROCESS = ("taskbell.revoked_sessions", "taskbell.refused_workspaces")
"""What a process reads now and then, for no request."""


@pytest.fixture
async def owner(database):
    """A connection that sees everything."""
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def overrides():
    """One connection, so that all statements of a request pass by one listener."""
    return {"database_pool_size": 1}


@pytest.fixture
def asked(app, api, owner):
    """Asks for a message; returns the answer, the statements, and how many rows they left."""

    async def ask(email):
        sent, rows = [], "SELECT (SELECT count(*) FROM password_resets), (SELECT count(*) FROM deliveries)"
        database, before = app.state.services.database, await owner.fetchrow(rows)

        def note(record):
            if not any(name in record.query for name in _OF_THE_PROCESS):
                sent.append(record.query)

        async with database.connection() as connection:
            connection.add_query_logger(note)
        answer = await api.post(REQUEST, json={"email": email})
        async with database.connection() as connection:
            connection.remove_query_logger(note)
        after = await owner.fetchrow(rows)
        headers = {name: value for name, value in answer.headers.items() if name not in _OF_A_REQUEST}
        told = (answer.status_code, answer.content, headers)
        return told, tuple(sent), tuple(now - then for now, then in zip(after, before, strict=True))

    return ask


async def test_every_address_has_the_same_answer_and_path(sign_up, asked, owner):
    """With an account, without one, without a password, and with enough messages: same answer, statements, rows."""
    ann, bob = await sign_up(), await sign_up()
    await owner.execute("UPDATE users SET password_hash = NULL WHERE email = $1", bob.email)
    await asked("warm@example.com")  # asyncpg learns the types of a statement once
    found = [await asked(email) for email in ("nobody@example.com", bob.email, *[ann.email] * 4)]
    assert [shape == found[0] for shape in found] == [True] * 6
    assert found[0][0][0] == 202
    assert found[0][2] == (1, 1)
    pending = await owner.fetch("SELECT endpoint_id::text FROM deliveries WHERE state = 'pending'")
    assert [row[0] for row in pending] == [ann.user_id] * 3


async def test_pauses_tell_nothing_either(api, sign_up):
    """One client asks ten times, for addresses with or without an account; then it must wait."""
    ann = await sign_up()
    for email in (ann.email, "nobody@example.com"):
        answers = [await api.post(REQUEST, json={"email": email}) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [202] * 5
    limited = [await api.post(REQUEST, json={"email": email}) for email in (ann.email, "nobody@example.com")]
    assert [answer.status_code for answer in limited] == [429] * 2
    assert all(int(answer.headers["retry-after"]) <= 30 for answer in limited)
