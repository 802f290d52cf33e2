"""A warning when sign-ins seem to come through a proxy that nobody listed."""

import pytest
import structlog

from taskbell.api.accounts.shared_address import SharedAddressWatch
from taskbell.api.http.client_address import ClientAddress
from taskbell.kit.ids import new_id


def warnings(*sign_ins):
    """What is logged after sign-ins of different accounts: pairs of address and whether its header was ignored."""
    watch = SharedAddressWatch()
    with structlog.testing.capture_logs() as logs:
        for host, ignored in sign_ins:
            watch.note(ClientAddress(host=host, header_ignored=ignored), user_id=new_id())
    return [(entry["event"], entry["address"]) for entry in logs]


@pytest.mark.parametrize(
    ("sign_ins", "warned"),
    [
        ([("10.0.0.1", False)] * 30, "10.0.0.1"),
        ([("10.0.0.1", True), ("10.0.0.2", True)] * 15, "10.0.0.2"),
        ([("10.0.0.1", False)] * 9, None),
        ([("203.0.113.1", False), ("203.0.113.2", False)] * 15, None),
        ([("203.0.113.1", False), *[("203.0.113.2", True)] * 9], "203.0.113.2"),
        ([("127.0.0.1", False)] * 30, None),
    ],
)
def test_ten_accounts_through_what_looks_like_a_proxy_cause_one_warning(sign_ins, warned):
    """All from one address, or from peers whose header is ignored; not from this machine, nor from several clients."""
    assert warnings(*sign_ins) == ([] if warned is None else [("clients_share_an_address", warned)])
