"""The headers of requests and answers, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

from taskbell.api.http import consistency, repeats
from taskbell.api.repeats.policy import LONGEST_KEY

POSITION = {"type": "string", "pattern": "^([0-9]{1,20}|latest)$"}
COMPONENTS: dict[str, dict[str, Any]] = {
    "ETag": {
        "description": "The version of the object. Send it as `If-Match` with a change, or as `If-None-Match` with a "
        "read.",
        "schema": {"type": "string", "pattern": '^"[0-9]+"$', "examples": ['"7"']},
    },
    repeats.REPLAYED: {
        "description": "`true` if the request had been carried out before: this is the answer that it got then.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Link": {
        "description": "Where to start afresh (`rel=latest`).",
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "The path of what was created.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RateLimit": {
        "description": "What is left to you: `r` requests, and `t` seconds until the window ends. On every answer to "
        "somebody who is signed in.",
        "schema": {"type": "string", "pattern": '^"user";r=[0-9]+;t=[0-9]+$', "examples": ['"user";r=87;t=42']},
    },
    "RateLimit-Policy": {
        "description": "How much you may do: `q` requests in `w` seconds. On the same answers.",
        "schema": {"type": "string", "pattern": '^"user";q=[0-9]+;w=[0-9]+$', "examples": ['"user";q=100;w=60']},
    },
    "Retry-After": {
        "description": "Seconds after which the same request may succeed.",
        "schema": {"type": "integer", "minimum": 0},
    },
    consistency.HEADER: {
        "description": "How far you have come; send it with your next request. Every change answers it, and a read "
        "that may show more than another process knows.",
        "schema": POSITION,
    },
    "WWW-Authenticate": {
        "description": "How to sign in (RFC 6750).",
        "schema": {"type": "string"},
    },
    "X-Request-ID": {
        "description": "The id of the request; quote it when you report an error.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
}
"""Every header of an answer that tells something of this API. A test compares it with what the API answers."""
_OF_ALL = ("X-Request-ID",)
_OF_SIGNED_IN = ("RateLimit", "RateLimit-Policy")
_OF_STATUS = {
    "401": ("WWW-Authenticate",),
    "403": ("WWW-Authenticate",),
    "409": ("Retry-After",),
    "410": ("Link",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


_NOT_KEPT = frozenset({"401", "410", "429", "503"})


def refer(*names: str) -> dict[str, dict[str, str]]:
    """The headers of an answer, as references to their descriptions."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def answers(status: int, *names: str) -> dict[int | str, dict[str, Any]]:
    """`responses` of an endpoint whose answers with this status have these headers, named in `COMPONENTS`."""
    return {status: {"headers": refer(*names)}}


def of_answer(*, signed_in: bool, takes_key: bool) -> dict[str, dict[str, str]]:
    """The headers that all answers have, of operations that ask for a sign-in, that take an Idempotency-Key, or not."""
    named = (*_OF_ALL, *(_OF_SIGNED_IN if signed_in else ()), *((repeats.REPLAYED,) if takes_key else ()))
    return refer(*named)


def of_problem(status: str) -> dict[str, dict[str, str]]:
    """The headers that problems with this status may have."""
    kept = () if status in _NOT_KEPT else (repeats.REPLAYED,)
    # The primary tells a position with a problem, too, such as with the 404 of a row that no replica has yet.
    return refer(*_OF_ALL, *_OF_STATUS.get(status, ()), *_OF_SIGNED_IN, consistency.HEADER, *kept)


IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of the version that you know, or `*`. If the object has changed since, nothing is done: "
    "412.",
    "schema": {"type": "string", "examples": ['"7"']},
}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "`ETag`s of versions that you have. If the object is one of them: 304, which is free of the rate "
    "limit.",
    "schema": {"type": "string", "examples": ['"7"']},
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": repeats.HEADER,
    "in": "header",
    "required": False,
    "description": "A new random text for each request, such as a UUID. The same request with the same key within a "
    "day changes nothing more, and gets the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
CONSISTENCY: dict[str, Any] = {
    "name": consistency.HEADER,
    "in": "header",
    "required": False,
    "description": "What the last answer said. The answer to this request then shows your own changes, and at least "
    "what that one showed. `latest`: the newest state.",
    "schema": POSITION,
}
"""Parameters of operations."""


def takes(*parameters: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of an endpoint that reads these headers."""
    return {"parameters": list(parameters)}
