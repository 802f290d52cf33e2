"""Administration of JetStream streams: look, create, adjust, and read message ids."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError, ServerError

from taskbell.kit.nats_bus import answering
from taskbell.kit.nats_message import MESSAGE_ID

_TIMEOUT = 5.0
_STORE_IN_THE_WAY = 10049
_READS_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """The desired stream: limits retention, file storage, oldest messages discarded by age.

    Attributes:
        max_age: Seconds that a message is kept.
        duplicate_window: Seconds that message ids are remembered.
        replicas: Copies in a cluster.
        metadata: Entries of Taskbell; the server adds some of its own.
    """

    name: str
    subjects: tuple[str, ...]
    max_age: float
    duplicate_window: float
    replicas: int = 1
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """The state of a stream; `matches` compares its configuration.

    Attributes:
        messages: How many it holds.
        first_sequence: Of the oldest message that it holds; one after the last if it holds none.
        last_sequence: Of the newest message that it ever held.
        missing: How many messages between these two are gone. Nothing of Taskbell deletes any: the server lost them.
        server: The name of the server that leads the stream; None if the stream has several replicas.
        metadata: Entries of its configuration.
        config: Its configuration.
    """

    messages: int
    first_sequence: int
    last_sequence: int
    missing: int
    server: str | None
    metadata: Mapping[str, str]
    config: StreamConfig

    def matches(self, spec: StreamSpec) -> bool:
        """Tell whether the configuration is as specified."""
        wanted = _config(spec)
        own = {name: value for name, value in self.metadata.items() if not name.startswith("_nats.")}
        return own == dict(spec.metadata) and all(
            getattr(self.config, name) == getattr(wanted, name)
            for name in ("subjects", "max_age", "duplicate_window", "num_replicas", "allow_direct")
        )


class Streams:
    """Stream administration on one connection. Every call waits at most a few seconds.

    Each raises `BusUnavailable` when JetStream does not answer or refuses.
    """

    def __init__(self, client: Client) -> None:
        """Take a connection; the caller closes it."""
        self._context = JetStreamContext(client, timeout=_TIMEOUT)

    async def look(self, name: str) -> StreamFacts | None:
        """Return the state of a stream; None when it does not exist."""
        with answering():
            try:
                info = await self._context.stream_info(name)
            except NotFoundError:
                return None
        return StreamFacts(
            messages=info.state.messages,
            first_sequence=info.state.first_seq,
            last_sequence=info.state.last_seq,
            missing=info.state.num_deleted or 0,
            server=info.cluster.leader if info.cluster and info.config.num_replicas == 1 else None,
            metadata=info.config.metadata or {},
            config=info.config,
        )

    async def create(self, spec: StreamSpec) -> None:
        """Create a stream; delete one of that name before, with all its messages."""
        with answering():
            with suppress(NotFoundError):
                await self._context.delete_stream(spec.name)
            await self._add(spec)

    async def _add(self, spec: StreamSpec) -> None:
        """Add a stream; after a deletion the server refuses that until it has removed the files."""
        until = asyncio.get_running_loop().time() + _TIMEOUT
        while True:
            try:
                await self._context.add_stream(_config(spec))
            except ServerError as refused:
                if refused.err_code != _STORE_IN_THE_WAY or asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def adjust(self, spec: StreamSpec) -> None:
        """Change the configuration of a stream and keep its messages."""
        with answering():
            await self._context.update_stream(_config(spec))

    async def message_ids(self, name: str, *, first: int, last: int) -> list[str | None]:
        """Return the deduplication ids of the messages from sequence `first` to `last`; None for one that is gone."""
        found: list[str | None] = []
        for start in range(first, last + 1, _READS_AT_ONCE):
            some = range(start, min(start + _READS_AT_ONCE, last + 1))
            found += await asyncio.gather(*(self._message_id(name, sequence) for sequence in some))
        return found

    async def _message_id(self, name: str, sequence: int) -> str | None:
        with answering():
            try:
                message = await self._context.get_msg(name, seq=sequence)
            except NotFoundError:
                return None
        return (message.headers or {}).get(MESSAGE_ID)


def _config(spec: StreamSpec) -> StreamConfig:
    return StreamConfig(
        name=spec.name,
        subjects=list(spec.subjects),
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        storage=StorageType.FILE,
        max_age=spec.max_age,
        duplicate_window=spec.duplicate_window,
        num_replicas=spec.replicas,
        allow_direct=True,
        metadata=dict(spec.metadata),
    )
