"""The platform behind the proxies of the documentation, configured from the Ingress and HTTPRoute of the chart."""

import asyncio
import contextlib
import itertools
import json
import signal

import h2.connection
import h2.events
import h2.settings
import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from front_door.clients import Visitor
from front_door.house import API, GATEWAY, HOST, PROXIES, ROUTES, housed, rendered_with
from front_door.routes import certificates, rules
from taskbell.client.connection import Connection
from taskbell.contract.frames import SUBPROTOCOL, CloseCode
from taskbell.testing.follower import Follower
from taskbell.testing.waiting import eventually

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("front door"),
    pytest.mark.feature("K8", "T17"),
]

PASSWORD = "correct horse battery"
NUMBERS = itertools.count(1)
ADDRESSES = (f"203.0.113.{number}" for number in itertools.count(1))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(chart, fresh_database, servers, tmp_path_factory):
    """Two pods of the API, two gateways and a relay, as the chart starts them, and proxies in front of them."""
    async with (
        fresh_database() as database,
        housed(chart, database, nats_url=servers.nats_url("shared"), folder=tmp_path_factory.mktemp("house")) as made,
    ):
        yield made


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request, house):
    """Each proxy in front of the programs."""
    with house.proxy(request.param) as running:
        yield running


@pytest.fixture
def visitor(proxy):
    """A client's machine with an address of its own."""
    return Visitor(proxy, HOST, next(ADDRESSES))


async def register(http, **more):
    """Register somebody new; return the answer."""
    person = {"email": f"user{next(NUMBERS)}@example.com", "password": PASSWORD, "name": "Ada"}
    return await http.post("/v1/auth/register", json=person, **more)


async def signed_in(http):
    """Register somebody, and send their token from now on; return it."""
    answer = (await register(http)).raise_for_status().json()
    http.headers["Authorization"] = f"Bearer {answer['access_token']}"
    return answer["access_token"]


async def counted(ports, metric):
    """The sum of a metric's samples in each pod."""
    async with httpx.AsyncClient(trust_env=False) as inside:
        texts = [(await inside.get(f"http://127.0.0.1:{port}/metrics")).text for port in ports]
    return [
        sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(metric)) for text in texts
    ]


async def test_ingress_and_route_say_the_same(chart):
    """Both kinds have the same rules, and the Ingress names a Secret for its one host."""
    ingress, route = (rendered_with(chart, kind).objects for kind in ROUTES)
    assert rules(ingress) == rules(route)
    assert certificates(ingress) == {HOST: "certificate"}


@pytest.mark.feature("P25")
async def test_one_address_serves_the_api(visitor):
    """By HTTPS and HTTP/2: register, log in, create, list, documents and keys; nothing names an address within."""
    async with visitor.http() as http:
        registered = await register(http)
        person = {"email": registered.json()["user"]["email"], "password": PASSWORD}
        login = await http.post("/v1/auth/login", json=person)
        http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        created = await http.post("/v1/tasks", json={"title": "from outside"})
        ticket = await http.post("/v1/realtime/tickets")
        paths = ["/v1/tasks", "/docs", "/redoc", "/openapi.json", "/.well-known/jwks.json", "/v1/events"]
        read = [await http.get(path) for path in paths]
        found = await http.get(created.headers["location"])
    answers = [registered, login, created, ticket, *read, found]
    assert [answer.status_code for answer in answers] == [201, 200, 201, 201, *[200] * len(read), 200]
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    assert found.url.scheme == "https"
    assert found.json() == created.json() == read[0].json()["items"][0]
    assert ticket.json()["url"].startswith(f"wss://{HOST}/ws")
    for answer in answers:
        within = [
            word for word in ("127.0.0.1", "svc", "http://tasks", API) if word in f"{answer.headers}{answer.text}"
        ]
        assert within == [], answer.url
        assert "set-cookie" not in answer.headers


