"""The keys of a simulated world: Taskbell's credentials at each provider, and what the providers know of them."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from taskbell.testing.pushsim.tls import new_authority

SUBJECT = "mailto:push@example.com"
_TEAM, _TOPIC, _PROJECT = "TASKBELL01", "dev.taskbell.app", "taskbell-simulated"


class CredentialsMalformed(ValueError):
    """A file holds other things than the credentials of a simulator."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Credentials:
    """All keys, as text. They are worth nothing outside the simulator.

    Attributes:
        project_id: Firebase's project.
        client_email: The service account's name.
        fcm_key_id: Id of its key.
        fcm_key: Its private RSA key, PEM.
        apns_key_id: Id of Apple's key, 10 characters.
        apns_team_id: Apple's team, 10 characters.
        apns_key: The private key of Apple's .p8 file, PEM.
        apns_topic: The app's bundle id.
        vapid_key: The private VAPID key (RFC 8292): 32 bytes, base64url.
        vapid_public_key: The public one: 65 bytes, base64url; browsers subscribe with it.
        authority_key: The private key of the authority of the simulator's certificate, PEM.
        authority: That authority's certificate, PEM.
        device_secret: What the addresses of simulated devices are made of.
    """

    project_id: str
    client_email: str
    fcm_key_id: str
    fcm_key: str
    apns_key_id: str
    apns_team_id: str
    apns_key: str
    apns_topic: str
    vapid_key: str
    vapid_public_key: str
    authority_key: str
    authority: str
    device_secret: str

    @classmethod
    def generate(cls) -> Self:
        """Make new ones."""
        vapid = ec.generate_private_key(ec.SECP256R1())
        point = vapid.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        authority_key, authority = new_authority()
        return cls(
            project_id=_PROJECT,
            client_email=f"taskbell@{_PROJECT}.iam.gserviceaccount.com",
            fcm_key_id=secrets.token_hex(20),
            fcm_key=_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
            apns_key_id=secrets.token_hex(5).upper(),
            apns_team_id=_TEAM,
            apns_key=_pem(ec.generate_private_key(ec.SECP256R1())),
            apns_topic=_TOPIC,
            vapid_key=base64url(vapid.private_numbers().private_value.to_bytes(32, "big")),
            vapid_public_key=base64url(point),
            authority_key=authority_key,
            authority=authority,
            device_secret=secrets.token_hex(32),
        )

    @classmethod
    def kept_in(cls, folder: Path) -> Self:
        """Read those of a folder, or make new ones and keep them there, with the authority's certificate.

        Raises:
            CredentialsMalformed: The folder's file holds something else.
        """
        file = folder / "pushsim.json"
        if file.exists():
            try:
                found = cls(**json.loads(file.read_text()))
            except (ValueError, TypeError) as refused:
                raise CredentialsMalformed(f"{file} holds no credentials of a push simulator") from refused
        else:
            found = cls.generate()
            folder.mkdir(parents=True, exist_ok=True)
            made = file.with_suffix(".new")
            made.touch(mode=0o600)
            made.write_text(json.dumps(asdict(found)))
            made.replace(file)
        found.write_authority(folder)
        return found

    def write_authority(self, folder: Path) -> Path:
        """Write the certificate that clients have to trust; return its file."""
        file = folder / "pushsim-ca.pem"
        file.write_text(self.authority)
        return file

    def service_account(self, token_url: str) -> str:
        """The JSON that Firebase's console would give for the service account."""
        account = {
            "type": "service_account",
            "project_id": self.project_id,
            "private_key_id": self.fcm_key_id,
            "private_key": self.fcm_key,
            "client_email": self.client_email,
            "client_id": "100000000000000000000",
            "token_uri": token_url,
        }
        return json.dumps(account)

    def settings(self, *, url: str, sandbox_url: str, ca_file: Path | None) -> dict[str, str]:
        """The environment variables with which delivery and API use the simulator.

        Args:
            url: Where it listens, such as `https://127.0.0.1:8443`.
            sandbox_url: Where its APNs sandbox listens.
            ca_file: The authority's certificate; None: without it.
        """
        trusted = {} if ca_file is None else {"TASKBELL_PUSH_CA_FILE": str(ca_file)}
        return trusted | {
            "TASKBELL_FCM_CREDENTIALS": self.service_account(f"{url}/token"),
            "TASKBELL_FCM_URL": url,
            "TASKBELL_APNS_KEY": self.apns_key,
            "TASKBELL_APNS_KEY_ID": self.apns_key_id,
            "TASKBELL_APNS_TEAM_ID": self.apns_team_id,
            "TASKBELL_APNS_TOPIC": self.apns_topic,
            "TASKBELL_APNS_URL": url,
            "TASKBELL_APNS_SANDBOX_URL": sandbox_url,
            "TASKBELL_VAPID_PRIVATE_KEY": self.vapid_key,
            "TASKBELL_VAPID_PUBLIC_KEY": self.vapid_public_key,
            "TASKBELL_VAPID_SUBJECT": SUBJECT,
            "TASKBELL_PUSH_ALLOW_PRIVATE": "true",
        }


def base64url(data: bytes) -> str:
    """Encode without padding (RFC 4648 section 5), as all these standards do."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Decode, with or without padding.

    Raises:
        ValueError: It is not base64url.
    """
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
