"""Signing as Standard Webhooks has it."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from taskbell.api.deliveries.policy import new_secret
from taskbell.delivery.signature import sign, signed_headers

_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "webhooks.md"


def test_the_example_of_the_specification():
    """The example in the specification's own text gives the signature that stands there."""
    found = sign(
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(body=st.binary(max_size=200), timestamp=st.integers(0, 2**40))
def test_the_documented_receiver_accepts_either_secret(body, timestamp):
    """The code that we give to receivers accepts what we sign, with the new and the old secret, and nothing else."""
    (code,) = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    scope = {}
    exec(code, scope)  # the page's own words
    new, old, other = new_secret(), new_secret(), new_secret()
    headers = signed_headers(message_id="e", timestamp=timestamp, body=body, secrets=[new, old])
    assert scope["verify"](new, headers, body)
    assert scope["verify"](old, headers, body)
    assert not scope["verify"](other, headers, body)
    assert not scope["verify"](new, headers, body + b"x")
