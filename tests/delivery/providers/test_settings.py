"""A wrong setting of a provider stops the worker with one clear line that holds no secret."""

import json

import pytest

from taskbell.delivery.providers.settings import ProviderSettings
from taskbell.kit.settings import load

pytestmark = pytest.mark.feature("T11")


@pytest.fixture
def environment(sim, monkeypatch):
    """All providers are set up; a call changes some."""
    for name, value in sim.environment.items():
        monkeypatch.setenv(name, value)

    def change(**changed):
        for name, value in changed.items():
            if value is None:
                monkeypatch.delenv(f"TASKBELL_{name}")
            else:
                monkeypatch.setenv(f"TASKBELL_{name}", value)

    return change


async def test_every_provider_may_be_set_up_or_not(environment, monkeypatch):
    """What is not set up gets no alerts; chats need no setting."""
    assert load(ProviderSettings).push_channels() == {"fcm", "apns", "webpush", "slack", "teams"}
    environment(FCM_CREDENTIALS=None, VAPID_PRIVATE_KEY=None, VAPID_SUBJECT=None)
    for name in ("KEY", "KEY_ID", "TEAM_ID", "TOPIC"):
        environment(**{f"APNS_{name}": None})
    assert load(ProviderSettings).push_channels() == {"slack", "teams"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"FCM_CREDENTIALS": "{"}, "TASKBELL_FCM_CREDENTIALS: Value error, not JSON"),
        ({"FCM_CREDENTIALS": "[]"}, 'not a service account: its "type" must be "service_account"'),
        ({"FCM_CREDENTIALS": json.dumps({"type": "service_account"})}, "the service account has no project_id"),
        ({"FCM_URL": "http://example.com"}, "TASKBELL_FCM_URL: Value error, the address is not https://"),
        ({"APNS_KEY": "secret"}, "TASKBELL_APNS_KEY: Value error, not the PEM text of a .p8 file"),
        ({"APNS_KEY_ID": "short"}, "TASKBELL_APNS_KEY_ID: Value error, must be ten capital letters and digits"),
        ({"APNS_KEY": None}, "TASKBELL_APNS_TOPIC: Value error, set TASKBELL_APNS_KEY, too"),
        ({"APNS_TOPIC": None}, "TASKBELL_APNS_TOPIC: Value error, must be set where TASKBELL_APNS_KEY is"),
        ({"VAPID_PRIVATE_KEY": "AAAA"}, "TASKBELL_VAPID_PRIVATE_KEY: Value error, must be 32 bytes in base64url"),
        ({"VAPID_SUBJECT": None}, "TASKBELL_VAPID_SUBJECT: Value error, must be set where"),
        ({"VAPID_SUBJECT": "me"}, "TASKBELL_VAPID_SUBJECT: Value error, must begin with mailto: or https://"),
        ({"PUSH_CA_FILE": "/nowhere"}, "TASKBELL_PUSH_CA_FILE: Value error, must be a file with certificates in PEM"),
        ({"PUSH_TIMEOUT": "PT0S"}, "TASKBELL_PUSH_TIMEOUT"),
    ],
)
async def test_a_wrong_setting_is_one_line(environment, capsys, changed, said):
    """Each says what is expected, and no secret."""
    environment(**changed)
    with pytest.raises(SystemExit) as stopped:
        load(ProviderSettings)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "BEGIN" not in line
