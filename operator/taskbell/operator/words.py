"""Errors of libraries as clear sentences, for logs, conditions, events and the command line."""

from __future__ import annotations

import re
import ssl

import aiohttp
import httpx


def in_words(error: BaseException) -> str:
    """What went wrong, without the form in which a program shows it to itself."""
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return "no answer in time"
    if isinstance(error, (aiohttp.ServerDisconnectedError, ConnectionResetError, httpx.RemoteProtocolError)):
        return "the connection was closed before the answer"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {error.host}:{error.port}: {in_words(error.os_error)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        # The event loop writes the address of a refused connection into the text of the error.
        return re.sub(r"^(?:Connect call failed|\[Errno -?\d+\]).*", "connection refused", error.strerror)
    return str(error) or _class_in_words(error)


def _class_in_words(error: BaseException) -> str:
    """The name of an error's class as words: `PoolTimeout` is `pool timeout`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
