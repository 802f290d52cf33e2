import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt as reference
from joserfc.jwk import ECKey, KeySet, OctKey

from taskbell.kit import jwt
from taskbell.kit.jwt import SigningKeysMalformed, TokenRefused, VerifiedTokens

_KEYS = jwt.parse_keys(jwt.generate_keys())
_NOW = 1_000_000.0
_CLAIMS = {"iss": "us", "aud": "you", "sub": "somebody", "exp": int(_NOW) + 60}


def _verify(token, *, keys=_KEYS, token_type="at+jwt", now=_NOW):
    return jwt.verify(token, token_type=token_type, keys=keys, issuer="us", audience="you", now=now)


def _signed(keys=_KEYS, token_type="at+jwt", **changes):
    return jwt.sign(_CLAIMS | changes, token_type=token_type, keys=keys)


@pytest.mark.feature("P3")
def test_a_signed_token_is_verified():
    """What was signed is read back."""
    assert _verify(_signed())["sub"] == "somebody"


@pytest.mark.feature("H3")
def test_a_token_of_one_type_is_never_another():
    """The type in the header decides: a ticket is no access token, and the other way round."""
    with pytest.raises(TokenRefused, match="another type"):
        _verify(_signed(token_type="ticket+jwt"))
    with pytest.raises(TokenRefused, match="another type"):
        _verify(_signed(), token_type="ticket+jwt")


@pytest.mark.feature("M32")
@pytest.mark.parametrize("expires", [int(_NOW), int(_NOW) - 1, 0, -1, None, "9999999999", 9e99, True])
def test_an_expired_or_endless_token_is_refused(expires):
    """A token needs a time of expiry that lies ahead."""
    with pytest.raises(TokenRefused):
        _verify(_signed(exp=expires))


@pytest.mark.parametrize("changes", [{"iss": "them"}, {"iss": None}, {"aud": "them"}, {"aud": ["you"]}])
def test_a_token_for_somebody_else_is_refused(changes):
    """Issuer and audience must be ours."""
    with pytest.raises(TokenRefused, match="somebody else"):
        _verify(_signed(**changes))


def test_a_foreign_key_is_refused():
    """A token signed by a key we do not hold is refused, also under one of our key ids."""
    stranger = jwt.parse_keys(jwt.generate_keys())
    with pytest.raises(TokenRefused, match="known key"):
        _verify(_signed(keys=stranger))
    forged = json.loads(jwt.generate_keys())
    forged["keys"][0]["kid"] = _KEYS.keys[0].kid
    with pytest.raises(TokenRefused, match="known key"):
        _verify(_signed(keys=jwt.parse_keys(json.dumps(forged))))


def _part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_the_algorithm_is_ours_to_choose():
    """Neither `none` nor a symmetric algorithm keyed with our public key gets by (RFC 8725, section 3.1)."""
    kid = _KEYS.keys[0].kid
    unsigned = f"{_part({'alg': 'none', 'typ': 'at+jwt', 'kid': kid})}.{_part(_CLAIMS)}."
    public = OctKey.import_key(json.dumps(jwt.public_keys(_KEYS)))
    symmetric = reference.encode({"alg": "HS256", "typ": "at+jwt", "kid": kid}, _CLAIMS, public, algorithms=["HS256"])
    for token in (unsigned, symmetric):
        with pytest.raises(TokenRefused):
            _verify(token)


@given(
    st.text()
    | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())
    | st.from_regex(r"\A[\w-]*\.[\w-]*\.[\w-]*\Z")
)
def test_garbage_is_refused_and_nothing_else_happens(text):
    """Whatever a client sends as a token is verified or refused; no other error comes out."""
    with pytest.raises(TokenRefused):
        _verify(text)
    assert jwt.key_id(text) is None or isinstance(jwt.key_id(text), str)


@given(place=st.integers(0, 10_000), bit=st.integers(0, 5))
def test_a_changed_token_is_refused(place, bit):
    """No character of a token can be changed for another without losing the signature."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = _signed()
    place %= len(token)
    if token[place] == "." or (place == len(token) - 1 and bit < 4):  # bits that base64 does not use
        return
    changed = alphabet[alphabet.index(token[place]) ^ (1 << bit)]
    with pytest.raises(TokenRefused):
        _verify(token[:place] + changed + token[place + 1 :])


def test_rotation_needs_no_downtime():
    """A fresh key signs from now on, tokens of the earlier key stay valid until it is removed."""
    earlier = jwt.generate_keys()
    rotated = jwt.parse_keys(jwt.generate_keys(earlier))
    old = _signed(keys=jwt.parse_keys(earlier))
    new = _signed(keys=rotated)
    assert [_verify(token, keys=rotated)["sub"] for token in (old, new)] == ["somebody"] * 2
    assert jwt.key_id(old) != jwt.key_id(new) == rotated.keys[0].kid
    only_new = KeySet([rotated.keys[0]])
    with pytest.raises(TokenRefused):
        _verify(old, keys=only_new)


def test_the_published_set_holds_no_private_part():
    """`/.well-known/jwks.json` verifies what the private set signs, and tells nothing with which to sign."""
    published = jwt.public_keys(_KEYS)
    assert all("d" not in key for key in published["keys"])
    public = jwt.parse_keys(json.dumps(published), private=False)
    assert _verify(_signed(), keys=public)["sub"] == "somebody"
    with pytest.raises(SigningKeysMalformed):
        jwt.parse_keys(json.dumps(published))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": [{}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1"}]}',
        json.dumps({"keys": [ECKey.generate_key("P-256", parameters={"kid": "1"}).as_dict(private=True)]}),
    ],
)
def test_malformed_signing_keys_are_refused(text):
    """Anything but a set of Ed25519 private keys with ids is refused."""
    with pytest.raises(SigningKeysMalformed):
        jwt.parse_keys(text)


class _Verification:
    """Counts how often a token is really verified."""

    def __init__(self):
        self.calls = 0

    def __call__(self, token):
        self.calls += 1
        if token == "bad":
            raise TokenRefused("bad")
        return token.upper(), 100


def test_a_verified_token_is_remembered_until_it_expires():
    """A token is verified once; when its time is over it is refused without asking again."""
    clock = [0.0]
    verification = _Verification()
    tokens = VerifiedTokens(verification, clock=lambda: clock[0])
    assert [tokens.get("a"), tokens.get("a")] == ["A", "A"]
    assert verification.calls == 1
    clock[0] = 100.0
    with pytest.raises(TokenRefused, match="expired"):
        tokens.get("a")


def test_refusals_are_not_remembered_and_memory_is_bounded():
    """Garbage takes no room, and the least recently used token goes first."""
    verification = _Verification()
    tokens = VerifiedTokens(verification, capacity=2, clock=lambda: 0.0)
    for _ in range(2):
        with pytest.raises(TokenRefused):
            tokens.get("bad")
    for token in ("a", "b", "a", "c"):
        tokens.get(token)
    before = verification.calls
    tokens.get("a")
    assert verification.calls == before
    tokens.get("b")
    assert verification.calls == before + 1
    assert len(tokens._known) == 2
