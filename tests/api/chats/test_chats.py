"""`/v1/me/channels/slack` and `/teams`: which addresses are accepted, and that none is ever shown."""

import asyncio

import asyncpg
import pytest

from taskbell.api.chats.policy import Chat, chat_url_fault

SLACK = "https://hooks.slack.com/services/T0000/B0000/verysecret"
TEAMS = "https://prod-23.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sig=verysecret"


@pytest.mark.parametrize(
    ("chat", "url"),
    [
        pytest.param("slack", SLACK, marks=pytest.mark.feature("M69")),
        pytest.param("teams", TEAMS, marks=pytest.mark.feature("M70")),
    ],
)
async def test_a_channel_is_set_and_removed(api, sign_up, database, chat, url):
    """404 before, 201 when it is set, 200 when it is set again; only the host is shown; each user has an own one."""
    ann, ben = await sign_up(), await sign_up()
    path = f"/v1/me/channels/{chat}"
    assert (await api.get(path, headers=ann.headers)).status_code == 404
    answers = [await api.put(path, json={"url": url}, headers=ann.headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    found = await api.get(path, headers=ann.headers)
    assert found.json() == answers[1].json()
    assert (found.json()["kind"], found.json()["host"]) == (chat, url.split("/")[2].partition(":")[0])
    assert not any("secret" in answer.text for answer in (*answers, found))
    assert found.json()["created_at"] == answers[0].json()["created_at"] < found.json()["registered_at"]
    # Members of a team may share the address.
    assert (await api.put(path, json={"url": url}, headers=ben.headers)).status_code == 201
    connection = await asyncpg.connect(database.superuser_url)
    rows = await connection.fetch("SELECT kind, address, user_id FROM alert_endpoints")
    await connection.close()
    assert {tuple(map(str, row)) for row in rows} == {(chat, url, ann.user_id), (chat, url, ben.user_id)}
    assert (await api.delete(path, headers=ann.headers)).status_code == 204
    assert (await api.delete(path, headers=ann.headers)).status_code == 404
    assert (await api.get(path, headers=ben.headers)).status_code == 200


async def test_another_address_replaces_the_former_one(api, sign_up, database):
    """Of many changes at once one address stays, under a new id, and devices are untouched."""
    ann = await sign_up()
    path = "/v1/me/channels/slack"
    device = {"kind": "fcm", "token": "the-token-of-a-phone"}
    assert (await api.post("/v1/devices", json=device, headers=ann.headers)).status_code == 201
    answers = await asyncio.gather(
        *(api.put(path, json={"url": f"{SLACK}{number}"}, headers=ann.headers) for number in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    connection = await asyncpg.connect(database.superuser_url)
    kinds = await connection.fetch("SELECT kind FROM alert_endpoints ORDER BY kind")
    await connection.close()
    assert [row["kind"] for row in kinds] == ["fcm", "slack"]
    assert len((await api.get("/v1/devices", headers=ann.headers)).json()["items"]) == 1


@pytest.mark.feature("M35")
@pytest.mark.parametrize("body", [{}, {"url": None}, {"url": ""}, {"url": SLACK, "more": 1}, {"url": SLACK + "/é"}])
async def test_bad_input(api, sign_up, body):
    """Another shape is refused."""
    ann = await sign_up()
    assert (await api.put("/v1/me/channels/slack", json=body, headers=ann.headers)).status_code == 422


@pytest.mark.feature("M35")
async def test_the_scheme_may_be_in_capitals(api, sign_up):
    """The scheme of an address has no case (RFC 3986, section 3.1): such an address is taken, and its host is shown."""
    ann = await sign_up()
    answer = await api.put("/v1/me/channels/slack", json={"url": SLACK.replace("https", "HTTPS")}, headers=ann.headers)
    assert (answer.status_code, answer.json().get("host")) == (201, "hooks.slack.com"), answer.text


async def test_an_address_elsewhere_is_refused_and_not_quoted(api, sign_up):
    """The answer points at the field, says what is wanted, and does not repeat the address."""
    ann = await sign_up()
    for chat, url in (("slack", TEAMS), ("teams", SLACK)):
        answer = await api.put(f"/v1/me/channels/{chat}", json={"url": url}, headers=ann.headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/url")
        assert "secret" not in answer.text


@pytest.mark.feature("M35", "M69", "M70")
@pytest.mark.parametrize(
    ("chat", "url", "accepted"),
    [
        ("slack", SLACK, True),
        ("slack", "https://hooks.slack-gov.com/services/T/B/x", True),
        ("slack", "https://HOOKS.slack.com:443/services/T/B/x", True),
        ("slack", "https://chat.example.com/hooks/x", True),
        ("slack", "http://hooks.slack.com/services/T/B/x", False),
        ("slack", "https://hooks.slack.com/triggers/T/B/x", False),
        ("slack", "https://hooks.slack.com:8443/services/T/B/x", False),
        ("slack", "https://hooks.slack.com@example.com/services/T/B/x", False),
        ("slack", "https://hooks.slack.com.example.com/services/T/B/x", False),
        ("slack", "https://evil-hooks.slack.com/services/T/B/x", False),
        ("slack", "https://127.0.0.1/services/T/B/x", False),
        ("teams", TEAMS, True),
        ("teams", "https://d1.05.environment.api.powerplatform.com:443/powerautomate/workflows/x", True),
        ("teams", "https://chat.example.com/hooks/x", True),
        ("teams", "https://logic.azure.com/workflows/x", False),
        ("teams", "https://evillogic.azure.com/workflows/x", False),
        ("teams", "https://x.webhook.office.com/webhookb2/x", False),
        ("teams", "https://x.logic.azure.com.example.com/x", False),
    ],
)
def test_which_hosts_are_a_chats(chat, url, accepted):
    """Each chat has its hosts, and an installation adds its own; a name that only looks like one is refused."""
    fault = chat_url_fault(url, chat=Chat(chat), hosts={"chat.example.com"}, any_port=False)
    assert (fault is None) is accepted
    assert fault is None or url.rpartition("/")[2] not in fault.split()


class TestOwnHosts:
    """An installation with a chat of its own."""

    @pytest.fixture
    def overrides(self):
        """Its host is listed, and tests may use any port."""
        return {"chat_hosts": "Mattermost.example.com, 127.0.0.1", "push_allow_private": True}

    async def test_hosts_of_the_installation(self, api, sign_up):
        """What is listed is accepted for both chats, whatever the path, by https only."""
        ann = await sign_up()
        for url, status in (
            ("https://mattermost.example.com/hooks/1", 201),
            ("https://127.0.0.1:9443/slack/1", 200),
            ("http://127.0.0.1:9443/slack/1", 422),
            ("https://other.example.com/hooks/1", 422),
        ):
            answer = await api.put("/v1/me/channels/slack", json={"url": url}, headers=ann.headers)
            assert answer.status_code == status, url
