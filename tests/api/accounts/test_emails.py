"""One form for every way to write an e-mail address."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.accounts.emails import EmailMalformed, normalised, normalised_or_same


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        ("a.b+c@example.com", "a.b+c@example.com"),
        ("ann@corp.internal", "ann@corp.internal"),
        ("ann@xn--bcher-kva.example", "ann@bücher.example"),
        ("JU\u0308RGEN@example.com", "jürgen@example.com"),
        ("H\u0331ANS@example.com", "\u1e96ans@example.com"),  # composed only in lower case
    ],
)
def test_addresses_have_one_form(given, form):
    """Letter case, punycode and composed characters make no other address; private domains are fine."""
    assert normalised(given) == form


@pytest.mark.parametrize(
    "text",
    ["", "ann", "@example.com", "ann@", "ann@host", "a b@example.com", "a@b@c.de", "ann@example.com\n", "a@[::1]"],
)
def test_other_text_is_no_address(text):
    """What is no address is refused at registration."""
    with pytest.raises(EmailMalformed):
        normalised(text)


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text):
    """Arbitrary text is normalised, which is final, or refused with the one error; a sign-in takes it in lower case."""
    try:
        form = normalised(text)
    except EmailMalformed:
        assert normalised_or_same(text) == unicodedata.normalize("NFC", text.strip().lower())
    else:
        assert normalised(form) == form == normalised_or_same(text)
