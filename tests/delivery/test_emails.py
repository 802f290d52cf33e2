"""E-mail, from a notification in the stream to a real SMTP server."""

import asyncio
import contextlib
import email
import ipaddress
import re
import secrets
import ssl
from email import policy
from html import unescape
from html.parser import HTMLParser

import orjson
import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from hypothesis import given
from hypothesis import strategies as st

from taskbell.contract.notices import Kind
from taskbell.delivery import metrics
from taskbell.delivery.links import LinkMalformed, Links, check_task_template
from taskbell.delivery.messages import MailboxMalformed, Reader, compose, mailbox, one_line
from taskbell.kit.ids import new_id
from taskbell.testing.waiting import eventually

pytestmark = pytest.mark.feature("P17")

_NOTICE = {
    "kind": "assigned",
    "title": "Ann assigned you: Water the plants",
    "body": "All of them.\nAlso the cactus.",
}


class Mailroom:
    """An SMTP server: gives the next answer of a script, then always accepts."""

    def __init__(self):
        self.script = []
        self.senders = "250 OK"
        self.leaves = True
        self.attempts = []
        self.messages = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 -- aiosmtpd's name
        """Take a message or refuse it."""
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        self.attempts.append((envelope.rcpt_tos, message))
        answer = self.script.pop(0) if self.script else "250 OK"
        if answer.startswith("2"):
            self.messages.append((envelope.rcpt_tos, message))
        return answer

    async def handle_MAIL(self, _server, _session, envelope, address, _options):  # noqa: N802 -- aiosmtpd's name
        """Say what there is to say to every sender."""
        envelope.mail_from = address
        return self.senders

    async def handle_QUIT(self, _server, _session, _envelope):  # noqa: N802 -- aiosmtpd's name
        """Say goodbye, or nothing."""
        if not self.leaves:
            await asyncio.Event().wait()
        return "221 Bye"


@contextlib.asynccontextmanager
async def listening(room, **options):
    """Serve a mailroom in this loop; yields its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(room, hostname="mail", loop=loop, **options), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def mailroom():
    """A mail server that listens, and its URL."""
    room = Mailroom()
    async with listening(room) as port:
        room.url = f"smtp://127.0.0.1:{port}"
        yield room


async def wants(platform, *, kinds=("*",), address=None, confirmed=True):
    """A person who wants e-mail."""
    user, workspace = await platform.person(email=address, confirmed=confirmed)
    await platform.connection.execute(
        "INSERT INTO email_channels (user_id, enabled, kinds) VALUES ($1, true, $2)", user, list(kinds)
    )
    return user, workspace


async def notify(platform, user, workspace, **notice):
    """A notification's event."""
    data = {"id": str(new_id()), **_NOTICE, **notice}
    return await platform.event(workspace, event_type="notification.created", audience=[user], data=data)


def text_of(message):
    """The plain text of a message."""
    return message.get_body(("plain",)).get_content().replace("\r\n", "\n")


def html_of(message):
    """The HTML of a message."""
    return message.get_body(("html",)).get_content().replace("\r\n", "\n")


def composed(*, links=None, others=0, zone="UTC", token=None, task=None, sender="a@example.org", **notice):
    """A message as the transport writes it."""
    data = {**_NOTICE, "workspace_id": str(new_id()), "task_id": task and str(task), **notice}
    data["created_at"] = "2026-11-21T06:00:00.123456Z"
    return compose(
        delivery_id=new_id(),
        payload=orjson.dumps({"type": "notification.created", "data": data}).decode(),
        sender=mailbox(sender),
        reader=Reader(address="b@example.com", zone=zone, unsubscribe_token=token),
        now=0.0,
        links=links or Links(),
        others=others,
    )


class Markup(HTMLParser):
    """Collects the names of elements."""

    def __init__(self):
        super().__init__()
        self.elements = set()

    def handle_starttag(self, tag, _attributes):
        """Take a name."""
        self.elements.add(tag)


async def _states(platform, *wanted):
    return sorted(await platform.states()) == sorted(wanted)


