"""Passwords: argon2id (RFC 9106), hashed off the event loop, in bounded time and memory."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_urlsafe
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from taskbell.api.accounts.errors import PasswordHashingSaturated, SignInThrottled
from taskbell.api.accounts.fairness import Purpose, Room, RoomFull, Slots

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """The right to hash, while it is held."""

    lane: bytes
    purpose: Purpose


_CROWD_WAIT = timedelta(seconds=1)
_REGISTRATION_SHARE = 4
"""Registrations have a fourth of the places that sign-ins have, besides those."""


class Passwords:
    """Hashes and verifies passwords in threads of its own (argon2 releases the interpreter lock).

    At most `workers` hashes are computed at a time, each holding `memory_kib`; `waiting` more sign-ins may wait, and
    some registrations in places of their own. See `fairness` for who gets a place and who is next.
    """

    def __init__(self, *, memory_kib: int, iterations: int, workers: int, waiting: int) -> None:
        """Hash a random password, against which unknown accounts are verified. No thread starts yet."""
        self._hasher = PasswordHasher(time_cost=iterations, memory_cost=memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="password")
        self._slots = Slots(workers)
        self._rooms = {
            Purpose.SIGN_IN: Room(workers + waiting),
            Purpose.REGISTRATION: Room(workers + waiting // _REGISTRATION_SHARE),
        }
        self._nobodys_hash = self._hasher.hash(token_urlsafe())

    def close(self) -> None:
        """Let the threads finish their work and end."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    @contextmanager
    def place(self, lane: bytes, *, purpose: Purpose = Purpose.SIGN_IN) -> Iterator[Place]:
        """Hold one of the places for the block; hashing and verifying need one.

        Raises:
            PasswordHashingSaturated: All places are taken by others.
            SignInThrottled: The lane has its share of them.
        """
        try:
            with self._rooms[purpose].place(lane):
                yield Place(lane, purpose)
        except RoomFull as full:
            raise (SignInThrottled(_CROWD_WAIT) if full.by_lane else PasswordHashingSaturated()) from None

    async def hash(self, password: str, *, place: Place) -> str:
        """Hash a password; the result names its own parameters and salt."""
        return await self._in_thread(place, lambda: self._hasher.hash(_canonical(password)))

    async def verify(self, password: str, *, hashed: str | None, place: Place) -> bool:
        """Whether the password is right; without a hash (None) False, after the same work."""

        def verified() -> bool:
            try:
                self._hasher.verify(hashed or self._nobodys_hash, _canonical(password))
            except (VerificationError, InvalidHashError):
                return False
            return hashed is not None

        return await self._in_thread(place, verified)

    def is_outdated(self, hashed: str) -> bool:
        """Whether a hash has other parameters than the present settings."""
        return self._hasher.check_needs_rehash(hashed)

    async def _in_thread(self, place: Place, work: Callable[[], T]) -> T:
        async with self._slots.slot(place.lane, place.purpose):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _canonical(password: str) -> bytes:
    """The same bytes for texts that look the same, however a keyboard composed them (RFC 8265, section 4.2)."""
    return unicodedata.normalize("NFC", password).encode()
