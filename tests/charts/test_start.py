"""The rendered containers start: commands, arguments, environments and probes fit the programs."""

import httpx
import pytest


@pytest.mark.feature("K7")
async def test_the_rendered_platform_works(stack):
    """From an empty database the Job's and pods' own commands bring up a platform on which an account is made."""
    test = stack.rendered.one("Pod", "-test")
    said = await stack.run(test["spec"]["containers"][0])
    assert said.count("/readyz 200") == len(stack.rendered.of("Deployment"))
    address = stack.local("http://demo-taskbell-api:8000")
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        person = {"email": "ada@example.org", "password": "correct horse battery", "name": "Ada"}
        made = await client.post("/v1/auth/register", json=person)
        assert made.status_code == httpx.codes.CREATED, made.text


async def test_jobs_may_run_again(stack):
    """The Job's containers end well a second time: a revision that changes no schema runs them, too."""
    job = stack.rendered.one("Job", "-migrations-1")["spec"]["template"]["spec"]
    for container in [*job["initContainers"], *job["containers"]]:
        await stack.run(container)
