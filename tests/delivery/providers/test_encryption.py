"""Encryption for browsers, compared with the example of RFC 8291."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from taskbell.delivery.providers.encryption import MOST_PLAIN_BYTES, KeysMalformed, encrypt, read_keys
from taskbell.testing.pushsim.message_encryption import decrypt

pytestmark = pytest.mark.feature("T11")

# RFC 8291, section 5 and appendix A.
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
    "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def decoded(text):
    """Bytes of base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_example_of_the_standard():
    """The same keys, salt and text make the same bytes."""
    point, secret = read_keys(P256DH, AUTH)
    private = ec.derive_private_key(int.from_bytes(decoded(PRIVATE)), ec.SECP256R1())
    plain = b"When I grow up, I want to be a watermelon"
    found = encrypt(plain, point=point, secret=secret, salt=decoded(SALT), private=private)
    assert found == decoded(BODY)


@given(st.binary(min_size=1, max_size=MOST_PLAIN_BYTES))
def test_a_browser_reads_what_was_encrypted(plain):
    """Every message up to the limit comes back, and is no longer than 4,096 bytes."""
    browser = ec.derive_private_key(7, ec.SECP256R1())
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    point = browser.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    found = encrypt(plain, point=point, secret=b"s" * 16)
    assert len(found) <= 4096
    assert decrypt(found, key=browser, auth=b"s" * 16) == plain


@pytest.mark.parametrize(
    ("p256dh", "auth"), [(None, AUTH), (P256DH, None), ("!", AUTH), (P256DH, "AAAA"), (P256DH[:-2], AUTH), ("é", "é")]
)
def test_keys_that_are_none(p256dh, auth):
    """A subscription without its keys is an error with a text, not a crash."""
    with pytest.raises(KeysMalformed):
        read_keys(p256dh, auth)


def test_a_point_off_the_curve_is_refused():
    """An attacker's point would reveal something of the key (invalid curve attack)."""
    with pytest.raises(KeysMalformed):
        encrypt(b"x", point=b"\4" + b"\1" * 64, secret=b"s" * 16)
