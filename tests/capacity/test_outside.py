"""Runs against an installation elsewhere: a platform behind TLS, of which the check knows the public address alone."""

import asyncio
import contextlib
import datetime as dt
import http.server
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
import time

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ports import two_free_ports
from taskbell.capacity.arguments import parse
from taskbell.capacity.briefing import Briefing
from taskbell.capacity.outside import Target, await_answer, event_row
from taskbell.capacity.workers import briefing_served, fetch
from taskbell.testing.platform import Platform

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("outside")]
_KEY = "a key of the run and its workers"
# It blocks SIGTERM, by which a run tells its listeners to write what they heard.
_AS_IN_THE_IMAGE = ("env", "--block-signal=TERM")
_OPTIONS = "--first-users 10 --most-users 10 --minimum-users 0 --settle 0.5 --hold 4 --errors 1 --quiet 3"
_OPTIONS += " --reads-ms 60000 --polls-ms 60000 --writes-ms 60000 --events-ms 60000 --teams 2"


def _certify(folder):
    """A certificate for this machine that nobody else trusts; returns a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


@contextlib.contextmanager
def _secured(context, *ports):
    """TLS in front of ports of this machine, by a thread of its own; yields the ports that speak it."""
    loop, servers = asyncio.new_event_loop(), []

    async def passing(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof() if writer.can_write_eof() else writer.close()

    def serving(port):
        async def serve(reader, writer):
            there, back = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.gather(passing(reader, back), passing(there, writer))
            finally:
                for each in (back, writer):
                    each.transport.abort()

        return serve

    async def start():
        servers.extend([await asyncio.start_server(serving(port), "127.0.0.1", 0, ssl=context) for port in ports])
        return [server.sockets[0].getsockname()[1] for server in servers]

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(_ended(servers), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _ended(servers):
    """Stop accepting, and cut what is open."""
    for server in servers:
        server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)


class _Elsewhere:
    """A platform behind TLS, and runs against it: what they said, and their status."""

    def __init__(self, folder, api, gateway, token):
        self.folder, self.token = folder, token
        self.said, self.status = {}, {}
        self._to = ["--target", f"https://localhost:{api}", "--gateway", f"wss://localhost:{gateway}/ws"]

    def begin(self, name, *options, **variables):
        command = [*_AS_IN_THE_IMAGE, sys.executable, "-m", "taskbell.capacity", *self._to, *_OPTIONS.split(), *options]
        return subprocess.Popen(
            [*command, "--output", str(self.folder / name)],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def conserved(self, name):
        """The report of a run that came to its end, found all tasks everywhere and nothing twice."""
        assert self.status[name] == 0, self.said[name]
        report = json.loads((self.folder / name / "report.json").read_text())
        found = report["conservation"]
        assert (found["lost"], found["double"]) == (0, 0)
        assert found["created"] == found["events"] == found["frames"] > 0
        return report


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs at the same time: own users, a token without pauses, storms, no CA, and two workers that make the load."""
    folder = tmp_path_factory.mktemp("elsewhere")
    limits = {"TASKBELL_RATE_LIMIT_PER_MINUTE": "200", "TASKBELL_REQUESTS_AT_ONCE_PER_USER": "100"}
    (folder / "platform").mkdir()
    platform = Platform(folder / "platform", TASKBELL_API_WORKERS="1", **limits)
    with contextlib.ExitStack() as held:
        held.enter_context(platform.up())
        ports = [int(platform.run[name].rpartition(":")[2]) for name in ("api_url", "gateway_url")]
        api, gateway = held.enter_context(_secured(_certify(folder), *ports))
        token = httpx.post(
            f"{platform.run['api_url']}/v1/auth/register",
            json={"email": "somebody@example.com", "password": "correct horse battery"},
        ).json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        httpx.post(f"{platform.run['api_url']}/v1/tasks", json={"title": "Not of the run"}, headers=bearer)
        elsewhere = _Elsewhere(folder, api, gateway, token)
        ca, port = ["--ca", str(folder / "ca.pem")], str(two_free_ports())
        started = {
            "own": elsewhere.begin("own", *ca),
            "token": elsewhere.begin("token", *ca, "--scenario", "importers", "--hold", "10", CAPACITY_TOKEN=token),
            "storms": elsewhere.begin("storms", *ca, "--scenario", "reminders"),
            "untrusted": elsewhere.begin("untrusted"),
            "shared": elsewhere.begin(
                "shared",
                *(*ca, "--scenario", "interactive", "--workers", "2", "--workers-port", port),
                CAPACITY_KEY=_KEY,
            ),
        }
        worker = [
            *_AS_IN_THE_IMAGE,
            sys.executable,
            "-m",
            "taskbell.capacity",
            "worker",
            "--master",
            "127.0.0.1",
            "--port",
            port,
        ]
        environment = {**os.environ, "CAPACITY_KEY": _KEY}
        workers = [subprocess.Popen(worker, env=environment) for _ in range(2)]
        for name, process in started.items():
            elsewhere.said[name] = process.communicate(timeout=500)[0]
            elsewhere.status[name] = process.returncode
        assert [process.wait(60) for process in workers] == [0, 0]
        yield elsewhere


@pytest.mark.feature("K10")
def test_an_installation_is_measured_by_its_public_address(runs):
    """Everything created is found in lists, feeds, frames and inboxes, through TLS that is verified by the given CA."""
    report = runs.conserved("own")
    found = report["conservation"]
    assert report["target"].startswith("https://localhost:")
    assert found["notifications"] == found["created"]
    assert all(place["found"] > 0 for place in found["places"] if place["name"] != "changes")
    assert report["steps"][0]["event_latency"]["count"] > 0
    assert report["left_out"]


