"""The settings of providers: what is wrong stops the process with one line, which shows no secret."""

import json

import pytest

from taskbell.api.settings import ApiSettings
from taskbell.kit.settings import load

_GOOD = {
    "id": "test",
    "name": "Test",
    "issuer": "https://id.example.com",
    "client_id": "taskbell",
    "client_secret": "very secret",
}


@pytest.fixture
def overrides():
    """No provider is needed here."""
    return {}


@pytest.fixture
def loaded(monkeypatch, signing_keys):
    """Loads the settings with a value of the variable."""

    def load_with(value, **more):
        for name, text in {"DATABASE_URL": "x", "NATS_URL": "x", "SIGNING_KEYS": signing_keys, **more}.items():
            monkeypatch.setenv(f"TASKBELL_{name}", text)
        monkeypatch.setenv("TASKBELL_OIDC_PROVIDERS", value)
        return load(ApiSettings)

    return load_with


def test_a_provider_needs_few_fields(loaded):
    """The rest has safe defaults, and the secret is not shown by the settings."""
    settings = loaded(json.dumps([_GOOD]))
    (provider,) = settings.oidc_providers
    assert (provider.algorithms, provider.audiences, provider.allow_private) == (("RS256",), (), False)
    assert "very secret" not in repr(settings)
    assert loaded("").oidc_providers == ()


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://id.example.com"},
        {"issuer": "http://127.0.0.1:8080"},
        {"issuer": "http://id.example.com", "allow_private": True},
        {"issuer": "https://user:pw@id.example.com"},
        {"issuer": "https://id.example.com?x=1"},
        {"issuer": "https://id.example.com#x"},
        {"issuer": "id.example.com"},
        {"id": "Not An Id"},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"algorithms": []},
        {"scopes": ["email"]},
        {"audiences": ["taskbell"]},
        {"audiences": ["taskbell"], "audience_claim": "client_id"},
        {"allowed_domains": ["*"]},
        {"misspelt": 1},
        {"client_id": None},
    ],
)
def test_a_wrong_provider_stops_the_process(loaded, capsys, change):
    """Each line names the variable, the entry and the fault, and not the secret."""
    entry = {name: value for name, value in (_GOOD | change).items() if value is not None}
    with pytest.raises(SystemExit):
        loaded(json.dumps([_GOOD | {"id": "first", "issuer": "https://other.example"}, entry]))
    told = capsys.readouterr().err
    assert told
    assert all(line.startswith("taskbell: TASKBELL_OIDC_PROVIDERS (entry 2") for line in told.splitlines())
    assert "very secret" not in told


@pytest.mark.parametrize("value", ["{", "{}", '"very secret"', json.dumps([_GOOD, _GOOD]), json.dumps([_GOOD] * 17)])
def test_what_is_no_list_of_providers_stops_the_process(loaded, capsys, value):
    """Malformed JSON, another kind of value, repeated and too many providers."""
    with pytest.raises(SystemExit):
        loaded(value)
    told = capsys.readouterr().err
    assert told.startswith("taskbell: TASKBELL_OIDC_PROVIDERS")
    assert "very secret" not in told


@pytest.mark.parametrize(
    "value",
    ["http://app.example.com/", "https://*.example.com/", "https://app.example.com/#x", "javascript:alert(1)", "x"],
)
def test_a_wrong_redirect_address_stops_the_process(loaded, capsys, value):
    """Addresses that could lead a code elsewhere cannot be listed."""
    with pytest.raises(SystemExit):
        loaded("[]", OIDC_REDIRECT_URIS=f"https://app.example.com/,{value}")
    assert "TASKBELL_OIDC_REDIRECT_URIS: Value error, entry 2" in capsys.readouterr().err


def test_addresses_of_apps_may_be_listed(loaded):
    """A page, the client's own machine, and the scheme of an app."""
    listed = (
        "https://app.example.com/in,http://127.0.0.1/in,http://[::1]/in,http://localhost:3000/in,com.example.app:/in"
    )
    assert loaded("[]", OIDC_REDIRECT_URIS=listed).oidc_redirect_uris == tuple(listed.split(","))
