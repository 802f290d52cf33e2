"""What can be wrong with a request about a chat channel."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class ChatNotFound(Refused):
    """You have not set this channel."""

    code = ProblemCode.NOT_FOUND


class ChatUrlRefused(Refused):
    """The address is not an incoming webhook of this chat."""

    code = ProblemCode.VALIDATION_FAILED
