"""`/v1/unsubscribe`: the link of an e-mail, followed by a person, a mail program or a scanner, without signing in."""

import uuid

import asyncpg
import pytest

from taskbell.api.unsubscribe.service import ALLOWED

CLICK = {"List-Unsubscribe": "One-Click"}
PATH = "/v1/unsubscribe"


@pytest.fixture
async def superuser(database):
    """A connection that sees tokens."""
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def with_email(api, sign_up, superuser):
    """Signs somebody up who gets e-mail; returns the account and the token of its messages."""

    async def make():
        person = await sign_up()
        await superuser.execute("UPDATE users SET email_confirmed_at = now() WHERE email = $1", person.email)
        assert (
            await api.put("/v1/me/channels/email", json={"enabled": True}, headers=person.headers)
        ).status_code == 200
        query = "SELECT unsubscribe_token FROM email_channels WHERE user_id = $1"
        return person, str(await superuser.fetchval(query, person.user_id))

    return make


async def _gets_email(api, person):
    return (await api.get("/v1/me/channels/email", headers=person.headers)).json()["enabled"]


@pytest.mark.feature("P17")
async def test_a_click_switches_e_mail_off(api, with_email):
    """By either form of RFC 8058, without signing in, for this account alone, as often as it is switched on."""
    (ann, token), (ben, _) = await with_email(), await with_email()
    for form in ({"data": CLICK}, {"files": {name: (None, value) for name, value in CLICK.items()}}):
        answer = await api.post(PATH, params={"token": token}, **form)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert (await _gets_email(api, ann), await _gets_email(api, ben)) == (False, True)
        answer = await api.put("/v1/me/channels/email", json={"enabled": True}, headers=ann.headers)
        assert answer.json()["enabled"] is True


@pytest.mark.feature("P17")
async def test_looking_at_the_link_changes_nothing(api, with_email):
    """A scanner that follows the link gets a page with a button, which posts to the same link."""
    ann, token = await with_email()
    page = await api.get(PATH, params={"token": token})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<form method="post">' in page.text
    assert 'name="List-Unsubscribe" value="One-Click"' in page.text
    assert await _gets_email(api, ann) is True


@pytest.mark.feature("M35")
async def test_the_pages_tell_nothing(api, with_email):
    """The answer is the same for an unknown token; no page holds the token, is stored, framed, or sends its address."""
    _, token = await with_email()
    known, unknown = [await api.post(PATH, params={"token": each}, data=CLICK) for each in (token, str(uuid.uuid4()))]
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    page = await api.get(PATH, params={"token": token})
    for answer in (known, page):
        assert token not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.feature("M35")
@pytest.mark.parametrize(
    ("query", "sent", "status"),
    [
        ({}, {"data": CLICK}, 422),
        ({"token": "x"}, {"data": CLICK}, 422),
        ({"token": str(uuid.UUID(int=1)), "more": "1"}, {"data": CLICK}, 422),
        (None, {"data": {"List-Unsubscribe": "two clicks"}}, 422),
        (None, {"data": {"other": "One-Click"}}, 422),
        (None, {"data": {str(number): "x" for number in range(9)}}, 400),
        (None, {"files": {"List-Unsubscribe": ("name.txt", b"One-Click")}}, 400),
        (None, {"json": CLICK}, 415),
        (None, {}, 415),
        (None, {"data": CLICK | {"more": "x" * 20_000}}, 413),
    ],
)
async def test_bad_input_changes_nothing(api, with_email, query, sent, status):
    """Another form, another media type, too much of it, or no token: a problem, and e-mail stays on."""
    ann, token = await with_email()
    answer = await api.post(PATH, params={"token": token} if query is None else query, **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await _gets_email(api, ann) is True


@pytest.mark.feature("M35")
@pytest.mark.parametrize("charset", ["undefined", "idna", "utf-8"])
async def test_a_form_of_any_charset_is_answered(api, charset):
    """Whatever charset a form names and whatever bytes it holds, a stranger gets a problem, and no fault of ours."""
    part = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n..a\xff\r\n--x--\r\n'
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    answer = await api.post(PATH, params={"token": str(uuid.uuid4())}, content=part, headers={"Content-Type": kind})
    assert answer.status_code in {400, 422}, answer.text


async def test_requests_of_one_address_are_limited(api, api_from, with_email, superuser):
    """After too many from one address it must wait, and others need not."""
    ann, token = await with_email()
    assert (await api.post(PATH, params={"token": str(uuid.uuid4())}, data=CLICK)).status_code == 200
    await superuser.execute("UPDATE login_attempts SET failures = $1", ALLOWED)
    for status in (200, 429):
        answer = await api.post(PATH, params={"token": str(uuid.uuid4())}, data=CLICK)
        assert answer.status_code == status
    assert int(answer.headers["retry-after"]) > 0
    elsewhere = await api_from("198.51.100.7")
    assert (await elsewhere.post(PATH, params={"token": token}, data=CLICK)).status_code == 200
    assert await _gets_email(api, ann) is False


async def test_a_token_is_found_by_its_index(superuser):
    """Whoever is not signed in makes no request that walks a table."""
    await superuser.execute("SET enable_seqscan = off")
    rows = await superuser.fetch(
        "EXPLAIN UPDATE email_channels SET enabled = false"
        " WHERE unsubscribe_token = '00000000-0000-0000-0000-000000000001'"
    )
    assert any("email_channels_unsubscribe_token_key" in row[0] for row in rows)