HIDDEN = [
    *("/", "/metrics", "/livez", "/readyz", "/health", "//metrics", "/metrics/", "/v10", "/wss", "/docsx"),
    *("/v1/../metrics", "/v1/%2e%2e/metrics", "/v1/..%2fmetrics", "/v1//../../metrics", "/.well-known/../livez"),
    *("/ws/../metrics", "/ws/%2e%2e/livez", "/ws%2f..%2fmetrics", "/ws/metrics", "/ws;/../readyz", "/ws/?/../metrics"),
    *(f"https://{HOST}/metrics", f"https://{HOST}/ws/../metrics", "/ws/..;/metrics", "/ws/.%00./metrics"),
]


@pytest.mark.feature("P25")
async def test_what_is_inside_stays_there(visitor):
    """Neither probes nor metrics can be reached, whatever way their path is written."""
    for target in HIDDEN:
        reader, writer = await visitor.raw()
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        assert 400 <= int(answer.split(" ", 2)[1]) < 500, (target, answer)
        assert not any(word in answer for word in ("taskbell_", '"checks"', '"ok"', "# HELP")), target


async def test_other_hosts_and_plain_http_lead_nowhere(visitor):
    """Another host's requests reach nothing; without TLS there is only the way to https."""
    async with visitor.http(http2=False) as http:
        foreign = await http.get("/openapi.json", headers={"Host": "other.example"})
    async with httpx.AsyncClient(trust_env=False) as plain:
        address = f"http://127.0.0.1:{visitor.proxy.plain_port}/v1/tasks"
        moved = await plain.post(address, headers={"Host": HOST}, json={"title": "not for all to read"})
    assert foreign.status_code in {404, 421}
    assert (moved.status_code, moved.headers["location"]) == (308, f"https://{HOST}/v1/tasks")


@pytest.mark.feature("M46")
async def test_requests_and_sockets_spread(house, visitor):
    """Both pods of the API and both gateways get their share."""
    metric, sockets = "taskbell_api_request_duration_seconds_count", "taskbell_gateway_connections"
    before = await counted(house.pods[API], metric)
    async with visitor.http() as http, contextlib.AsyncExitStack() as stack:
        token = await signed_in(http)
        await asyncio.gather(*(http.get("/v1/tasks") for _ in range(40)))
        for _ in range(8):
            connection = await opened(visitor)
            stack.push_async_callback(connection.close)
            await connection.hello(token=token)
        opened_now = await counted(house.pods[GATEWAY], sockets)
    served = [after - earlier for after, earlier in zip(await counted(house.pods[API], metric), before, strict=True)]
    assert min(served) >= 10, served
    assert min(opened_now) >= 2, opened_now


async def opened(visitor, **options):
    """A WebSocket by the proxy."""
    return await Connection.open(
        f"wss://{visitor.host}/ws",
        ping_interval=None,
        proxy=None,
        sock=visitor.socket(),
        ssl=visitor.trust(),
        server_hostname=visitor.host,
        **options,
    )


async def guess(http, email, **headers):
    """Try a wrong password; return the status."""
    answer = await http.post("/v1/auth/login", json={"email": email, "password": "a guess"}, headers=headers)
    return answer.status_code


@pytest.mark.parametrize("forged", ["", "198.51.100.{}", "10.0.0.{}", "127.0.0.1, 198.51.100.{}", "unknown", "{}"])
async def test_a_guesser_is_known_by_the_address_that_the_proxy_saw(proxy, forged):
    """Pauses begin for the guesser's own address, whatever `X-Forwarded-For` it sends; the owner signs in."""
    guesser, owner = (Visitor(proxy, HOST, next(ADDRESSES)) for _ in range(2))
    async with owner.http() as theirs, guesser.http(http2=False) as http:
        email = (await register(theirs)).json()["user"]["email"]
        headers = {"Connection": "keep-alive, X-Forwarded-For"} if forged else {}
        statuses = [
            await guess(http, email, **headers, **({"X-Forwarded-For": forged.format(number)} if forged else {}))
            for number in range(1, 12)
        ]
        right = await theirs.post("/v1/auth/login", json={"email": email, "password": PASSWORD})
    assert statuses == [401] * 10 + [429]
    assert right.status_code == 200


