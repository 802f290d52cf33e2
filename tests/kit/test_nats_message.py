import pytest

from taskbell.kit.nats_message import Delivery, read_reply


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.S.c.3.17.20.1700000000000000000.5",
        "$JS.ACK.domain.hash.S.c.3.17.20.1700000000000000000.5",
        "$JS.ACK.domain.hash.S.c.3.17.20.1700000000000000000.5.token",
    ],
)
def test_both_forms_of_a_delivery_are_read(reply):
    """Servers may name domain and account in a delivery's reply subject, or not."""
    assert read_reply(reply) == Delivery(sequence=17, consumer_sequence=20, deliveries=3)


@pytest.mark.parametrize("reply", ["", "_INBOX.x", "$JS.ACK.S.c.3.17.20", "$JS.ACK.S.c.x.y.20.1.5"])
def test_other_subjects_are_refused(reply):
    """A reply subject that JetStream did not write is an error."""
    with pytest.raises(ValueError, match=r"."):
        read_reply(reply)
