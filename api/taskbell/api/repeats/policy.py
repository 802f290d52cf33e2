"""Which requests are the same, and which answers are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from taskbell.api.repeats.errors import AnswerNotKept, KeyMalformed, KeyReused

LONGEST_KEY = 255
MOST_BYTES = 256 * 1024
"""The longest body that is kept. Of a longer one is only known that the request was carried out."""
BYTES_A_WEIGHT = 16 * 1024
"""A kept answer counts as a further request for each so many bytes, so that nobody fills the disk with answers."""
_TRANSIENT = frozenset({401, 408, 425, 429})
"""Answers that say nothing of the request itself: the same request may get another one soon."""
_FAILED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as it is kept.

    Attributes:
        fingerprint: Of the request that it belongs to.
        status: The HTTP status.
        headers: Those that the endpoint set.
        body: Its bytes; None if they were too long, or a stream.
        reached: The position of the change.
    """

    fingerprint: bytes
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | None
    reached: int


def read_key(sent: Iterable[bytes]) -> str:
    """The key of the header's values. Raises `KeyMalformed`."""
    key, *others = (str(value, "latin-1").strip(" \t") for value in sent)
    if others or not 1 <= len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise KeyMalformed
    return key


def fingerprint(*parts: bytes) -> bytes:
    """SHA-256 over the parts of a request that give it its meaning; no part can pass for the end of another."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.digest()


def is_kept(status: int) -> bool:
    """Whether a repeat gets an answer of this status again: whatever the endpoint decided, unless it may pass."""
    return status < _FAILED and status not in _TRANSIENT


def is_undone(status: int) -> bool:
    """Whether what a request has changed is rolled back with it."""
    return status >= _FAILED


def weight(size: int) -> int:
    """As how many further requests an answer of so many bytes counts."""
    return size // BYTES_A_WEIGHT


def require_same(asked: bytes, found: bytes) -> None:
    """Two requests with one key must be the same. Raises `KeyReused`."""
    if asked != found:
        raise KeyReused


def body_of(answer: Answer) -> bytes:
    """What is sent again. Raises `AnswerNotKept`."""
    if answer.body is None:
        raise AnswerNotKept
    return answer.body