@pytest.mark.parametrize("network", ["198.51.100.{}", "2001:db8:{}::7"])
async def test_registrations_count_by_the_client(proxy, network):
    """The twenty-first registration from one address waits, with forged headers too; another address does not."""
    flood, other = (Visitor(proxy, HOST, network.format(next(NUMBERS) % 250)) for _ in range(2))
    async with flood.http() as http, other.http() as theirs:
        statuses = [
            (await register(http, headers={"X-Forwarded-For": f"192.0.2.{number}"})).status_code for number in range(21)
        ]
        assert statuses == [201] * 20 + [429]
        assert (await register(theirs)).status_code == 201


async def test_two_proxies_report_one_client(house, proxy):
    """Behind a further proxy the client's address is the one that the outer proxy saw."""
    with house.proxy("haproxy", {service: [proxy.port] for service in house.pods}, outer=True) as outer:
        guesser, owner = (Visitor(outer, HOST, next(ADDRESSES)) for _ in range(2))
        async with owner.http() as theirs, guesser.http() as http:
            email = (await register(theirs)).json()["user"]["email"]
            statuses = [await guess(http, email, **{"X-Forwarded-For": f"192.0.2.{n}"}) for n in range(11)]
            right = await theirs.post("/v1/auth/login", json={"email": email, "password": PASSWORD})
    assert statuses == [401] * 10 + [429]
    assert right.status_code == 200


