"""The floor of push alerts: bare HTTP/2 clients that send one prepared request to the simulator again and again.

The simulator runs as a process of its own with all its checks. A delivery worker sends the same requests, and besides
claims, encrypts, judges and records. Two clients: `httpx`, as most programs would use it, and `h2` alone, which is
the least that Python can do. Run it alone for a table, or from `make bench`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import httpx
import orjson
import uvloop
from joserfc import jwt
from joserfc.jwk import RSAKey

from figures import Figure, table
from http_client import Load

CONCURRENCY = (32, 64)
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_DATA = {"type": "notification.created", "notification_id": "0", "kind": "assigned", "urgent": "false", "others": "0"}


class SimulatorNotStarted(Exception):
    """The simulator ended before it served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A simulator that runs: where, which authority it has, the settings for Taskbell, and one Android device."""

    url: str
    ca_file: str
    settings: dict[str, str]
    device: str

    @property
    def tls(self) -> ssl.SSLContext:
        """A context that trusts it, for HTTP/2."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.set_alpn_protocols(["h2"])
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One request to Firebase that is in order."""

    path: str
    bearer: str
    body: bytes


@contextmanager
def push_simulator(folder: Path) -> Iterator[Simulated]:
    """Run a simulator; it ends with the block.

    Raises:
        SimulatorNotStarted: It did not start; it has said why.
    """
    options = ["--dir", str(folder), "--devices", "fcm", "--json", "--quiet"]
    command = [sys.executable, "-m", "taskbell.testing.pushsim", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise SimulatorNotStarted("the push simulator did not start")
            made: dict[str, Any] = json.loads(line)
            settings = json.loads((folder / "settings.json").read_text())["settings"]
            yield Simulated(url=made["url"], ca_file=made["ca_file"], settings=settings, device=made["devices"]["fcm"])
        finally:
            process.terminate()


async def prepare(simulated: Simulated) -> Prepared:
    """Sign in as the service account does, and write the request."""
    account = orjson.loads(simulated.settings["TASKBELL_FCM_CREDENTIALS"])
    now = int(time.time())
    claims = {"iss": account["client_email"], "aud": account["token_uri"], "scope": _SCOPE}
    claims |= {"iat": now, "exp": now + 3600}
    key = RSAKey.import_key(account["private_key"])
    form = {"grant_type": _GRANT, "assertion": jwt.encode({"alg": "RS256"}, claims, key, algorithms=["RS256"])}
    async with _client(simulated) as client:
        answer = (await client.post("/token", data=form)).raise_for_status().json()
    shown = {"title": "Water the plants", "body": "Ann assigned it to you"}
    android = {"collapse_key": "0", "priority": "HIGH", "ttl": "86400s", "notification": {"tag": "0"}}
    message = {"token": simulated.device, "data": _DATA, "notification": shown, "android": android}
    path = f"/v1/projects/{account['project_id']}/messages:send"
    return Prepared(path=path, bearer=answer["access_token"], body=orjson.dumps({"message": message}))


async def with_httpx(simulated: Simulated, prepared: Prepared, *, concurrency: int, seconds: float) -> Load:
    """Send with `httpx`, so many at a time on one connection."""
    load = Load()
    headers = {"authorization": f"Bearer {prepared.bearer}", "content-type": "application/json"}
    async with _client(simulated) as client:
        (await client.post(prepared.path, content=prepared.body, headers=headers)).raise_for_status()
        started = time.perf_counter()

        async def work() -> None:
            while (before := time.perf_counter()) < started + seconds:
                (await client.post(prepared.path, content=prepared.body, headers=headers)).raise_for_status()
                load.durations.append(time.perf_counter() - before)

        await asyncio.gather(*(work() for _ in range(concurrency)))
        load.seconds = time.perf_counter() - started
    return load


async def with_h2(simulated: Simulated, prepared: Prepared, *, concurrency: int, seconds: float) -> Load:
    """Send with `h2` alone, so many at a time on one connection.

    Raises:
        ConnectionResetError: The simulator refused a request, or ended the connection.
    """
    address = urlsplit(simulated.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=simulated.tls)
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
    client.initiate_connection()
    head = [(":method", "POST"), (":scheme", "https"), (":authority", address.netloc), (":path", prepared.path)]
    head += [("authorization", f"Bearer {prepared.bearer}"), ("content-type", "application/json")]
    load, began = Load(), dict[int, float]()
    started = time.perf_counter()

    def send() -> None:
        stream = client.get_next_available_stream_id()
        client.send_headers(stream, head)
        client.send_data(stream, prepared.body, end_stream=True)
        began[stream] = time.perf_counter()

    for _ in range(concurrency):
        send()
    while began:
        writer.write(client.data_to_send())
        data = await reader.read(65_536)
        if not data:
            raise ConnectionResetError("the simulator ended the connection")
        for event in client.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived) and dict(event.headers)[b":status"] != b"200":
                raise ConnectionResetError("the simulator refused a request")
            if isinstance(event, h2.events.DataReceived):
                client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                load.durations.append(time.perf_counter() - began.pop(event.stream_id))
                if time.perf_counter() < started + seconds:
                    send()
    load.seconds = time.perf_counter() - started
    writer.close()
    return load


async def measure_clients(simulated: Simulated, *, seconds: float) -> list[Figure]:
    """Measure both clients at each concurrency."""
    prepared = await prepare(simulated)
    figures = []
    for name, send in (("httpx", with_httpx), ("h2", with_h2)):
        for concurrency in CONCURRENCY:
            load = await send(simulated, prepared, concurrency=concurrency, seconds=seconds)
            figures.append(
                Figure(
                    name=f"push {name} {concurrency}",
                    ours=round(load.per_second),
                    unit="1/s",
                    p50_ms=round(load.percentile_ms(0.5), 2),
                    p99_ms=round(load.percentile_ms(0.99), 2),
                )
            )
    return figures


def _client(simulated: Simulated) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=simulated.url, verify=simulated.tls, http2=True, http1=False, timeout=30, trust_env=False
    )


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(prog="push_floor", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of each measurement (default: 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="taskbell-push-") as folder, push_simulator(Path(folder)) as simulated:
        print(table(uvloop.run(measure_clients(simulated, seconds=arguments.seconds))))


if __name__ == "__main__":
    main()
