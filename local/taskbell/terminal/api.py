"""The HTTP API for commands: asks again where that is safe, waits where the API says so, and tells errors apart."""

from __future__ import annotations

import json
import platform
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib import metadata
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

from taskbell.start import lean
from taskbell.terminal.addresses import is_here
from taskbell.terminal.errors import Conflicting, Failed, Misused, NothingFound, NotSignedIn, Unreachable, tell
from taskbell.terminal.memory import Memory

lean.load("httpx", without="click")  # it loads its own command line with it: half of its time
import httpx  # noqa: E402 -- after the line that makes it lean

POSITION = "Taskbell-Consistency"
_TIMEOUT = httpx.Timeout(30, connect=10)
_ATTEMPTS = 5
_FIRST_PAUSE = 0.2
_LONGEST_WAIT = 120.0
"""Seconds; who is told to wait longer is told so, instead of waiting in silence."""
_MOST_BYTES = 2**26
"""Of one answer; a page of the API is far smaller."""
_AWAY = frozenset({502, 503, 504})
_FAILURES: Mapping[int, type[Failed]] = {
    401: NotSignedIn,
    404: NothingFound,
    409: Conflicting,
    412: Conflicting,
}


class Refused(Exception):
    """The API answered with a problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title")))
        self.status = status
        self.code = str(problem["code"])
        self.problem = problem

    def failure(self) -> Failed:
        """The same for a person."""
        if self.code == "unauthenticated":
            return NotSignedIn(f"{self} `taskbell login` signs you in.")
        wrong = [f"{error['pointer']}: {error['message']}" for error in self.problem.get("errors") or ()]
        return _FAILURES.get(self.status, Failed)("; ".join(wrong) or str(self))


class Document(dict[str, Any]):
    """An object of an answer. One that lacks what Taskbell's always have comes from something else."""

    def __missing__(self, name: str) -> Any:
        raise Unreachable(f"the answer has no {name}: is it Taskbell that answers at this address?")


class Api(AbstractContextManager["Api"]):
    """One installation, seen by one signed-in user, or by nobody yet."""

    def __init__(
        self, url: str, *, token: str = "", memory: Memory | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the base address, the token, and where to remember how far the reader has seen."""
        self.url = url
        self.memory = memory or Memory(None)
        self._seen = self.memory.read()
        self._sleep = sleep
        host = platform.node().encode("ascii", "replace").decode() or "unknown host"
        headers = {"User-Agent": f"taskbell/{metadata.version('taskbell')} ({host})"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        here = is_here(urlsplit(url).hostname or "")  # a proxy does not lead to this machine
        self._client = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=not here)

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Read an object or a page. Parameters that are None are left out.

        Raises:
            Failed: The API refuses, or nobody answers.
        """
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._document(self._asked("GET", path, params=given))

    def send(
        self, method: str, path: str, body: Any = None, *, key: bool = True, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Change something; with a `key` (`Idempotency-Key`) it is safe to ask again, so a lost answer costs nothing.

        Raises:
            Failed: The API refuses, or nobody answers.
        """
        try:
            return self.tried(method, path, body, key=key, headers=headers)
        except Refused as refused:
            raise refused.failure() from refused

    def tried(
        self, method: str, path: str, body: Any = None, *, key: bool = True, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Do the same as `send`, for callers that know what to do about a refusal.

        Raises:
            Refused: The API refuses.
            Failed: Nobody answers.
        """
        given = {**(headers or {}), **({"Idempotency-Key": str(uuid4())} if key else {})}
        response = self._answered(method, path, json=body, headers=given, repeatable=key)
        if response.status_code >= 400:
            raise self._refused(response)
        return self._document(response)

    def pages(self, path: str, *, limit: int | None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list one by one, page after page, at most `limit` of them."""
        cursor, left = None, limit
        while left is None or left > 0:
            size = 100 if left is None else min(left, 100)
            page = self.get(path, limit=size, cursor=cursor, **parameters)
            yield from page["items"][:left]
            left = None if left is None else left - len(page["items"])
            cursor = page["meta"]["next_cursor"]
            if cursor is None:
                return

    def _asked(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        response = self._answered(method, path, repeatable=True, **arguments)
        if response.status_code >= 400:
            raise self._refused(response).failure()
        return response

    def _answered(self, method: str, path: str, *, repeatable: bool, **arguments: Any) -> httpx.Response:
        """The first answer that is not about the state of the server or our speed."""
        headers = {**(arguments.pop("headers", None) or {})}
        if self._seen.position:
            headers[POSITION] = self._seen.position
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            pause = random.uniform(0.5, 1) * _FIRST_PAUSE * 2**attempt  # noqa: S311 -- jitter, not a secret
            try:
                response = self._received(method, path, headers=headers, **arguments)
            except httpx.TransportError as away:
                if last or not (repeatable or isinstance(away, httpx.ConnectError)):
                    raise Unreachable(f"{self.url} does not answer: {str(away) or type(away).__name__}") from away
                tell(f"{self.url} does not answer, trying again")
            else:
                wait = _wait(response)
                again = repeatable if response.status_code in _AWAY else wait is not None
                if last or not again or (wait or 0) > _LONGEST_WAIT:
                    self._seen.see(response.headers.get(POSITION, ""))
                    return response
                if wait is None:
                    tell(f"{self.url} is not available ({response.status_code}), trying again")
                else:
                    tell(f"asked to wait: {wait:.0f} s")
                    pause = wait
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _received(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One answer, read whole, and not more of it than memory has room for."""
        try:
            with self._client.stream(method, path, **arguments) as coming:
                body = bytearray()
                for part in coming.iter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise self._strange(coming)
        except UnicodeEncodeError as wrong:
            raise Misused("what was typed is not text in the encoding of this terminal") from wrong
        except httpx.DecodingError as wrong:
            raise self._strange(coming) from wrong
        coming.headers.pop("content-encoding", None)
        return httpx.Response(coming.status_code, headers=coming.headers, content=bytes(body))

    def _refused(self, response: httpx.Response) -> Refused:
        if response.status_code in _AWAY:
            raise Unreachable(f"{self.url} is not available ({response.status_code}): try again later")
        problem = self._document(response, of="problem+json")
        if "code" not in problem:
            raise self._strange(response)
        return Refused(response.status_code, problem)

    def _document(self, response: httpx.Response, *, of: str = "json") -> dict[str, Any]:
        if response.status_code == httpx.codes.NO_CONTENT:
            return {}
        if response.is_redirect or not response.headers.get("content-type", "").endswith(of):
            raise self._strange(response)
        try:
            found = json.loads(response.content, object_hook=Document)
        except (ValueError, RecursionError):
            raise self._strange(response) from None
        if not isinstance(found, dict):
            raise self._strange(response)
        return found

    def _strange(self, response: httpx.Response) -> Unreachable:
        elsewhere = f" It points to {response.headers.get('location', '')}." if response.is_redirect else ""
        status = response.status_code
        return Unreachable(f"{self.url} does not answer as Taskbell does ({status}): is the address right?{elsewhere}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection; the next command reads on from what this one has seen."""
        self._client.close()
        if self._seen.position and self._seen.position != self.memory.read().position:
            with self.memory.changed() as remembered:
                remembered.see(self._seen.position)


def _wait(response: httpx.Response) -> float | None:
    """Seconds until the same request may succeed; None if that is not known, or will not help."""
    given = response.headers.get("retry-after", "")
    if response.status_code not in {409, 429, 503} or not given.isdecimal():
        return None
    return float(given)