@pytest.mark.parametrize("http2", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_that_is_too_large_is_a_problem_document(visitor, http2, chunked):
    """The API's own 413 comes through, and the next request works."""

    async def parts():
        for _ in range(48):
            yield b" " * 65536

    async with visitor.http(http2=http2) as http:
        await signed_in(http)
        headers = {"Content-Type": "application/json"}
        answer = await http.post("/v1/tasks", content=parts() if chunked else b" " * 3 * 2**20, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert (await http.get("/v1/tasks")).status_code == 200
        assert (await http.post("/v1/tasks", json={"title": "x", "description": "y" * 9_000})).status_code == 201


async def test_slow_clients_hold_up_nobody(visitor):
    """Half heads, half bodies and unread answers of many clients: others are served, and who is only slow is, too."""
    async with visitor.http() as http, contextlib.AsyncExitStack() as stack:
        token = await signed_in(http)
        head = f"POST /v1/tasks HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
        body = json.dumps({"title": "slow"})
        slow = []
        for number in range(60):
            reader, writer = await visitor.raw()
            stack.callback(writer.close)
            text = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write((text if number % 2 else head).encode())
            if number % 2:
                slow.append((reader, writer))
        for number in range(20):
            assert (await http.post("/v1/tasks", json={"title": f"quick {number}"})).status_code == 201
        for letter in body:
            for _, writer in slow:
                writer.write(letter.encode())
            await asyncio.sleep(0.01)
        for reader, _ in slow:
            assert (await reader.readline()).split()[1] == b"201"
        listed = (await http.get("/v1/tasks", params={"limit": 1000})).json()["items"]
        assert len(listed) == 20 + len(slow)


@pytest.mark.feature("M22")
@pytest.mark.parametrize(("name", "told"), [("haproxy", True), ("haproxy", False), ("nginx", False)])
async def test_no_request_fails_while_a_pod_stops(house, name, told):
    """Connections are kept and used again while a pod of the API ends.

    Reads and repeatable changes never fail. Neither do others if the pod is withdrawn first, as Kubernetes does.
    """
    process, port = await house.another(API)
    with house.proxy(name, {**house.pods, API: [house.pods[API][0], port]}) as proxy:
        visitor, ended, answers = Visitor(proxy, HOST, next(ADDRESSES)), asyncio.Event(), []

        async with visitor.http() as http:
            await signed_in(http)
            task = (await http.post("/v1/tasks", json={"title": "kept"})).headers["location"]

            async def work(number):
                async with visitor.http(http2=bool(number % 2), headers=http.headers) as own:
                    while not ended.is_set():
                        answers.append(await own.get("/v1/tasks", params={"limit": 5}))
                        answers.append(await own.put(task, json={"title": f"by {number}", "status": "pending"}))
                        if told:
                            answers.append(await own.post("/v1/tasks", json={"title": f"by {number}"}))

            async with asyncio.TaskGroup() as group:
                for number in range(6):
                    group.create_task(work(number))
                await eventually(lambda: len(answers), wanted=lambda number: number > 100)
                if told:
                    await proxy.withdraw(API, port)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() in {0, -signal.SIGTERM}
                so_far = len(answers)
                await eventually(lambda: len(answers), wanted=lambda number: number > so_far + 100)
                ended.set()
        assert {answer.status_code for answer in answers} <= {200, 201}


@pytest.mark.feature("K3", "P14")
@pytest.mark.parametrize(("name", "told"), [("haproxy", True), ("haproxy", False), ("nginx", False)])
async def test_listeners_go_on_when_their_gateway_drains(house, name, told):
    """Over TLS: who was on the gateway that stops resumes on the other one; nothing is lost or repeated."""
    process, port = await house.another(GATEWAY)
    async with contextlib.AsyncExitStack() as stack:
        proxy = stack.enter_context(house.proxy(name, {**house.pods, GATEWAY: [house.pods[GATEWAY][0], port]}))
        visitor = Visitor(proxy, HOST, next(ADDRESSES))
        http = await stack.enter_async_context(visitor.http())
        token = await signed_in(http)
        followers = [VisitingFollower(visitor, token) for _ in range(8)]
        for follower in followers:
            await stack.enter_async_context(follower.following())
        titles = []

        async def create(number):
            for _ in range(number):
                titles.append(f"task {len(titles)}")
                (await http.post("/v1/tasks", json={"title": titles[-1]})).raise_for_status()

        await create(10)
        if told:
            await proxy.withdraw(GATEWAY, port)
        process.send_signal(signal.SIGTERM)
        await create(20)
        assert await process.wait() == 0
        await create(10)
        for follower in followers:
            await follower.until_events(len(titles))
            assert [item.event["data"]["title"] for item in follower.events] == titles
        moved = [follower for follower in followers if follower.closes]
        assert 0 < len(moved) < len(followers)
        assert {code for follower in moved for code in follower.closes} == {CloseCode.DRAIN}
        assert {follower.resumes[-1] for follower in moved} == {"ok"}


class VisitingFollower(Follower):
    """A follower that comes by a proxy."""

    def __init__(self, visitor, token):
        super().__init__("", token=token)
        self.visitor = visitor

    async def _connect(self, cursor):
        connection = await opened(self.visitor, cursor=cursor)
        await connection.hello(token=self._token)
        return connection


async def test_the_upgrade_comes_through(visitor):
    """101 with the right fields, also when `Connection` lists more; the page's own origin may connect, no other."""
    reader, writer = await visitor.raw()
    lines = [
        "GET /ws HTTP/1.1",
        f"Host: {HOST}",
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        f"Origin: https://{HOST}",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: taskbell.v1",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    writer.close()
    got = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    assert status.split()[1] == "101"
    assert (got["connection"].lower(), got["upgrade"].lower()) == ("upgrade", "websocket")
    assert got["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    with pytest.raises(InvalidStatus, match="403"):
        await opened(visitor, origin="https://other.example")


@pytest.mark.feature("P14")
@pytest.mark.parametrize("http2", [True, False])
async def test_server_sent_events_come_through_at_once(visitor, http2):
    """No proxy collects them: the welcome and each event come while the response goes on, and it has no cookie."""
    async with visitor.http(http2=http2) as http, asyncio.timeout(60):
        await signed_in(http)
        async with http.stream("GET", "/sse", headers={"Origin": f"https://{HOST}"}) as answer:
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
            lines = answer.aiter_lines()
            names = []
            async for line in lines:
                names += [line.removeprefix("event: ")] if line.startswith("event: ") else []
                if names == ["welcome"] and not line:
                    (await http.post("/v1/tasks", json={"title": "streamed"})).raise_for_status()
                if names[1:] == ["event"] and line.startswith("data: "):
                    break
            assert json.loads(line.removeprefix("data: "))["event"]["data"]["title"] == "streamed"
        refused = await http.get("/sse", headers={"Authorization": "Bearer x"})
        assert refused.status_code == 401


async def test_a_socket_may_be_a_stream_of_http2(house):
    """HAProxy turns a browser's extended CONNECT (RFC 8441) into the upgrade that the gateway knows."""
    with house.proxy("haproxy") as proxy:
        visitor = Visitor(proxy, HOST, next(ADDRESSES))
        async with visitor.http() as http:
            token = await signed_in(http)
        reader, writer = await visitor.raw(alpn="h2")
        side = h2.connection.H2Connection()
        side.initiate_connection()
        writer.write(side.data_to_send())
        events = []

        async def received(kind):
            while not (found := [event for event in events if isinstance(event, kind)]):
                events.extend(side.receive_data(await reader.read(65536)))
                writer.write(side.data_to_send())
            return found[0]

        settings = await received(h2.events.RemoteSettingsChanged)
        assert settings.changed_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL].new_value == 1
        asked = {":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": "/ws", ":authority": HOST}
        more = {"sec-websocket-version": "13", "sec-websocket-protocol": SUBPROTOCOL}
        stream = side.get_next_available_stream_id()
        side.send_headers(stream, list((asked | more).items()))
        writer.write(side.data_to_send())
        answer = dict((await received(h2.events.ResponseReceived)).headers)
        hello = json.dumps({"t": "hello", "channels": [], "token": token}).encode()
        side.send_data(stream, Frame(Opcode.TEXT, hello).serialize(mask=True))
        writer.write(side.data_to_send())
        welcome = await received(h2.events.DataReceived)
        writer.close()
    assert answer[b":status"] == b"200", (answer, proxy.log.read_text())
    assert b'"t":"welcome"' in welcome.data


@pytest.mark.parametrize("http2", [True, False])
async def test_a_socket_address_without_an_upgrade_says_so(visitor, http2):
    """A plain request to `/ws` gets 426, by HTTP/2 without the fields that HTTP/2 forbids."""
    async with visitor.http(http2=http2) as http:
        answer = await http.get("/ws")
    assert answer.status_code == 426
    assert ("connection" in answer.headers) <= (not http2)


@pytest.mark.parametrize("name", PROXIES)
async def test_the_examples_have_the_rules_of_the_chart(house, name):
    """The example of the documentation, with nothing but addresses changed, leads where the chart's rules lead."""
    pods = {service: ports[:1] for service, ports in house.pods.items()}
    paths = ["/v1", "/v1/tasks", "/docs", "/redoc", "/openapi.json", "/.well-known/jwks.json", "/ws", "/ws/x"]
    paths += ["/sse", "/sse/x", "/ssex", "/", "/v10", "/metrics", "/wsx", "/docs2", "/well-known/jwks.json"]
    found = []
    for example in (True, False):
        with house.proxy(name, pods, example=example) as proxy:
            async with Visitor(proxy, HOST, next(ADDRESSES)).http() as http:
                answers = [await http.get(path) for path in paths]
            found.append([(answer.status_code, answer.headers.get("content-type")) for answer in answers])
    assert found[0] == found[1]
