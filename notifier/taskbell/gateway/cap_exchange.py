"""Tells the other gateways of this one's connections, and hears of theirs, by core NATS.

Messages may be lost: each has a number, and who misses one asks for everything. A gateway that says nothing for two and
a half seconds is dead, and its connections count no longer. While NATS is away, each gateway counts its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog

from taskbell.gateway import metrics
from taskbell.gateway.cap import EVERYBODY, Told, UserCap
from taskbell.kit.nats_talk import Talk
from taskbell.kit.waiting import happens

_log = structlog.get_logger(__name__)

_NEWS_SECONDS = 0.1
_HEARTBEAT_SECONDS = 0.5
_PATIENCE = 5
"""Heartbeats of this gateway in which another one may say nothing."""
_EVERYTHING_SECONDS = 1.0
"""How often everything is told at most, and asked for."""


class CapExchange:
    """Keeps a `UserCap` informed. `run` is a role for `kit.looper`."""

    def __init__(self, talk: Talk, cap: UserCap) -> None:
        """Take what the gateways talk on."""
        self.cap = cap
        self._talk = talk
        self._number = 0
        self._is_asked = True
        self._told_everything = float("-inf")
        self._asked: dict[str, float] = {}
        self._hurry = asyncio.Event()
        self._heard = asyncio.Event()

    async def run(self) -> None:
        """Exchange until cancelled; then tell the others that nothing is left."""
        try:
            async with self._talk.heard_by(self._hear):
                await self._send(asks=EVERYBODY)
                await self._tell()
        finally:
            self.cap.peers.clear()
            await self._send(is_gone=True)

    async def may_join(self, user: str) -> bool:
        """Tell whether a user may have one more connection.

        A refusal rests on nobody who may be dead: each gateway that has a part in it is heard again first, which takes
        half a second, or has been silent for so long that it does not count.
        """
        known = self.cap.sharing(user)
        while self.cap.is_full(user):
            now = self.cap.sharing(user)
            if all(now[name] > heard for name, heard in known.items() if name in now):
                return False
            await happens(self._heard, within=_HEARTBEAT_SECONDS)
        return True

    def hurry(self) -> None:
        """Tell the others at once: somebody is at the cap."""
        self._hurry.set()

    async def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        heartbeat_at = loop.time()
        while True:
            await happens(self._hurry, within=_NEWS_SECONDS)
            self._hurry.clear()
            now = loop.time()
            if not self._talk.is_up:
                self._is_asked = True  # who could not hear must hear everything
            elif self._is_asked and now - self._told_everything >= _EVERYTHING_SECONDS:
                self._is_asked, self._told_everything = False, now
                for place, users in enumerate(self.cap.everything()):
                    self._number += 1
                    await self._send(users=users, is_fresh=not place)
            elif self.cap.has_news:
                for users in self.cap.news():
                    self._number += 1
                    await self._send(users=users)
            if now >= heartbeat_at:
                heartbeat_at = now + _HEARTBEAT_SECONDS
                self.cap.pass_time(patience=_PATIENCE)
                self._tell_waiting()
                metrics.PEERS.set(len(self.cap.peers))
                await self._send()

    async def _send(
        self, *, users: Mapping[str, Sequence[int]] | None = None, is_fresh: bool = False, asks: str = "", **more: bool
    ) -> None:
        message: dict[str, Any] = {"sender": self.cap.name, "number": self._number, **more}
        message |= {"users": users} if users is not None else {}
        message |= {"is_fresh": True} if is_fresh else {}
        message |= {"asks": asks} if asks else {}
        if not await self._talk.say(orjson.dumps(message)):
            self._is_asked = True

    async def _hear(self, message: bytes) -> None:
        try:
            told = Told(**orjson.loads(message))
            is_understood = self.cap.hear(told)
        except (TypeError, ValueError, AttributeError):
            _log.warning("peer_message_malformed", bytes=len(message))
            return
        if told.asks in {self.cap.name, EVERYBODY} and told.sender != self.cap.name:
            self._is_asked = True
        self._tell_waiting()
        now = asyncio.get_running_loop().time()
        if not is_understood and now - self._asked.get(told.sender, float("-inf")) >= _EVERYTHING_SECONDS:
            self._asked = {name: at for name, at in self._asked.items() if now - at < _EVERYTHING_SECONDS}
            self._asked[told.sender] = now
            await self._send(asks=told.sender)

    def _tell_waiting(self) -> None:
        """Wake those who wait for a gateway to be heard or forgotten."""
        self._heard.set()
        self._heard = asyncio.Event()
