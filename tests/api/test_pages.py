"""What a person opens in a browser: the viewers of the description, and the summary of health."""

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from taskbell.testing.waiting import eventually

CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/docs", marks=pytest.mark.feature("T1", "F13")),
        pytest.param("/redoc", marks=pytest.mark.feature("F14")),
    ],
)
async def test_a_viewer_is_served_whole(api, path):
    """The page, each file that it loads, and the document come from this host; its policy forbids any other."""
    page = await api.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert not re.search(r"https?:|\*|unsafe-eval|script-src[^;]*unsafe", policy)
    addresses = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
    assert all(not re.match(r"(\w+:)?//", address) for address in addresses), addresses
    files = [address for address in addresses if address.startswith("docs/assets/")]
    assert len(files) in {1, 3}
    for address in files:
        file = await api.get(f"/{address}")
        assert file.status_code == 200
        assert file.headers["content-type"].startswith(("text/javascript", "text/css"))
        unchanged = await api.get(f"/{address}", headers={"If-None-Match": file.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    document = (await api.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert {"/v1/tasks", "/v1/auth/login"} <= set(document["paths"])


@pytest.mark.parametrize("name", ["index.html", "..%2f__init__.py", "swagger-ui.css.map"])
async def test_no_other_file_is_served(api, name):
    """What is no file of the viewers is not found."""
    assert (await api.get(f"/docs/assets/{name}")).status_code == 404


@pytest.mark.parametrize(("path", "shown"), [("/docs", "/v1/tasks"), ("/redoc", "Create a task")])
def test_a_browser_shows_the_operations(served, tmp_path, path, shown):
    """A real browser draws the operations under the page's policy, asks no other host, and nothing fails."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there (Debian: apt-get install chromium)")
    log = tmp_path / "net.json"
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=20000"
    options += " --host-resolver-rules=MAP~*~~NOTFOUND~,~EXCLUDE~127.0.0.1"
    command = [str(CHROMIUM), *(each.replace("~", " ") for each in options.split())]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", "--dump-dom", f"{served.url}{path}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert shown in ended.stdout
    failed = re.findall("CONSOLE.*(?:Content Security Policy|Refused|Uncaught|Failed to load).*", ended.stderr)
    assert [each for each in failed if "cdn.redoc.ly" not in each] == []  # Redoc's own logo, which the policy refuses
    of_page = rf'"initiator":"{re.escape(served.url)}".{{0,400}}?"url":"(\w+://[^"]+)"'  # and not the browser's own
    asked = {urlsplit(url).netloc for url in re.findall(of_page, log.read_text())}
    assert asked == {urlsplit(served.url).netloc}


@pytest.mark.feature("H22")
async def test_health_sums_up_for_people(api, app):
    """Status, version and each part; a part that is away makes it degraded, and is named, but is no error."""

    async def told():
        answer = await api.get("/health")
        assert answer.status_code == 200
        return answer.json()

    found = await eventually(told, "NATS", wanted=lambda summary: summary["status"] == "ok")
    assert found["checks"] == {"database": "ok", "nats": "ok"}
    assert found["version"]

    async def away():
        raise ConnectionError("nobody is there")

    app.state.services.checks["nats"] = away
    found = await told()
    assert found["status"] == "degraded"
    assert found["checks"]["database"] == "ok"
    assert found["checks"]["nats"] != "ok"
