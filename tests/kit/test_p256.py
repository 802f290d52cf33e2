"""What is a public key of Web Push: exactly the points of the curve, in their uncompressed form."""

from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from taskbell.kit.p256 import decoded, is_point

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _point(secret, form=PublicFormat.UncompressedPoint):
    return ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_bytes(Encoding.X962, form)


def _text(raw):
    return urlsafe_b64encode(raw).decode()


@pytest.mark.feature("M35")
@settings(max_examples=50, deadline=None)
@given(secret=st.integers(1, _ORDER - 1), bit=st.integers(0, 519))
def test_a_point_and_nothing_near_it(secret, bit):
    """Every key is accepted, with or without padding; one with any bit changed is refused."""
    raw = _point(secret)
    assert is_point(_text(raw))
    assert is_point(_text(raw).rstrip("="))
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    assert not is_point(_text(changed))


@pytest.mark.feature("M35")
@given(
    st.one_of(st.text(max_size=100), st.binary(max_size=70).map(_text), st.binary(min_size=65, max_size=65).map(_text))
)
def test_any_other_text_is_none(text):
    """No text raises, and none that is not a point is taken for one: random bytes practically never are."""
    assert not is_point(text)


@pytest.mark.parametrize("form", [_point(7, PublicFormat.CompressedPoint), b"\x04" + bytes(64), bytes(65), b"\x00"])
def test_other_forms_are_refused(form):
    """The compressed form, zeros and the point at infinity are no keys of Web Push."""
    assert not is_point(_text(form))


@given(st.binary(max_size=70))
def test_base64url_is_read_with_and_without_padding(raw):
    """It is read back; the standard alphabet, and padding inside, are refused."""
    text = _text(raw)
    assert decoded(text) == decoded(text.rstrip("=")) == raw
    assert decoded(text.rstrip("=") + "+") is None
    assert decoded("é" + text) is None
