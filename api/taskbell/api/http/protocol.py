"""HTTP/1.1 with a bound on the head of a request, and problem documents for malformed requests."""

from __future__ import annotations

import secrets
from typing import cast

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from taskbell.api.http.problem import problem_response
from taskbell.contract.problems import ProblemCode
from taskbell.kit.trace import TraceContext, current

HEAD_BYTES = 64 * 1024
"""The longest head of a request: its target and header fields; trailer fields of a body as well."""
LINGER_SECONDS = 2.0
"""How long a refused client may go on sending. Closing at once would reset the connection, and the client could not
read the answer."""

_log = structlog.get_logger(__name__)


class HeadTooLarge(Exception):
    """The head of a request is longer than `HEAD_BYTES`."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, bounded: its parser holds a head of any length, in time that grows with the square of it."""

    _unparsed = 0
    """Bytes since the parser last reported a whole head, a part of a body, or the end of a request."""
    _too_large = False
    _refused = False

    def data_received(self, data: bytes) -> None:
        """Parse what arrives; at most `HEAD_BYTES` and one read (256 KiB) are held of a head."""
        if self._refused:
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > HEAD_BYTES and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """Begin the request. Raises `HeadTooLarge`, which the parser turns into `send_400_response`."""
        self._unparsed = 0
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES:
            self._too_large = True
            raise HeadTooLarge
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._unparsed = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer with a problem document, unless an answer is on its way already, and let the connection end."""
        if self._refused:
            return
        self._refused = True
        code = ProblemCode.HEADERS_TOO_LARGE if self._too_large else ProblemCode.INVALID_REQUEST
        detail = f"The target and headers are longer than {HEAD_BYTES} bytes." if self._too_large else msg
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # so that the application ends, and answers nothing after this
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        identity = TraceContext(trace_id=secrets.token_hex(16), span_id=secrets.token_hex(8), sampled=False)
        token = current.set(identity)
        try:
            answer = problem_response(code, detail=detail, instance="", headers={"Connection": "close"})
        finally:
            current.reset(token)
        _log.warning("request_not_parsed", status=answer.status_code, request_id=identity.trace_id)
        headers = [*answer.raw_headers, (b"x-request-id", identity.trace_id.encode())]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[answer.status_code] + lines + b"\r\n" + bytes(answer.body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
