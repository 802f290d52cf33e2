"""A simulator, an HTTP/2 client, and what a sender of each provider has to make."""

import dataclasses
import json
import secrets
import ssl
import time

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from taskbell.testing.pushsim.credentials import Credentials, base64url, from_base64url
from taskbell.testing.pushsim.oauth import GRANT_TYPE
from taskbell.testing.pushsim.simulator import simulator

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


class Clock:
    """The providers' time, which a test moves."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        """Unix seconds."""
        return time.time() + self.ahead


@dataclasses.dataclass
class Sender:
    """Sends as Taskbell would, with what is in order unless a test asks for something else."""

    sim: object
    client: httpx.AsyncClient
    clock: Clock
    bearer: str = ""
    provider_token: str = ""

    def assertion(self, *, key=None, header=None, **claims):
        """The signed assertion of the service account."""
        now = int(self.clock())
        given = self.sim.credentials
        own = {"iss": given.client_email, "aud": f"{self.sim.url}/token", "iat": now, "exp": now + 3600, "scope": SCOPE}
        head = {"alg": "RS256", "kid": given.fcm_key_id, **(header or {})}
        return jwt.encode(head, own | claims, key or RSAKey.import_key(given.fcm_key), algorithms=["RS256"])

    async def token(self, assertion=None, grant=GRANT_TYPE):
        """Ask the token endpoint."""
        form = {"grant_type": grant, "assertion": self.assertion() if assertion is None else assertion}
        return await self.client.post("/token", data=form)

    async def fcm(self, device, *, bearer=None, path=None, content=None, **message):
        """Send a message to a device."""
        if bearer is None:
            self.bearer = bearer = self.bearer or (await self.token()).json()["access_token"]
        address = getattr(device, "address", device)
        body = {"message": {"token": address, "data": {"notification_id": "n1", "title": "T", "body": "B"}, **message}}
        return await self.client.post(
            path or f"/v1/projects/{self.sim.credentials.project_id}/messages:send",
            content=content if content is not None else json.dumps(body),
            headers={"authorization": f"Bearer {bearer}"} if bearer else {},
        )

    def apns_token(self, *, key=None, header=None, **claims):
        """A provider token."""
        given = self.sim.credentials
        head = {"alg": "ES256", "kid": given.apns_key_id, **(header or {})}
        own = {"iss": given.apns_team_id, "iat": int(self.clock())}
        return jwt.encode(head, own | claims, key or ECKey.import_key(given.apns_key), algorithms=["ES256"])

    async def apns(self, device, *, token=None, body=None, path=None, method="POST", sandbox=False, **fields):
        """Send a notification to a device; underscores in the names of fields become hyphens, None leaves one out."""
        if token is None:
            self.provider_token = token = self.provider_token or self.apns_token()
        headers = {
            "authorization": f"bearer {token}" if token else None,
            "apns-topic": self.sim.credentials.apns_topic,
            "apns-push-type": "alert",
            **{name.replace("_", "-"): value for name, value in fields.items()},
        }
        if body is None:
            body = json.dumps({"aps": {"alert": {"title": "T", "body": "B"}}, "notification_id": "n1"})
        base = self.sim.sandbox_url if sandbox else self.sim.url
        return await self.client.request(
            method,
            base + (path or f"/3/device/{getattr(device, 'address', device)}"),
            content=body,
            headers={name: value for name, value in headers.items() if value is not None},
        )

    def vapid(self, *, key=None, public=None, **claims):
        """The `authorization` field of Web Push."""
        given = self.sim.credentials
        own = {"aud": self.sim.url, "exp": int(self.clock()) + 3600, "sub": "mailto:a@example.com"}
        token = jwt.encode({"alg": "ES256"}, own | claims, key or vapid_key(given), algorithms=["ES256"])
        return f"vapid t={token}, k={public or given.vapid_public_key}"

    async def webpush(
        self, subscription, *, authorization=None, plain=None, body=None, path=None, method="POST", **fields
    ):
        """Send a message to a browser."""
        if plain is None:
            plain = json.dumps({"notification_id": "n1", "title": "T", "body": "B"}).encode()
        headers = {
            "authorization": self.vapid() if authorization is None else authorization,
            "ttl": "60",
            "content-encoding": "aes128gcm",
            **fields,
        }
        return await self.client.post(
            path or subscription.address,
            content=encrypt(plain, subscription) if body is None else body,
            headers={name: value for name, value in headers.items() if value is not None},
        )


def vapid_key(credentials):
    """The private VAPID key."""
    raw = from_base64url(credentials.vapid_public_key)
    parts = {"x": base64url(raw[1:33]), "y": base64url(raw[33:]), "d": credentials.vapid_key}
    return ECKey.import_key({"kty": "EC", "crv": "P-256", **parts})


def encrypt(plain, subscription, *, record_size=4096, padding=b""):
    """Encrypt for a browser, written from RFC 8291 and RFC 8188."""
    own = ec.generate_private_key(ec.SECP256R1())
    point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    theirs = from_base64url(subscription.p256dh)
    shared = own.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs))

    def derive(salt, secret, info, length):
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)

    salt = secrets.token_bytes(16)
    secret = derive(from_base64url(subscription.auth), shared, b"WebPush: info\0" + theirs + point, 32)
    key = derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
    nonce = derive(salt, secret, b"Content-Encoding: nonce\0", 12)
    header = salt + record_size.to_bytes(4, "big") + bytes([len(point)]) + point
    return header + AESGCM(key).encrypt(nonce, plain + b"\x02" + padding, None)


@pytest.fixture(name="encrypt")
def encryption():
    """Encrypts for a browser."""
    return encrypt


@pytest.fixture(scope="session")
def credentials():
    """The keys of all simulators of this run."""
    return Credentials.generate()


@pytest.fixture
def clock():
    """The providers' time."""
    return Clock()


@pytest.fixture
async def sim(credentials, clock):
    """A simulator."""
    async with simulator(credentials=credentials, clock=clock) as running:
        yield running


@pytest.fixture
async def client(sim):
    """An HTTP/2 client that trusts the simulator."""
    trust = ssl.create_default_context(cafile=sim.ca_file)
    async with httpx.AsyncClient(
        http2=True, http1=False, verify=trust, base_url=sim.url, trust_env=False, timeout=30
    ) as made:
        yield made


@pytest.fixture
def sender(sim, client, clock):
    """Sends what is in order."""
    return Sender(sim, client, clock)
