"""What an operator must have, and what it can do without."""

import pytest

from taskbell.operator import preflight
from taskbell.operator.permissions import OWN, WATCHED, in_words
from taskbell.operator.preflight import NotReadyToWork

RBAC, REVIEWS = "rbac.authorization.k8s.io/v1", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@pytest.fixture
def take_away(kubectl, account, until):
    """Take a permission from the operator's role, and wait until that is in force."""

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

        await until(in_force, what="the role is in force")

    return take


@pytest.mark.parametrize("permission", [p for p in (*WATCHED, *OWN) if not p.needed], ids=lambda p: p.resource)
async def test_some_may_be_kept_from_it(take_away, cluster, kubectl, permission):
    """An operator that may not read Secrets nor write to pods works; what needs them goes without, and says so."""
    await take_away(permission)
    await preflight.check(cluster, own_namespace=kubectl.namespace, namespaces=(kubectl.namespace,))


@pytest.mark.parametrize("permission", [p for p in (*WATCHED, *OWN) if p.needed], ids=lambda p: p.resource)
async def test_everything_else_is_needed(take_away, cluster, kubectl, permission):
    """Each other permission is asked for, and without it the operator ends with its name and purpose."""
    await take_away(permission)
    with pytest.raises(NotReadyToWork) as refused:
        await preflight.check(cluster, own_namespace=kubectl.namespace, namespaces=(kubectl.namespace,))
    missing = str(refused.value).removeprefix("permissions are missing: ").split("; ")
    assert missing == [in_words(permission, verb, kubectl.namespace) for verb in permission.verbs]
    assert all(permission.reason in sentence for sentence in missing)
