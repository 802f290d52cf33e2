"""What an operator must have, and what it can do without."""

import pytest

from taskbell.operator import preflight
from taskbell.operator.permissions import OWN, WATCHED
from taskbell.operator.preflight import NotReadyToWork


class FakeCluster:
    """Serves everything and allows all but some resources."""

    def __init__(self, *refused):
        self.refused = refused

    async def serves(self, _):
        """Whether there is such a resource."""
        return True

    async def may(self, *, resource, **_):
        """Whether something is allowed."""
        return resource not in self.refused


async def test_secrets_may_be_kept_from_it():
    """An operator that may not read Secrets works; only signals that name one cannot be read, and say so."""
    await preflight.check(FakeCluster("secrets"), own_namespace="n", namespaces=("n",))


@pytest.mark.parametrize("permission", [p for p in (*WATCHED, *OWN) if p.needed], ids=lambda p: p.resource)
async def test_everything_else_is_needed(permission):
    """Each other permission is asked for, and without it the operator ends with its name and purpose."""
    resource = permission.resource.partition("/")[0]
    with pytest.raises(NotReadyToWork, match=resource) as refused:
        await preflight.check(FakeCluster(resource), own_namespace="n", namespaces=("n",))
    assert permission.reason in str(refused.value)
