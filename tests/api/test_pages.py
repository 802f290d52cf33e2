"""What a person opens in a browser: the viewers of the description, and the summary of health."""

import re

import pytest

from taskbell.testing.waiting import eventually


@pytest.mark.parametrize(
    ("path", "viewer"),
    [
        pytest.param("/docs", "SwaggerUIBundle", marks=pytest.mark.feature("T1", "F13")),
        pytest.param("/redoc", "<redoc", marks=pytest.mark.feature("F14")),
    ],
)
async def test_a_viewer_shows_this_apis_description(api, path, viewer):
    """The page brings its viewer and names the document that the API itself serves."""
    page = await api.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert viewer in page.text
    (address,) = set(re.findall(r"/[\w/]*openapi\.json", page.text))
    document = (await api.get(address)).json()
    assert document["openapi"].startswith("3.")
    assert {"/v1/tasks", "/v1/auth/login"} <= set(document["paths"])


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
