"""A lean HTTP/1.1 connection for millions of small requests: a general client would cost more than the API."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

_LARGEST: Final = 4 * 2**20
"""Bytes of an answer's head, or of a line."""


class AnswerCut(Exception):
    """No whole answer came: whether the request had an effect is unknown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, and the header fields that are asked for by their names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection, kept alive, with one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        """Take an open connection; `open` makes one."""
        self._reader, self._writer, self._host = reader, writer, host
        self.is_open = True

    @classmethod
    async def open(cls, base: str) -> Self:
        """Connect to the host and port of an address. Raises OSError."""
        parts = urlsplit(base)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=_LARGEST)
        return cls(reader, writer, parts.netloc)

    async def post(self, path: str, body: bytes, *, token: str, within: float = 30.0) -> Answer:
        """Send a request once and return the answer.

        Raises:
            AnswerCut: The connection broke, or nothing came within these seconds; the connection is closed.
        """
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(within):
                self._writer.write(head.encode() + body)
                return await self._answer()
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as cut:
            self.close()
            raise AnswerCut(f"{type(cut).__name__} {cut}") from cut

    async def _answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(line.split(" ", 2)[1]), headers, body)

    def close(self) -> None:
        """Close the connection."""
        self.is_open = False
        self._writer.close()
