"""Problem codes: the stable names by which clients tell errors apart (RFC 9457 `application/problem+json`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

TYPE_BASE = "https://taskbell.dev/problems"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of error.

    Attributes:
        code: Stable identifier; a client may branch on it.
        status: The HTTP status it is answered with.
        title: A short summary that does not change from occurrence to occurrence.
    """

    code: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The problem type URI."""
        return f"{TYPE_BASE}/{self.code}"


class ProblemCode(Enum):
    """Every problem the API answers with."""

    INVALID_JSON = Problem("invalid_json", 400, "The body is not valid JSON")
    INVALID_CONFIRMATION = Problem("invalid_confirmation", 400, "The confirmation is not valid")
    INVALID_CURSOR = Problem("invalid_cursor", 400, "The cursor does not belong to this list")
    INVALID_PASSWORD_RESET = Problem("invalid_password_reset", 400, "The token resets no password")
    INVALID_IDEMPOTENCY_KEY = Problem("invalid_idempotency_key", 400, "The Idempotency-Key is malformed")
    IDEMPOTENCY_KEY_NOT_TAKEN = Problem("idempotency_key_not_taken", 400, "No Idempotency-Key is taken here")
    INVALID_SIGN_IN = Problem("invalid_sign_in", 400, "The sign-in is not valid")
    INVALID_REQUEST = Problem("invalid_request", 400, "The request is malformed")
    UNAUTHENTICATED = Problem("unauthenticated", 401, "A valid access token is needed")
    INVALID_CREDENTIALS = Problem("invalid_credentials", 401, "E-mail or password is wrong")
    INVALID_REFRESH_TOKEN = Problem("invalid_refresh_token", 401, "The refresh token is not valid")
    REFRESH_TOKEN_REUSED = Problem("refresh_token_reused", 401, "The refresh token was used before")
    PROVIDER_REFUSED = Problem("provider_refused", 401, "The provider does not vouch for this sign-in")
    SIGN_IN_AGAIN = Problem("sign_in_again", 403, "A sign-in of the last minutes is needed")
    SECOND_FACTOR_REQUIRED = Problem("second_factor_required", 401, "The second factor is due")
    INVALID_SECOND_FACTOR = Problem("invalid_second_factor", 401, "The second factor is wrong")
    FORBIDDEN = Problem("forbidden", 403, "Your role does not permit this")
    INSUFFICIENT_SCOPE = Problem("insufficient_scope", 403, "The token lacks a scope")
    SESSION_REQUIRED = Problem("session_required", 403, "Only a session may do this")
    EMAIL_NOT_VERIFIED = Problem("email_not_verified", 403, "The provider has not verified the e-mail address")
    NOT_FOUND = Problem("not_found", 404, "There is nothing here")
    NOT_SET_UP = Problem("not_set_up", 404, "This is not set up here")
    METHOD_NOT_ALLOWED = Problem("method_not_allowed", 405, "The method is not allowed here")
    REQUEST_TIMEOUT = Problem("request_timeout", 408, "The request did not arrive in time")
    ANSWER_NOT_KEPT = Problem("answer_not_kept", 409, "The request was carried out; its answer is not kept")
    IDEMPOTENCY_KEY_IN_USE = Problem("idempotency_key_in_use", 409, "The first request is still under way")
    CONFLICT = Problem("conflict", 409, "The change conflicts with the present state")
    EMAIL_CONFIRMED = Problem("email_confirmed", 409, "The e-mail address is confirmed already")
    EMAIL_NOT_CONFIRMED = Problem("email_not_confirmed", 409, "The e-mail address is not confirmed")
    EMAIL_TAKEN = Problem("email_taken", 409, "An account with this e-mail exists")
    IDENTITY_TAKEN = Problem("identity_taken", 409, "The account belongs to another user of the provider")
    SECOND_FACTOR_ON = Problem("second_factor_on", 409, "The account has a second factor")
    LAST_OWNER = Problem("last_owner", 409, "A workspace of others would have no owner")
    LIMIT_REACHED = Problem("limit_reached", 409, "There are as many of these as there may be")
    TASK_DONE = Problem("task_done", 409, "The task is completed or cancelled")
    CURSOR_EXPIRED = Problem("cursor_expired", 410, "The cursor is older than the events that are kept")
    VERSION_MISMATCH = Problem("version_mismatch", 412, "The object has changed since")
    BODY_TOO_LARGE = Problem("body_too_large", 413, "The body is too large")
    STORAGE_FULL = Problem("storage_full", 413, "The workspace's tasks take more than they may")
    UNSUPPORTED_MEDIA_TYPE = Problem("unsupported_media_type", 415, "The body's media type is not supported")
    VALIDATION_FAILED = Problem("validation_failed", 422, "A field is not valid")
    IDEMPOTENCY_KEY_REUSED = Problem("idempotency_key_reused", 422, "The key belongs to another request")
    RATE_LIMITED = Problem("rate_limited", 429, "Too many requests")
    QUOTA_EXCEEDED = Problem("quota_exceeded", 429, "The workspace has changed more than it may for now")
    HEADERS_TOO_LARGE = Problem("headers_too_large", 431, "The request's headers are too large")
    INTERNAL = Problem("internal_error", 500, "Something went wrong on our side")
    UNAVAILABLE = Problem("unavailable", 503, "The service is not available for the moment")
    PROVIDER_UNAVAILABLE = Problem("provider_unavailable", 503, "The provider of the sign-in does not answer")
    TOO_SLOW = Problem("too_slow", 503, "The request took longer than it may")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field of a request.

    Attributes:
        pointer: Where, as a JSON Pointer into the body (RFC 6901), or `?name` for a query parameter.
        code: Stable name of the rule that was broken.
        message: The same for people.
    """

    pointer: str
    code: str
    message: str


class Refused(Exception):
    """A request that is answered with a problem document. Subclasses are past facts; their docstring is the detail.

    Attributes:
        code: Which problem.
        detail: What is wrong this time, for people; never holds a secret or an internal.
        errors: The wrong fields, if fields were wrong.
        headers: Headers the answer carries, such as `Retry-After`.
        challenge: The challenge of a sign-in whose second factor is due.
    """

    code: ProblemCode = ProblemCode.INVALID_REQUEST

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: dict[str, str] | None = None,
        challenge: str = "",
    ) -> None:
        """Take the detail, or use the first line of the class's docstring."""
        self.detail = detail or (type(self).__doc__ or "").partition("\n")[0]
        self.errors = errors
        self.headers = headers or {}
        self.challenge = challenge
        super().__init__(self.detail)
