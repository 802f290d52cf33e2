"""The way to a database by a pooler."""

import pytest

from taskbell.kit.postgres.urls import through

pytestmark = pytest.mark.feature("M41")


@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("postgresql://a:b@db:5432/t", "postgresql://a:b@bouncer:6432/t?sslmode=disable"),
        ("postgresql://a:b%40c@db/t?sslmode=verify-full", "postgresql://a:b%40c@bouncer:6432/t?sslmode=disable"),
        ("postgresql://a:b@[::1]:5433,db:5432/t", "postgresql://a:b@bouncer:6432/t?sslmode=disable"),
    ],
)
def test_role_password_and_database_stay(url, way):
    """The pooler takes the place of the server; TLS was the server's. Without a pooler nothing changes."""
    assert through(url, "bouncer:6432") == way
    assert through(url, None) == url
