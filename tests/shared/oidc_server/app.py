"""The provider's HTTP: what OpenID Connect names, and `/control` by which a test tells it how to behave."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oidc_server.grants import Request as OAuthRequest
from oidc_server.grants import provider
from oidc_server.state import State


def create_app(issuer: str) -> Starlette:  # noqa: C901 -- it holds the endpoints
    """The application of a provider with this issuer."""
    state = State(issuer=issuer)
    server = provider(state)

    def counted(request: Request) -> None:
        state.requests[request.url.path] = state.requests.get(request.url.path, 0) + 1

    async def metadata(request: Request) -> Response:
        counted(request)
        found = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
        }
        return JSONResponse({**found, **state.metadata})

    async def jwks(request: Request) -> Response:
        counted(request)
        return JSONResponse({**state.keys.as_dict(private=False), "padding": "x" * state.keys_padding})

    async def authorize(request: Request) -> Response:
        asked = OAuthRequest(
            "GET", str(request.url), headers=dict(request.headers), parameters=dict(request.query_params)
        )
        grant = server.get_authorization_grant(asked)
        status, body, headers = server.create_authorization_response(asked, state.user, grant)
        return JSONResponse(body, status_code=status, headers=headers)

    async def token(request: Request) -> Response:
        counted(request)
        if state.token_status:
            return Response("no", status_code=state.token_status)
        form = {name: str(value) for name, value in (await request.form()).items()}
        headers = {"Authorization": request.headers.get("authorization", "")}
        asked = OAuthRequest("POST", str(request.url), headers=headers, parameters=form)
        status, body, answered = server.create_token_response(asked)
        answered.pop("Content-Length", None)
        return JSONResponse(body, status_code=status)

    async def control(request: Request) -> Response:
        wanted = await request.json()
        if wanted.pop("behave", False):
            state.behave()
        if wanted.pop("rotate", False):
            state.rotate()
        for name, value in wanted.items():
            setattr(state, name, value)
        return JSONResponse({"requests": state.requests})

    async def mint(request: Request) -> Response:
        wanted = await request.json()
        return JSONResponse({"token": state.access_token(wanted["claims"], kind=wanted.get("kind", "at+jwt"))})

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", metadata),
            Route("/jwks", jwks),
            Route("/authorize", authorize),
            Route("/token", token, methods=["POST"]),
            Route("/control", control, methods=["POST"]),
            Route("/mint", mint, methods=["POST"]),
        ]
    )
