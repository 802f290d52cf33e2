"""Settings of a delivery worker that would do harm stop it at its start."""

import pytest

from taskbell.delivery.settings import DeliverySettings
from taskbell.kit.settings import load


@pytest.mark.parametrize("name", ["WEBHOOK_TIMEOUT", "SMTP_TIMEOUT"])
def test_an_attempt_ends_before_its_lease(monkeypatch, capsys, name):
    """Else another worker would send everything once more while the first one still waits for the answer."""
    monkeypatch.setenv("TASKBELL_DATABASE_URL", "postgresql://x@127.0.0.1/x")
    monkeypatch.setenv("TASKBELL_NATS_URL", "nats://127.0.0.1")
    assert load(DeliverySettings)
    monkeypatch.setenv(f"TASKBELL_{name}", "PT1M")
    with pytest.raises(SystemExit):
        load(DeliverySettings)
    assert (
        capsys.readouterr().err
        == f"taskbell: TASKBELL_{name}: Value error, must be shorter than TASKBELL_DELIVERY_LEASE\n"
    )
