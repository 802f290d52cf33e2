"""Without a key to encrypt secrets with nobody enrols, and sign-ins are as they were."""


async def test_nobody_enrols_without_a_key(api, sign_up):
    """It is a 404 that tells why."""
    ann = await sign_up()
    for path, body in (("", {"password": ann.password}), ("/confirm", {"code": "123456"})):
        answer = await api.post(f"/v1/me/second-factor{path}", json=body, headers=ann.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_set_up")
    assert (await api.get("/v1/me/second-factor", headers=ann.headers)).json()["enabled"] is False
