"""Errors of requests with an `Idempotency-Key`."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class KeyMalformed(Refused):
    """Idempotency-Key: give one key of 1 to 255 printable ASCII characters."""

    code = ProblemCode.INVALID_IDEMPOTENCY_KEY


class KeyNotTaken(Refused):
    """This operation takes no Idempotency-Key, because nobody is signed in. Send the request without it."""

    code = ProblemCode.IDEMPOTENCY_KEY_NOT_TAKEN


class KeyReused(Refused):
    """Another request was sent with this Idempotency-Key within a day. Each request needs a key of its own."""

    code = ProblemCode.IDEMPOTENCY_KEY_REUSED


class StillRunning(Refused):
    """The first request with this Idempotency-Key is still under way. Ask again for its answer."""

    code = ProblemCode.IDEMPOTENCY_KEY_IN_USE

    def __init__(self) -> None:
        """It is worth asking again after a second."""
        super().__init__(headers={"Retry-After": "1"})


class AnswerNotKept(Refused):
    """This request was carried out once, and is not again. Its answer was too long to be kept."""

    code = ProblemCode.ANSWER_NOT_KEPT
