"""Settings of the providers of alerts. A provider that is not set up gets no alerts, and none wait for it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from taskbell.delivery.providers.credentials import CredentialsMalformed, ServiceAccount, VapidKey, read_apns_key
from taskbell.delivery.providers.http2 import AddressMalformed, read_address
from taskbell.kit.settings import ProgramSettings

_APPLE_ID = re.compile(r"[A-Z0-9]{10}")
_APNS = ("apns_key", "apns_key_id", "apns_team_id", "apns_topic")


class ProviderSettings(ProgramSettings):
    """Environment variables of the providers, prefix `TASKBELL_`."""

    fcm_credentials: SecretStr | None = None
    """Service account of Firebase: the JSON document that its console makes. Unset: nothing is sent to Android."""
    fcm_url: str = "https://fcm.googleapis.com"
    """Address of Firebase Cloud Messaging."""
    apns_key: SecretStr | None = None
    """Signing key of Apple: the text of the .p8 file. Unset: nothing is sent to iOS."""
    apns_key_id: str | None = None
    """Id of that key: ten characters."""
    apns_team_id: str | None = None
    """Id of the team that has the key: ten characters."""
    apns_topic: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]{1,255}$")
    """The app's bundle id."""
    apns_url: str = "https://api.push.apple.com"
    """Address of Apple's push service."""
    apns_sandbox_url: str = "https://api.sandbox.push.apple.com"
    """Address of the same for apps that Xcode installed."""
    vapid_private_key: SecretStr | None = None
    """Key that browsers know this platform by: 32 bytes in base64url. The API has its public half in
    TASKBELL_VAPID_PUBLIC_KEY. Who changes it loses all subscriptions. Unset: nothing is sent to browsers."""
    vapid_subject: str | None = None
    """Contact for the people of push services: `mailto:` with an address, or a page with `https://`."""
    push_ca_file: Path | None = None
    """File with a further certificate authority (PEM) to trust, such as that of a simulator."""
    push_timeout: timedelta = Field(default=timedelta(seconds=10), gt=timedelta(0), le=timedelta(minutes=5))
    """How long a provider may take for one alert, from looking up its name to the end of its answer."""
    push_allow_private: bool = False
    """Also send to private addresses and to other ports than 443 by Web Push, Slack and Teams. Only for tests and
    development: such an address is user input."""
    push_concurrency: int = Field(default=200, ge=1, le=1_000)
    """Alerts that may be on their way to one of Firebase and Apple at a time, from this process."""

    @field_validator("fcm_credentials")
    @classmethod
    def _check_account(cls, value: SecretStr | None) -> SecretStr | None:
        return _check(value, ServiceAccount.parse)

    @field_validator("apns_key")
    @classmethod
    def _check_apns_key(cls, value: SecretStr | None) -> SecretStr | None:
        return _check(value, read_apns_key)

    @field_validator("vapid_private_key")
    @classmethod
    def _check_vapid_key(cls, value: SecretStr | None) -> SecretStr | None:
        return _check(value, VapidKey.parse)

    @field_validator("fcm_url", "apns_url", "apns_sandbox_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        try:
            read_address(value, any_port=True)
        except AddressMalformed as malformed:
            raise ValueError(str(malformed)) from None
        return value

    @field_validator("apns_key_id", "apns_team_id")
    @classmethod
    def _check_apple_id(cls, value: str | None) -> str | None:
        if value is not None and not _APPLE_ID.fullmatch(value):
            raise ValueError("must be ten capital letters and digits")
        return value

    @field_validator("apns_topic")
    @classmethod
    def _check_apns_is_whole(cls, value: str | None, others: ValidationInfo) -> str | None:
        found = {name: others.data[name] is not None for name in _APNS if name in others.data}
        missing = [f"TASKBELL_{name.upper()}" for name, is_set in found.items() if not is_set]
        if value is not None and missing:
            raise ValueError(f"set {', '.join(missing)}, too")
        if value is None and any(found.values()):
            raise ValueError("must be set where TASKBELL_APNS_KEY is")
        return value

    @field_validator("vapid_subject")
    @classmethod
    def _check_subject(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value is None and others.data.get("vapid_private_key") is not None:
            raise ValueError("must be set where TASKBELL_VAPID_PRIVATE_KEY is")
        if value is not None and not re.fullmatch(r"(mailto:[^@\s]+@[^@\s]+|https://[!-~]+)", value):
            raise ValueError("must begin with mailto: or https://")
        return value

    @field_validator("push_ca_file")
    @classmethod
    def _check_authority(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                ssl.create_default_context(cafile=value)
            except OSError:  # `ssl.SSLError` too
                raise ValueError("must be a file with certificates in PEM") from None
        return value

    def push_channels(self) -> frozenset[str]:
        """Return the channels that have a provider. Slack and Teams always have."""
        found = {"fcm": self.fcm_credentials, "apns": self.apns_key, "webpush": self.vapid_private_key}
        return frozenset({"slack", "teams", *(name for name, is_set in found.items() if is_set is not None)})


def _check(value: SecretStr | None, parse: Callable[[str], object]) -> SecretStr | None:
    if value is not None:
        try:
            parse(value.get_secret_value())
        except CredentialsMalformed as malformed:
            raise ValueError(str(malformed)) from None
    return value
