"""Who a request of the operator's tests comes from, where the administrator has a client certificate."""

import ssl

import httpx
import pytest
from aiohttp import web

from front_door.certificate import certify
from kubernetes_emulator.client import ApiServer, Kubectl
from kubernetes_emulator.proxy import Proxy


@pytest.fixture
def certificate(tmp_path):
    """A certificate with its key in one file: its own authority, the server's, and the administrator's."""
    return certify(tmp_path / "certificate.pem", "localhost")


@pytest.fixture
async def server(certificate):
    """A server that answers who signed in, as an API server sees it; the administrator signs in by certificate."""

    async def answer(request):
        shown = request.transport.get_extra_info("peercert")
        return web.json_response({"certificate": bool(shown), "token": request.headers.get("Authorization", "")})

    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate)
    serving.load_cert_chain(certificate)
    serving.verify_mode = ssl.CERT_OPTIONAL
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=serving).start()
    trust, certified = (ssl.create_default_context(cafile=certificate) for _ in range(2))
    certified.load_cert_chain(certificate)
    yield ApiServer(f"https://localhost:{runner.addresses[0][1]}", trust=trust, certified=certified)
    await runner.cleanup()


async def test_a_token_comes_without_the_administrators_certificate(server):
    """A certificate would win over the token: only requests of the administrator show it."""
    async with Kubectl.open(server, "here") as kubectl:
        assert await kubectl.must("GET", "/") == {"certificate": True, "token": ""}
        assert await kubectl.must("GET", "/", token="t") == {"certificate": False, "token": "Bearer t"}


async def test_the_operator_behind_the_proxy_is_not_the_administrator(server):
    """The proxy signs in with its token alone."""
    async with Proxy(server, token="t").running() as proxy, httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(proxy.url)).json() == {"certificate": False, "token": "Bearer t"}
