"""What a platform on one machine knows of its push simulator."""

import json
import socket

import pytest

from taskbell.local.commands.devices import registration
from taskbell.local.push import PushSimulator, listen_where_before, read_simulator

pytestmark = pytest.mark.feature("T11")

SETTINGS = {
    "TASKBELL_FCM_URL": "https://127.0.0.1:1",
    "TASKBELL_APNS_URL": "https://127.0.0.1:1",
    "TASKBELL_APNS_KEY": "key",
    "TASKBELL_VAPID_PUBLIC_KEY": "key",
    "TASKBELL_PUSH_CA_FILE": "ca.pem",
    "TASKBELL_PUSH_ALLOW_PRIVATE": "true",
}


@pytest.fixture
def push(tmp_path):
    """A simulator that has not started, with the folder that it would write to."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as sandbox:
        yield PushSimulator(tmp_path, server=server, sandbox=sandbox, keeps=3)


def wrote(folder, port=1):
    """What a simulator writes once it serves."""
    written = {"url": f"https://127.0.0.1:{port}", "ca_file": "ca.pem", "settings": SETTINGS}
    (folder / "settings.json").write_text(json.dumps(written))


async def test_it_is_ready_once_it_has_written_its_settings(push, tmp_path):
    """What an earlier process wrote does not count."""
    wrote(tmp_path)
    push.forget()
    push.forget()
    assert (await push.is_ready(), push.settings({})) == (False, {})
    wrote(tmp_path)
    assert (await push.is_ready(), push.settings({})) == (True, SETTINGS)


def test_it_remembers_as_much_as_it_is_told(push):
    """The setting reaches the process that remembers."""
    command = push.command()
    assert command[command.index("--keep") + 1] == "3"


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"TASKBELL_APNS_TOPIC": "x"}, {"TASKBELL_APNS_URL", "TASKBELL_APNS_KEY"}),
        ({"TASKBELL_FCM_CREDENTIALS": "x"}, {"TASKBELL_FCM_URL"}),
        ({"TASKBELL_VAPID_PRIVATE_KEY": "x"}, {"TASKBELL_VAPID_PUBLIC_KEY"}),
        ({"TASKBELL_PUSH_ALLOW_PRIVATE": "false"}, {"TASKBELL_PUSH_ALLOW_PRIVATE"}),
        ({"PATH": "/bin"}, set()),
    ],
)
def test_a_provider_that_is_set_up_is_not_simulated(push, tmp_path, given, missing):
    """Who gives a setting of a provider keeps all of that provider; the others are simulated."""
    wrote(tmp_path)
    assert SETTINGS.keys() - push.settings(given).keys() == missing


def test_its_address_stays_where_it_can(tmp_path):
    """The next start takes the port of the last one if it is free, and any other if not."""
    with listen_where_before(tmp_path) as first:
        port = first.getsockname()[1]
        wrote(tmp_path, port)
        with listen_where_before(tmp_path) as other:
            assert other.getsockname()[1] != port
    with listen_where_before(tmp_path) as again:
        assert again.getsockname()[1] == port


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"url": "x"}'])
def test_a_malformed_file_is_none(tmp_path, text):
    """Half a file, or another one, is as good as none."""
    (tmp_path / "settings.json").write_text(text)
    assert read_simulator(tmp_path) is None


@pytest.mark.parametrize("kind", ["fcm", "apns", "webpush"])
def test_a_simulated_device_is_registered_as_a_real_one(kind):
    """The body has what the API's schema wants of each kind, and nothing else."""
    from pydantic import TypeAdapter

    from taskbell.api.devices.schemas import AnyDevice
    from taskbell.testing.pushsim.control import device_document
    from taskbell.testing.pushsim.devices import Devices, Provider

    devices = Devices("00" * 32)
    devices.url = "https://127.0.0.1:8443"
    environment = "production" if kind == "apns" else None
    made = device_document(devices.new(Provider(kind), environment=environment))
    body = registration(made)
    assert TypeAdapter(AnyDevice).validate_python(body).model_dump(exclude_unset=True) == body
