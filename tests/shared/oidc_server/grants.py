"""Authlib's pieces: the authorization code grant with PKCE and ID tokens, in memory."""

import dataclasses
import time
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, UserInfo
from authlib.oidc.core.grants.util import create_half_hash

from oidc_server.state import State

CLIENT_ID = "taskbell"
CLIENT_SECRET = "a secret of the client"
REDIRECT_URI = "https://app.example.com/signed-in"


class Request(OAuth2Request):
    """A request as Authlib reads it."""

    def __init__(self, method, uri, *, headers, parameters):
        super().__init__(method, uri, headers=headers)
        self._parameters = parameters
        self.payload = BasicOAuth2Payload(parameters)

    @property
    def args(self):
        return self._parameters

    @property
    def form(self):
        return self._parameters


class Client(ClientMixin):
    """Taskbell, as this provider knows it."""

    client_id = CLIENT_ID

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return REDIRECT_URI

    def get_allowed_scope(self, scope):
        return scope or ""

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri == REDIRECT_URI or redirect_uri.startswith("http://127.0.0.1:")

    def check_client_secret(self, client_secret):
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method, endpoint):
        return method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type == "authorization_code"


@dataclasses.dataclass
class Code(AuthorizationCodeMixin):
    """A code that was given out."""

    code: str
    user: dict[str, Any]
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return int(time.time())

    def get_acr(self):
        return None

    def get_amr(self):
        return None


class IdTokens(OpenIDCode):
    """ID tokens, wrong ones if the state says so."""

    def __init__(self, state: State):
        super().__init__(require_nonce=True)
        self.state = state

    def exists_nonce(self, nonce, request):
        return False

    def generate_user_info(self, user, scope):
        return UserInfo(user)

    def encode_id_token(self, token, request):
        claims = {"iss": self.state.issuer, **self.get_compatible_claims(request)}
        claims |= self.get_authorization_code_claims(request.authorization_code)
        claims["at_hash"] = create_half_hash(token["access_token"], "RS256").decode()
        return self.state.sign({**claims, **self.generate_user_info(request.user, token["scope"])})


def provider(state: State) -> AuthorizationServer:
    """The authorization server on this state."""
    codes: dict[str, Code] = {}

    class Grant(AuthorizationCodeGrant):
        def save_authorization_code(self, code, request):
            sent = request.payload.data
            codes[code] = Code(
                code=code,
                user=request.user,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                nonce=sent.get("nonce"),
                code_challenge=sent.get("code_challenge"),
                code_challenge_method=sent.get("code_challenge_method"),
            )

        def query_authorization_code(self, code, client):
            return codes.get(code)

        def delete_authorization_code(self, authorization_code):
            del codes[authorization_code.code]

        def authenticate_user(self, authorization_code):
            return authorization_code.user

    class Server(AuthorizationServer):
        def create_oauth2_request(self, request):
            return request

        def handle_response(self, status, body, headers):
            return status, body, dict(headers)

        def query_client(self, client_id):
            return Client() if client_id == CLIENT_ID else None

        def save_token(self, token, request):
            """Nothing asks for it later."""

        def send_signal(self, name, *args, **kwargs):
            """Nobody listens."""

    made = Server(scopes_supported=["openid", "email", "profile"])
    made.register_token_generator(
        "default", BearerTokenGenerator(lambda **_: state.access_token({"aud": "https://api.test"}, kind="at+jwt"))
    )
    made.register_grant(Grant, [CodeChallenge(required=True), IdTokens(state)])
    return made