def test_a_workspace_of_a_token_is_used_and_limits_are_respected(runs):
    """Tasks of others there do not count, 429 is no error but said, and no output holds the token."""
    report = runs.conserved("token")
    assert report["conservation"]["notifications"] is None
    assert report["conservation"]["created"] > 50
    assert report["limited"]
    assert report["failures"] == []
    assert "limits by user bound this result" in report["summary"]
    written = [path.read_text() for path in (runs.folder / "token").iterdir()]
    assert not [text for text in (*written, runs.said["token"]) if runs.token in text]


def test_a_storm_of_reminders_is_counted(runs):
    """Each task that fell due told its user once, and the report says how late."""
    report = runs.conserved("storms")
    (place,) = [one for one in report["conservation"]["places"] if one["name"] == "reminders at the due time"]
    assert place["expected"] == place["found"] > 0
    assert (place["lost"], place["double"]) == (0, 0)


def test_a_certificate_that_nobody_vouches_for_is_refused(runs):
    """Without the CA nothing is sent: status 2 and a line."""
    assert runs.status["untrusted"] == 2
    assert "certificate verify failed" in runs.said["untrusted"].splitlines()[-1].lower()


@pytest.mark.feature("K10")
def test_workers_make_the_load_of_one_run(runs):
    """Two more processes make the requests: their figures and what they were promised are one report."""
    report = runs.conserved("shared")
    assert sum(kind["count"] for kind in report["steps"][0]["kinds"].values()) > 0


def test_a_run_waits_for_an_installation_that_begins():
    """Installed with the platform, a run begins with the first answer of the API, for which it asks again and again."""
    answers = [503, 503, 200]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answers.pop(0))
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        await_answer(Target(api_url=address, gateway_url=None))
        assert len(answers) == 3, "nobody waits who was not asked to"
        await_answer(Target(api_url=address, gateway_url=None, patience_seconds=60))
        server.shutdown()
        thread.join()
    assert answers == []


def _briefing(folder, *, load_until=0.0):
    plan = parse([]).plan
    made = Briefing(
        folder=folder, run="x", api_url="", gateway_url="wss://x", load_until=load_until, plan=plan, accounts=[]
    )
    made.write()
    return made


def test_only_who_knows_the_key_gets_the_briefing(tmp_path):
    """The briefing holds tokens: another key gets nothing."""
    briefing = _briefing(tmp_path)
    with briefing_served(briefing, host="127.0.0.1", port=0, key=_KEY) as port:
        assert fetch("127.0.0.1", port=port, key=_KEY) == briefing.path.read_bytes()
        for key in ("another", _KEY[:-1]):
            with pytest.raises(TimeoutError, match="status 404"):
                fetch("127.0.0.1", port=port, key=key, within_seconds=0)


def _with_the_scenario(code, folder, *, seconds_left=0):
    """What some code prints that imports the scenario, which needs a briefing, with so much time for load."""
    briefing = _briefing(folder, load_until=time.time() + seconds_left)
    environment = {**os.environ, "CAPACITY_BRIEFING": str(briefing.path)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_the_load_generator_verifies_certificates(tmp_path):
    """Locust's users look at certificates, which is not its default."""
    code = (
        "from taskbell.capacity.scenario import Person; context = Person.ssl_context_factory();"
        "print(Person.insecure, int(context.verify_mode), context.check_hostname)"
    )
    shown = _with_the_scenario(code, tmp_path)
    assert shown.split() == ["False", str(int(ssl.CERT_REQUIRED)), "True"]


def test_a_load_that_stops_before_its_last_step_has_failed(tmp_path):
    """Locust calls it a success when its last worker has gone; the run must not."""
    code = """
from taskbell.capacity import scenario
environment = scenario.Environment(shape_class=scenario.Growth())
scenario._check_the_end(environment)
early = environment.process_exit_code
environment.process_exit_code = None
environment.shape_class.tick()
scenario._check_the_end(environment)
print(early, environment.process_exit_code)
"""
    assert _with_the_scenario(code, tmp_path).split() == ["1", "None"]


def test_a_load_that_is_asked_to_end_is_at_its_end(tmp_path):
    """Its workers then hand over what they have noted, which a signal would not let them."""
    code = """
from taskbell.capacity import scenario
growth = scenario.Growth()
print(growth.tick() is not None)
scenario.BRIEFING.end_load()
print(growth.tick(), growth.is_over)
"""
    assert _with_the_scenario(code, tmp_path, seconds_left=600).split() == ["True", "None", "True"]


def test_an_event_of_a_feed_is_read_as_a_row():
    """Personal events belong to who reads them; the others name their task, version and whom they concern."""
    base = {"id": "e", "subject": "s", "workspaceid": "w"}
    personal = event_row({**base, "type": "notification.created", "data": {"title": "x"}}, reader="ann")
    assert (personal.personal_to, personal.version) == ("ann", 0)
    data = {"title": "x", "version": 2, "assignee_ids": ["ann"], "previous": {"assignee_ids": []}}
    assigned = event_row({**base, "type": "task.assigned", "actorid": "bob", "data": data}, reader="ann")
    assert (assigned.personal_to, assigned.version, list(assigned.owes)) == (None, 2, [("ann", "assigned")])
