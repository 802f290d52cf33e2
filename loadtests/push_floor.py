"""The floor of push alerts: bare HTTP/2 clients that send one prepared request to the simulator again and again.

The simulator runs as a process of its own with all its checks. A delivery worker sends the same requests, and besides
claims, encrypts, judges and records. Two clients: `httpx`, as most programs would use it, and `h2` alone, which is
the least that Python can do. Run it alone for a table, or from `make bench`.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import orjson
import uvloop

from figures import Figure, table
from http_client import Load
from push_simulator import Simulated, push_simulator

CONCURRENCY = (32, 64)
_DATA = {"type": "notification.created", "notification_id": "0", "kind": "assigned", "urgent": "false", "others": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One request to Firebase that is in order."""

    path: str
    bearer: str
    body: bytes


async def prepare(simulated: Simulated) -> Prepared:
    """Sign in, and write the request."""
    async with simulated.client() as client:
        bearer = await simulated.bearer(client)
    shown = {"title": "Water the plants", "body": "Ann assigned it to you"}
    android = {"collapse_key": "0", "priority": "HIGH", "ttl": "86400s", "notification": {"tag": "0"}}
    message = {"token": simulated.device, "data": _DATA, "notification": shown, "android": android}
    return Prepared(path=simulated.path, bearer=bearer, body=orjson.dumps({"message": message}))


async def with_httpx(simulated: Simulated, prepared: Prepared, *, concurrency: int, seconds: float) -> Load:
    """Send with `httpx`, so many at a time on one connection."""
    load = Load()
    headers = {"authorization": prepared.bearer, "content-type": "application/json"}
    async with simulated.client() as client:
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
    head += [("authorization", prepared.bearer), ("content-type", "application/json")]
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


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(prog="push_floor", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of each measurement (default: 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="taskbell-push-") as folder, push_simulator(Path(folder)) as simulated:
        print(table(uvloop.run(measure_clients(simulated, seconds=arguments.seconds))))


if __name__ == "__main__":
    main()
