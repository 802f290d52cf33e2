"""What is sealed for an owner opens for that owner alone, under a key that the settings still have."""

import json

import pytest

from taskbell.kit.sealing import Seal, SealBroken, SealingKeysMalformed, generate_sealing_keys


def test_a_secret_opens_for_its_owner():
    """It is not readable, and differs each time."""
    seal = Seal.parse(generate_sealing_keys())
    first, second = seal.seal("secret", owner="ann"), seal.seal("secret", owner="ann")
    assert first != second
    assert "secret" not in first
    assert [seal.open(each, owner="ann") for each in (first, second)] == ["secret"] * 2


def test_for_nobody_else_and_not_if_it_was_changed():
    """A row that was copied to another user opens as little as one that was changed."""
    seal = Seal.parse(generate_sealing_keys())
    sealed = seal.seal("secret", owner="ann")
    head, *rest = sealed.split(".")
    changed = [".".join([head, *rest[:2], rest[2][::-1], rest[3]]), sealed[:-2], "", "a.b.c.d.e"]
    for text, owner in ((sealed, "bob"), *((each, "ann") for each in changed)):
        with pytest.raises(SealBroken):
            seal.open(text, owner=owner)


def test_keys_rotate():
    """A new key comes first and seals; what an earlier one sealed opens until that one is removed."""
    earlier = generate_sealing_keys()
    both = generate_sealing_keys(earlier)
    sealed = Seal.parse(earlier).seal("secret", owner="ann")
    assert Seal.parse(both).open(sealed, owner="ann") == "secret"
    newer = Seal.parse(both).seal("secret", owner="ann")
    with pytest.raises(SealBroken):
        Seal.parse(earlier).open(newer, owner="ann")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA", "kid": "a"}]}',
        json.dumps({"keys": [{"kty": "oct", "k": "A" * 43}]}),
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "a"}]}',
    ],
)
def test_other_keys_are_refused(text):
    """No set, an empty one, a short key, one without a name, one of another kind."""
    with pytest.raises(SealingKeysMalformed):
        Seal.parse(text)
