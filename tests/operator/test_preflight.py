"""Which permissions the operator needs, and which are optional."""

import pytest

from taskbell.operator import preflight
from taskbell.operator.permissions import OWN, WATCHED, in_words
from taskbell.operator.preflight import NotReadyToWork
from taskbell.testing.waiting import eventually

RBAC, REVIEWS = "rbac.authorization.k8s.io/v1", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@pytest.fixture
def take_away(kubectl, account):
    """Remove a permission from the operator's role, and wait until that is in force."""

    async def take(permission):
        (role,) = await kubectl.all("roles", group=RBAC)
        taken = ([permission.resource], [*permission.verbs])
        rules = [rule for rule in role["rules"] if (rule["resources"], rule["verbs"]) != taken]
        assert len(rules) == len(role["rules"]) - 1
        role["rules"] = rules
        await kubectl.must("PUT", kubectl.at("roles", role["metadata"]["name"], group=RBAC), role)
        resource, _, subresource = permission.resource.partition("/")
        asked = {"namespace": kubectl.namespace, "verb": permission.verbs[0], "group": permission.group}
        asked |= {"resource": resource, "subresource": subresource}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        review |= {"spec": {"resourceAttributes": asked}}

        async def in_force():
            return not (await kubectl.must("POST", REVIEWS, review, token=account))["status"]["allowed"]

        await eventually(in_force, "the role is in force")

    return take


@pytest.mark.parametrize("permission", [p for p in (*WATCHED, *OWN) if not p.needed], ids=lambda p: p.resource)
async def test_optional_permissions(take_away, cluster, kubectl, permission):
    """The operator starts without the permissions to read Secrets and to write to pods."""
    await take_away(permission)
    await preflight.check(cluster, own_namespace=kubectl.namespace, namespaces=(kubectl.namespace,))


@pytest.mark.parametrize("permission", [p for p in (*WATCHED, *OWN) if p.needed], ids=lambda p: p.resource)
async def test_needed_permissions(take_away, cluster, kubectl, permission):
    """Each other permission is checked; without it the operator exits and names it with its purpose."""
    await take_away(permission)
    with pytest.raises(NotReadyToWork) as refused:
        await preflight.check(cluster, own_namespace=kubectl.namespace, namespaces=(kubectl.namespace,))
    missing = str(refused.value).removeprefix("permissions are missing: ").split("; ")
    assert missing == [in_words(permission, verb, kubectl.namespace) for verb in permission.verbs]
    assert all(permission.reason in sentence for sentence in missing)
