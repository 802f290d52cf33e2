import time
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from taskbell.kit.clock import SystemClock
from taskbell.kit.ids import bare_uuid, new_id


def test_ids_begin_with_their_time_and_do_not_repeat():
    """A new id is a UUIDv7 (RFC 9562) of now; a thousand of them are different and come in order."""
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert {(made.version, made.variant) for made in ids} == {(7, "specified in RFC 4122")}
    assert all(before <= made.int >> 80 <= after for made in ids)
    assert sorted(set(ids)) == ids


class _DriversUuid(UUID):
    """As drivers have their own."""


@given(st.uuids())
def test_a_drivers_uuid_becomes_a_plain_one(value):
    """What serialisers refuse is turned into the standard type, with the same value."""
    plain = bare_uuid(_DriversUuid(int=value.int))
    assert type(plain) is UUID
    assert plain == value


def test_the_clock_tells_the_time():
    """The machine's clock: Unix time, and a time that never goes back."""
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 60
    assert clock.monotonic() <= clock.monotonic()