async def test_a_notification_arrives_until_the_mail_server_takes_it(platform, mailroom, run_worker):
    """A temporary no (4xx) is tried again with the same Message-ID; text and headers are as they should be."""
    mailroom.script = ["451 later", "250 OK"]
    user, workspace = await wants(platform, address="ann@example.com")
    async with run_worker(smtp_url=mailroom.url, email_from="Taskbell <bell@example.org>"):
        await notify(platform, user, workspace)
        await eventually(lambda: _states(platform, "delivered"))
    (first, second) = mailroom.attempts
    assert first[1]["Message-ID"] == second[1]["Message-ID"]
    (row,) = await platform.deliveries()
    recipients, message = mailroom.messages[0]
    assert recipients == ["ann@example.com"]
    assert message["Message-ID"] == f"<{row['id']}@example.org>"
    assert message["Subject"] == _NOTICE["title"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert _NOTICE["body"] in text_of(message)
    assert _NOTICE["body"] in html_of(message)


@pytest.mark.parametrize("page", ["", "https://tasks.example/confirm"])
async def test_a_stranger_is_only_asked_to_confirm(platform, mailroom, run_worker, page):
    """An address that is not confirmed gets no notification; the one message to it has no word of another user."""
    user, workspace = await wants(platform, address="victim@example.com", confirmed=False)
    await platform.connection.execute(
        "INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at)"
        " VALUES ($1, 'email', $2, $3, 'email.confirmation', $4, now() + interval '1 hour')",
        new_id(),
        user,
        workspace,
        '{"type":"email.confirmation","data":{"token":"secret-token","expires_at":"2026-11-22T10:00+00:00"}}',
    )
    async with run_worker(smtp_url=mailroom.url, email_confirmation_url=page):
        for number in range(5):
            await notify(platform, user, workspace, title=f"Buy now {number}")
        other, theirs = await wants(platform)
        await notify(platform, other, theirs, title="The last")
        await eventually(lambda: _states(platform, "delivered", "delivered"))
    (message,) = [found for recipients, found in mailroom.messages if recipients == ["victim@example.com"]]
    assert message["Subject"] == "Confirm your e-mail address"
    assert (f"{page}#token=secret-token" if page else "\nsecret-token\n") in text_of(message)
    assert (f'href="{page}#token=secret-token"' if page else ">secret-token<") in html_of(message)
    assert "2026-11-22 10:00 UTC" in text_of(message)
    assert "Buy now" not in message.as_string()
    assert message["List-Unsubscribe"] is None


@pytest.mark.parametrize("page", ["", "https://tasks.example/reset"])
async def test_a_forgotten_password_is_set_by_what_the_message_says(platform, mailroom, run_worker, page):
    """The account gets one message with a token that the database knows; the ledger keeps none, others get none."""
    user, _ = await platform.person(email="ann@example.com", confirmed=False)
    await platform.connection.execute("UPDATE users SET password_hash = 'x'")
    async with run_worker(smtp_url=mailroom.url, password_reset_url=page):
        for email in ("ann@example.com", "nobody@example.com"):
            token = secrets.token_urlsafe(32)
            await platform.connection.execute(
                "SELECT taskbell.request_password_reset($1, sha256($1::text::bytea), $2, sha256($2::text::bytea),"
                " '1 hour', '1 hour', 3, $3, NULL)",
                email,
                token,
                new_id(),
            )
        await eventually(lambda: _states(platform, "delivered", "withdrawn"))
    ((recipients, message),) = mailroom.messages
    assert recipients == ["ann@example.com"]
    assert message["Subject"] == "Reset your password"
    assert message["List-Unsubscribe"] is None
    found = re.search(rf"{page}#token=([\w-]{{43}})" if page else r"^([\w-]{43})$", text_of(message), re.MULTILINE)
    assert found[0] in html_of(message)
    assert found[1] not in str(await platform.deliveries())
    owner = await platform.connection.fetchval(
        "SELECT taskbell.password_reset_owner(sha256($1::text::bytea))", found[1]
    )
    assert owner == user


@pytest.mark.parametrize("page", ["", "https://tasks.example/join"])
async def test_an_invitation_goes_to_an_address_without_an_account(platform, mailroom, run_worker, page):
    """The letter has a token that accepts; the ledger keeps none. A withdrawn invitation's letter is not sent."""
    ann, workspace = await platform.person(email="ann@example.com")
    await platform.connection.execute("SELECT set_config('taskbell.actor', $1, false)", str(ann))
    for address in ("withdrawn@example.com", "late@example.com"):
        invitation, token = new_id(), secrets.token_urlsafe(32)
        await platform.connection.execute(
            "INSERT INTO invitations (id, workspace_id, email, role, invited_by, expires_at)"
            " VALUES ($1, $2, $3, 'member', $4, now() + interval '1 day')",
            *(invitation, workspace, address, ann),
        )
        await platform.connection.execute(
            "SELECT taskbell.announce_invitation($1, NULL, $2, sha256($2::text::bytea), sha256($3::text::bytea),"
            " '1 hour', 9, 9, 9)",
            *(invitation, token, address),
        )
        if address.startswith("withdrawn"):
            await platform.connection.execute("UPDATE invitations SET withdrawn_at = now()")
    async with run_worker(smtp_url=mailroom.url, invitation_url=page):
        await eventually(lambda: _states(platform, "dead", "delivered"))
    ((recipients, message),) = mailroom.messages
    assert recipients == ["late@example.com"]
    assert (message["Subject"], message["List-Unsubscribe"]) == ("Invitation to a workspace", None)
    assert (f"{page}#token={token}" if page else f"\n{token}\n") in text_of(message)
    assert token in html_of(message)
    assert token not in str(await platform.deliveries())


def _invitation(**names):
    data = {"token": "t", "role": "member", "expires_at": "2026-11-22T10:00+00:00", **names}
    return compose(
        delivery_id=new_id(),
        payload=orjson.dumps({"type": "email.invitation", "data": data}).decode(),
        sender=mailbox("a@example.org"),
        reader=Reader(address="b@example.com"),
        now=0.0,
        links=Links(join_at="https://tasks.example/join"),
    )


def test_an_invitation_shows_harmless_names():
    """They are escaped, and on one line; without them the letter names nobody."""
    message = _invitation(
        workspace_name="Garden <i>\n& \u202eyard", inviter_name="Ann", inviter_email="ann@example.com"
    )
    assert "Ann (ann@example.com) invites you to “Garden <i> & yard” on Taskbell as member." in text_of(message)
    assert "Garden &lt;i&gt; &amp; yard" in html_of(message)
    assert "Somebody invites you to a workspace on Taskbell as member." in text_of(_invitation())


@pytest.mark.parametrize(
    "name",
    [
        *("Win at evil.example", "http://evil", "evil.example/x", "ann@evil.example", "www evil", "evil\u3002example"),
        *("evil\uff0eexample", "host:80", "\\\\host", "a/b"),
    ],
)
def test_a_name_that_could_be_a_link_is_left_out(name):
    """What a mail program would make a link of, also by other full stops, stands in no invitation."""
    message = _invitation(workspace_name=name, inviter_name=name)
    assert "Somebody invites you to a workspace on Taskbell as member." in text_of(message)
    assert text_of(message).count("://") == 1
    assert "evil" not in message.as_string()


@pytest.mark.parametrize(
    "address",
    ["evil.example/login?a=b@example.com", "www.evil@example.com", "//evil@example.com", "evil\uff0fx@example.com"],
)
def test_an_address_that_begins_like_a_link_is_left_out(address):
    """The part before the @ is a stranger's choice, too."""
    message = _invitation(workspace_name="Garden", inviter_name="Ann", inviter_email=address)
    assert "Ann invites you to “Garden” on Taskbell as member." in text_of(message)
    assert "evil" not in message.as_string()


async def test_a_change_of_the_address_is_told_to_both(platform, mailroom, run_worker):
    """The new address gets the token, and the former one no word of the new one."""
    user, workspace = await platform.person(email="present@example.com", confirmed=False)
    for kind, data in (
        ("email.change", {"to": "new@example.com", "token": "secret-token", "expires_at": "2026-11-22T10:00+00:00"}),
        ("email.changed", {"to": "former@example.com"}),
    ):
        await platform.connection.execute(
            "INSERT INTO deliveries (event_id, channel, endpoint_id, workspace_id, event_type, payload, give_up_at)"
            " VALUES ($1, 'email', $2, $3, $4, $5, now() + interval '1 hour')",
            new_id(),
            user,
            workspace,
            kind,
            orjson.dumps({"type": kind, "data": data}).decode(),
        )
    async with run_worker(smtp_url=mailroom.url):
        await eventually(lambda: _states(platform, "delivered", "delivered"))
    found = {recipient: message for (recipient,), message in mailroom.messages}
    assert set(found) == {"new@example.com", "former@example.com"}
    assert found["new@example.com"]["Subject"] == "Confirm your new e-mail address"
    assert "\nsecret-token\n" in text_of(found["new@example.com"])
    assert found["former@example.com"]["Subject"] == "Your e-mail address was changed"
    assert "new@" not in found["former@example.com"].as_string()
    assert [row["payload"] for row in await platform.deliveries()] == ["{}"] * 2


async def test_a_user_gets_so_many_messages_in_an_hour(platform, mailroom, run_worker):
    """Further notifications, in one batch or a later one, are counted and not sent; others get theirs."""
    before = metrics.EMAILS_LIMITED._value.get()
    user, workspace = await wants(platform, address="ann@example.com")
    for _ in range(4):
        await notify(platform, user, workspace)
    async with run_worker(smtp_url=mailroom.url, emails_per_hour=3):
        await eventually(lambda: _states(platform, *["delivered"] * 3))
        await notify(platform, user, workspace)
        other, theirs = await wants(platform)
        await notify(platform, other, theirs)
        await eventually(lambda: _states(platform, *["delivered"] * 4))
    assert [recipients for recipients, _ in mailroom.messages].count(["ann@example.com"]) == 3
    assert metrics.EMAILS_LIMITED._value.get() - before == 2


async def test_a_permanent_no_is_the_end(platform, mailroom, run_worker):
    """5xx is not tried again."""
    mailroom.script = ["554 never"]
    user, workspace = await wants(platform)
    async with run_worker(smtp_url=mailroom.url):
        await notify(platform, user, workspace)
        await eventually(lambda: _states(platform, "dead"))
    assert len(mailroom.attempts) == 1
    (row,) = await platform.deliveries()
    assert row["response_status"] == 554


async def test_what_the_mail_server_took_is_not_sent_again(platform, mailroom, run_worker):
    """A mail server that hangs after its yes has the message all the same."""
    mailroom.leaves = False
    user, workspace = await wants(platform)
    async with run_worker(smtp_url=mailroom.url, smtp_timeout="PT1.5S"):
        await notify(platform, user, workspace)
        await eventually(lambda: _states(platform, "delivered"))
    assert len(mailroom.attempts) == 1


async def test_a_mail_server_that_refuses_the_sender_is_ours_to_mend(platform, mailroom, run_worker):
    """A 5xx to anything but the recipient and the message says that our settings are wrong: the e-mail is kept."""
    mailroom.senders = "530 authentication required"
    user, workspace = await wants(platform)
    async with run_worker(smtp_url=mailroom.url, delivery_retry_first="PT60S"):
        await notify(platform, user, workspace)
        await eventually(lambda: _states(platform, "retrying"))
    (row,) = await platform.deliveries()
    assert (row["response_status"], row["error"]) == (530, "SMTPSenderRefused")


@pytest.mark.parametrize(
    ("address", "utf8", "to"),
    [
        ("ann@exämple.com", False, "ann@xn--exmple-cua.com"),
        ("ann@faß.example", True, "ann@xn--fa-hia.example"),
        ("änn@exämple.com", True, "änn@xn--exmple-cua.com"),
    ],
)
async def test_addresses_in_all_scripts(platform, run_worker, address, utf8, to):
    """A domain goes out in Punycode, which every server takes; only a name in front of it needs SMTPUTF8 (RFC 6531)."""
    room = Mailroom()
    async with listening(room, enable_SMTPUTF8=utf8) as port:
        user, workspace = await wants(platform, address=address)
        async with run_worker(smtp_url=f"smtp://127.0.0.1:{port}"):
            await notify(platform, user, workspace)
            await eventually(lambda: _states(platform, "delivered"))
    assert [recipients for recipients, _ in room.messages] == [[to]]


async def test_only_what_is_wanted_and_only_to_its_person(platform, mailroom, run_worker):
    """Unwanted kinds, people who did not ask, and events that are no notifications are not sent by e-mail."""
    ann, workspace = await wants(platform, kinds=["due_soon"], address="ann@example.com")
    ben, _ = await platform.person(email="ben@example.com")
    async with run_worker(smtp_url=mailroom.url):
        await notify(platform, ann, workspace)
        await notify(platform, ben, workspace, kind="due_soon")
        await platform.event(workspace, audience=[ann])
        await notify(platform, ann, workspace, kind="due_soon")
        await eventually(lambda: _states(platform, "delivered"))
    assert [recipients for recipients, _ in mailroom.messages] == [["ann@example.com"]]


async def test_without_a_mail_server_e_mail_is_retried_and_webhooks_go_on(platform, mailroom, receiver, run_worker):
    """A worker without a mail server records that for each e-mail; one with a mail server sends it."""
    user, workspace = await wants(platform)
    await platform.webhook(workspace, receiver.url)
    async with run_worker():
        await notify(platform, user, workspace)
        await platform.event(workspace)
        await eventually(lambda: _states(platform, "delivered", "retrying"))
    assert {row["error"] for row in await platform.deliveries()} == {None, "no mail server is set up"}
    async with run_worker(smtp_url=mailroom.url):
        await eventually(lambda: _states(platform, "delivered", "delivered"))


async def test_without_a_mail_server_e_mail_is_given_up_in_time(platform, mailroom, run_worker):
    """It neither waits forever, where it would look like a backlog, nor is sent when it is old."""
    user, workspace = await wants(platform)
    async with run_worker(delivery_retry_for="PT0.2S"):
        await notify(platform, user, workspace)
        await eventually(lambda: _states(platform, "dead"))
    assert mailroom.attempts == []


async def test_nothing_of_a_title_becomes_a_header(platform, mailroom, run_worker):
    """Line breaks in a task's title neither add headers nor recipients, and do not keep the e-mail from being sent."""
    user, workspace = await wants(platform, address="ann@example.com")
    title = "Hello\r\nBcc: eve@example.com\r\n\r\n.\r\nRSET\u2028" + "x" * 400
    async with run_worker(smtp_url=mailroom.url):
        await notify(platform, user, workspace, title=title, body="one\r\n.\r\ntwo")
        await eventually(lambda: _states(platform, "delivered"))
    ((recipients, message),) = mailroom.messages
    assert recipients == ["ann@example.com"]
    assert message["Bcc"] is None
    assert message["Subject"].startswith("Hello Bcc: eve@example.com . RSET xxx")
    assert len(message["Subject"]) == 200
    assert "one\n.\ntwo" in text_of(message)
    assert "one\n.\ntwo" in html_of(message)


@given(
    title=st.text(max_size=300),
    body=st.text(max_size=300),
    kind=st.sampled_from([*Kind]) | st.text(max_size=20),
    others=st.integers(0, 10_000),
)
def test_any_text_makes_a_message(title, body, kind, others):
    """Whatever people write, a message comes of it, with only our headers and only our markup."""
    try:
        message = composed(title=title, body=body, kind=kind, others=others)
    except TypeError:
        return  # a lone surrogate, which no event can hold
    parsed = email.message_from_bytes(message.as_bytes(), policy=policy.default)
    assert {name.lower() for name in parsed} == {
        *("from", "to", "subject", "date", "message-id", "auto-submitted", "x-taskbell-kind", "list-id"),
        *("content-type", "mime-version"),
    }
    assert str(parsed["to"]) == "b@example.com"
    assert len(parsed["subject"]) <= 200
    markup = Markup()
    markup.feed(html_of(parsed))
    assert markup.elements <= {"html", "head", "meta", "title", "body", "div", "h1", "p", "hr", "br"}
    assert all("\x00" not in part for part in (text_of(parsed), html_of(parsed)))


_LINKS = Links(task_template="https://tasks.example/w/{workspace_id}?task={task_id}", api="https://api.tasks.example")
_TASK, _TOKEN = new_id(), new_id()


def test_a_message_leads_to_its_task_and_out_of_the_list():
    """With the settings that name them there are links to the task and out of the list, by one click (RFC 8058)."""
    message = composed(links=_LINKS, token=_TOKEN, task=_TASK)
    leave = f"https://api.tasks.example/v1/unsubscribe?token={_TOKEN}"
    assert message["List-Unsubscribe"] == f"<{leave}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "Taskbell notifications <notifications.example.org>"
    for part in (text_of(message), unescape(html_of(message))):
        assert re.search(rf"https://tasks\.example/w/[0-9a-f-]{{36}}\?task={_TASK}\b", part)
        assert leave in part


def test_without_the_settings_there_are_no_links():
    """Only the text says that settings decide; nothing in the message loads from elsewhere."""
    message = composed(token=_TOKEN, task=_TASK)
    assert message["List-Unsubscribe"] is None
    assert "Your settings decide" in text_of(message)
    assert "http" not in html_of(message) + text_of(message)


def test_without_https_there_is_no_one_click():
    """RFC 8058 demands https: an API without it is only named as RFC 2369 does."""
    message = composed(links=Links(api="http://localhost:8000"), token=_TOKEN)
    assert message["List-Unsubscribe"] == f"<http://localhost:8000/v1/unsubscribe?token={_TOKEN}>"
    assert message["List-Unsubscribe-Post"] is None


def test_messages_about_one_task_are_one_conversation():
    """They refer to one id for the task, and have ids of their own; one that speaks for many belongs to no task."""
    first, second, other = (composed(task=task) for task in (_TASK, _TASK, new_id()))
    assert first["References"] == first["In-Reply-To"] == second["References"] == f"<task.{_TASK}@example.org>"
    assert first["Message-ID"] != second["Message-ID"]
    assert other["References"] != first["References"]
    assert composed(task=_TASK, others=3)["References"] is None
    assert composed()["References"] is None


def test_long_addresses_stay_as_they_are():
    """Headers that programs read are never folded or encoded, however long: a mail program could not follow them."""
    links = Links(api="https://" + "a" * 200 + ".example")
    message = composed(links=links, token=_TOKEN, task=_TASK, sender=f"bell@{'b' * 60}.{'c' * 60}.example")
    lines = message.as_bytes().decode().split("\r\n")
    assert f"List-Unsubscribe: <{links.api}/v1/unsubscribe?token={_TOKEN}>" in lines
    assert f"References: <task.{_TASK}@{'b' * 60}.{'c' * 60}.example>" in lines


def test_times_are_those_of_the_reader():
    """The due time, and when it was told, are on the reader's clock."""
    message = composed(kind="due_soon", body="Due at 2026-11-21 07:30 UTC", zone="Asia/Tokyo")
    for part in (text_of(message), html_of(message)):
        assert "Due at 2026-11-21 16:30 Asia/Tokyo" in part
        assert "2026-11-21 15:00 Asia/Tokyo" in part
        assert "UTC" not in part


@pytest.mark.feature("T15")
def test_a_message_counts_those_that_it_speaks_for():
    """What waited for the end of quiet hours is one message: its subject and its text have the count."""
    message = composed(others=4)
    assert message["Subject"] == "Ann assigned you: Water the plants (+4)"
    assert "4 further notifications" in text_of(message)
    assert "one further notification came" in text_of(composed(others=1))


def test_a_digest_lists_its_counts():
    """One line for each."""
    message = composed(kind="digest", title="Your day", body="3 due today, 1 overdue, 5 unread")
    assert "3 due today\n1 overdue\n5 unread" in text_of(message)


async def test_the_reader_is_taken_from_the_account(platform, mailroom, run_worker):
    """Zone and token of the user are in the message that arrives."""
    user, workspace = await wants(platform)
    await platform.connection.execute("UPDATE users SET time_zone = 'Asia/Tokyo' WHERE id = $1", user)
    token = await platform.connection.fetchval("SELECT unsubscribe_token FROM email_channels WHERE user_id = $1", user)
    names = {"api_public_url": "https://api.example/", "task_url_template": "https://tasks.example/{task_id}"}
    async with run_worker(smtp_url=mailroom.url, **names):
        body = "Due at 2026-11-21 07:30 UTC"
        await notify(platform, user, workspace, kind="due_soon", body=body, task_id=str(_TASK))
        await eventually(lambda: _states(platform, "delivered"))
    ((_, message),) = mailroom.messages
    assert "Due at 2026-11-21 16:30 Asia/Tokyo" in text_of(message)
    assert f"https://tasks.example/{_TASK}" in text_of(message)
    assert message["List-Unsubscribe"] == f"<https://api.example/v1/unsubscribe?token={token}>"


@pytest.mark.parametrize(
    "template",
    ["tasks.example/{task_id}", "https://tasks.example/", "https://x.example/{task_id}/{user}", "https://x y"],
)
def test_templates_of_addresses_are_checked(template):
    """A template that is no address, names no task or names what is not known is refused at the start."""
    with pytest.raises(LinkMalformed):
        check_task_template(template)


@given(st.text(max_size=300))
def test_one_line_is_one_line(text):
    """No control character and no line break is left, and the length is bounded."""
    found = one_line(text)
    assert len(found) <= 200
    assert all(character.isprintable() or character in "\u200c\u200d" for character in found)


@pytest.mark.parametrize("text", ["", "nobody", "a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example", "<>"])
def test_malformed_mailboxes(text):
    """What is not one address is refused."""
    with pytest.raises(MailboxMalformed):
        mailbox(text)


@pytest.fixture
def certificate(make_certificate, monkeypatch):
    """A certificate for 127.0.0.1 that this process trusts."""
    path = make_certificate(ipaddress.ip_address("127.0.0.1"))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(("password", "state"), [("right", "delivered"), ("wrong", "retrying")])
async def test_starttls_with_a_password(platform, certificate, run_worker, password, state):
    """With STARTTLS and sign-in; a wrong password is ours to mend, so the e-mail is kept."""
    room = Mailroom()

    def check(_server, _session, _envelope, _mechanism, credentials):
        return AuthResult(success=credentials.password == b"right", handled=False)

    options = {"tls_context": certificate, "require_starttls": True, "authenticator": check, "auth_required": True}
    async with listening(room, **options) as port:
        user, workspace = await wants(platform)
        url = f"smtp+starttls://me:{password}@127.0.0.1:{port}"
        async with run_worker(smtp_url=url, delivery_retry_first="PT60S"):
            await notify(platform, user, workspace)
            await eventually(lambda: _states(platform, state))
    assert len(room.messages) == (state == "delivered")


async def test_a_mail_server_without_encryption_gets_nothing_where_it_is_required(platform, mailroom, run_worker):
    """`smtp+starttls` never falls back to plain text."""
    user, workspace = await wants(platform)
    url = mailroom.url.replace("smtp:", "smtp+starttls:")
    async with run_worker(smtp_url=url, delivery_retry_first="PT60S"):
        await notify(platform, user, workspace)
        await eventually(lambda: _states(platform, "retrying"))
    assert mailroom.attempts == []
