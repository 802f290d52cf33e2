"""What can be wrong with a request for events."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class EventCursorMalformed(Refused):
    """The cursor was not given out by this platform."""

    code = ProblemCode.INVALID_CURSOR


class EventCursorExpired(Refused):
    """Events after this cursor are no longer kept. Read the tasks again and continue from the cursor in `Link`."""

    code = ProblemCode.CURSOR_EXPIRED


class EventsUnavailable(Refused):
    """The event stream cannot be read for the moment; nothing is lost, try again."""

    code = ProblemCode.UNAVAILABLE
