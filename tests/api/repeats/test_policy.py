"""Keys, fingerprints and sealed answers, as plain values."""

from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as some

from taskbell.api.repeats import policy
from taskbell.api.repeats.errors import AnswerNotKept, KeyMalformed, KeyReused
from taskbell.api.repeats.policy import Answer
from taskbell.api.repeats.sealing import Seal

_PRINTABLE = some.characters(min_codepoint=0x20, max_codepoint=0x7E)
_KEYS = some.text(_PRINTABLE, min_size=1, max_size=255).filter(lambda key: key == key.strip())
_ANSWERS = some.builds(
    Answer,
    fingerprint=some.binary(min_size=32, max_size=32),
    status=some.integers(200, 499),
    headers=some.lists(some.tuples(some.binary(min_size=1), some.binary())).map(tuple),
    body=some.none() | some.binary(),
    reached=some.integers(0, 2**64 - 1),
)
ANN, BOB = UUID(int=1), UUID(int=2)


@given(_KEYS)
def test_every_printable_key_is_taken_as_it_is(key):
    """1 to 255 printable ASCII characters are a key; space around it belongs to the header."""
    assert policy.read_key([key.encode()]) == key
    assert policy.read_key([b" \t" + key.encode() + b" "]) == key


@given(
    some.sampled_from([b"", b" ", b"a" * 256])
    | some.binary(min_size=1).filter(lambda sent: any(not 0x20 <= byte < 0x7F for byte in sent.strip(b" \t")))
)
def test_anything_else_is_no_key(sent):
    """Nothing, too much, and bytes that are not printable ASCII are refused; so are two keys."""
    with pytest.raises(KeyMalformed):
        policy.read_key([sent])
    with pytest.raises(KeyMalformed):
        policy.read_key([b"a", b"a"])


@given(some.lists(some.binary(), min_size=1), some.lists(some.binary(), min_size=1))
def test_two_requests_have_one_fingerprint_only_if_they_are_the_same(one, other):
    """Also when the parts of one, joined, are those of the other."""
    assert (policy.fingerprint(*one) == policy.fingerprint(*other)) == (one == other)
    joined = b"".join(one)
    assert (policy.fingerprint(joined) == policy.fingerprint(*one)) == (len(one) == 1)


def test_what_the_endpoint_decided_is_kept_unless_it_may_pass():
    """Success and a decided refusal are kept; server errors, limits and a missing sign-in are not."""
    assert [status for status in (200, 201, 204, 400, 403, 404, 409, 412, 413, 422) if not policy.is_kept(status)] == []
    assert [status for status in (401, 408, 425, 429, 500, 502, 503, 504) if policy.is_kept(status)] == []
    assert not policy.is_undone(429)
    assert policy.is_undone(503)


def test_another_request_and_a_lost_body_are_refused():
    """A key belongs to one request; an answer without its body cannot be sent again, while an empty body can."""
    policy.require_same(b"a", b"a")
    with pytest.raises(KeyReused):
        policy.require_same(b"a", b"b")
    answer = {"fingerprint": b"", "status": 204, "headers": (), "reached": 1}
    assert policy.body_of(Answer(body=b"", **answer)) == b""
    with pytest.raises(AnswerNotKept):
        policy.body_of(Answer(body=None, **answer))


@given(_KEYS, _ANSWERS)
def test_a_sealed_answer_is_opened_by_its_key_and_user_alone(key, answer):
    """It comes back as it was; another key, another user and a changed byte open nothing, and have another name."""
    seal = Seal.of(key, user=ANN)
    sealed = seal.close(answer)
    assert Seal.of(key, user=ANN).open(sealed, reached=answer.reached) == answer
    for other in (Seal.of(key + "x", user=ANN), Seal.of(key, user=BOB)):
        assert other.name != seal.name
        with pytest.raises(InvalidTag):
            other.open(sealed, reached=0)
    with pytest.raises(InvalidTag):
        seal.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), reached=0)


def test_a_sealed_answer_shows_nothing():
    """Neither the key nor what the answer holds can be read in it, and two of one answer differ."""
    seal = Seal.of("the-key-itself", user=ANN)
    answer = Answer(fingerprint=b"f" * 32, status=201, headers=((b"location", b"/v1/x"),), body=b"whsec_1", reached=1)
    first, second = seal.close(answer), seal.close(answer)
    assert first != second
    for secret in (b"whsec_1", b"the-key-itself", b"location", b"f" * 32, b"6666"):
        assert secret not in first + seal.name
    assert -(2**63) <= seal.lock < 2**63
