"""Which account a sign-in through a provider belongs to: nobody gets into the account of somebody else."""

import pytest

from taskbell.local import db

pytestmark = pytest.mark.feature("T4")


@pytest.fixture
async def owner(database):
    """A connection as the schema's owner."""
    async with db.connected(database.owner_url) as connection:
        yield connection


async def _confirm(owner, account):
    await owner.execute("UPDATE users SET email_confirmed_at = now() WHERE id = $1", account.user_id)


async def _me(api, answer):
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return (await api.get("/v1/me", headers=headers)).json()


async def test_a_confirmed_account_is_linked_by_its_address(api, browser, sign_up, owner):
    """Both sides have shown that they own the address: the person is signed in to the account that exists."""
    ann = await sign_up(email="Ann@Example.com")
    await _confirm(owner, ann)
    assert (await _me(api, await browser.sign_in()))["id"] == ann.user_id
    answer = await api.post("/v1/auth/login", json={"email": ann.email, "password": ann.password})
    assert answer.status_code == 200


async def test_an_account_that_nobody_confirmed_is_not_linked(browser, sign_up, owner):
    """Somebody registered Ann's address first: Ann is not led into their account, nor they into hers."""
    await sign_up(email="ann@example.com")
    answer = await browser.sign_in()
    assert (answer.status_code, answer.json()["code"]) == (409, "email_not_confirmed")
    assert await owner.fetchval("SELECT count(*) FROM identities") == 0
    assert await owner.fetchval("SELECT count(*) FROM sessions") == 1


async def test_a_second_factor_is_not_evaded_by_the_address(browser, sign_up, owner):
    """Whoever reads Ann's mailbox gets a provider's account for it, and no further; an enrolment is no factor yet."""
    ann = await sign_up(email="ann@example.com")
    await _confirm(owner, ann)
    await owner.execute(
        "INSERT INTO second_factors (user_id, secret, confirmed_at) VALUES ($1, 's', now())", ann.user_id
    )
    answer = await browser.sign_in()
    assert (answer.status_code, answer.json()["code"]) == (409, "second_factor_on")
    assert await owner.fetchval("SELECT count(*) FROM identities") == 0
    await owner.execute("UPDATE second_factors SET confirmed_at = NULL")
    assert (await browser.sign_in()).status_code == 200


async def test_whoever_gets_the_address_later_does_not_get_the_account(browser, provider, owner):
    """The provider gives Ann's address to another person: that subject is not linked to Ann's account."""
    assert (await browser.sign_in()).status_code == 200
    await provider.set(user={"sub": "bob-2", "email": "ann@example.com", "email_verified": True})
    answer = await browser.sign_in()
    assert (answer.status_code, answer.json()["code"]) == (409, "identity_taken")
    assert await owner.fetchval("SELECT array_agg(subject) FROM identities") == ["ann-1"]


async def test_a_linked_person_stays_the_same_with_another_address(api, browser, provider):
    """The subject counts, not the address: it may change at the provider, and becomes nobody else's here."""
    before = await _me(api, await browser.sign_in())
    await provider.set(user={"sub": "ann-1", "email": "ann@new.example", "email_verified": True})
    assert await _me(api, await browser.sign_in()) == before


async def test_an_account_without_a_password_has_none_to_guess(api, browser):
    """Whoever signs in with a provider alone cannot be signed in with any password."""
    await browser.sign_in()
    for password in ("", "None", "null", "correct horse battery staple"):
        answer = await api.post("/v1/auth/login", json={"email": "ann@example.com", "password": password or " "})
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")


class TestDomains:
    """A provider whose settings name domains."""

    @pytest.fixture
    def provider_settings(self):
        """One domain may sign in, and its addresses count as verified."""
        return {"allowed_domains": ["example.com"], "verified_domains": ["EXAMPLE.com"]}

    async def test_only_listed_domains_sign_in(self, browser, provider):
        """An address of another domain is refused, also of one that ends alike."""
        for address in ("ann@other.example", "ann@sub.example.com", "ann@notexample.com"):
            await provider.set(user={"sub": "x", "email": address, "email_verified": True})
            answer = await browser.sign_in()
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")

    async def test_a_domain_of_the_provider_needs_no_claim(self, api, browser, provider):
        """The provider gives its mailboxes out itself, and says nothing about them."""
        await provider.set(user={"sub": "ann-1", "email": "ann@example.com"})
        assert (await _me(api, await browser.sign_in()))["name"] == "ann"


class TestVerifiedClaim:
    """A provider that says it with a claim of its own, as Entra does."""

    @pytest.fixture
    def provider_settings(self):
        """The claim's name."""
        return {"email_verified_claim": "xms_edov"}

    @pytest.mark.parametrize(("said", "status"), [(1, 200), ("1", 200), (True, 200), (0, 403), (None, 403)])
    async def test_the_claim_of_the_settings_counts(self, browser, provider, said, status):
        """The usual claim does not count any more."""
        await provider.set(claims={"xms_edov": said, "email_verified": True})
        assert (await browser.sign_in()).status_code == status


async def test_names_are_cut_to_what_is_stored(api, browser, provider):
    """Whatever a provider says of a name, the account can be made."""
    await provider.set(user={"sub": "ann-1", "email": "ann@example.com", "email_verified": True, "name": "\x00A" * 300})
    assert len((await _me(api, await browser.sign_in()))["name"]) == 255
