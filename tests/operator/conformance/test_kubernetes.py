"""The behaviour of an API server that the operator relies on, for the emulated server and a real one."""

import json

import pytest

from kubernetes_emulator import control_plane

SCHEDULE = {"kind": "due", "schedule": "* * * * *"}
POOL = {
    "targetRef": {"name": "delivery"},
    "replicas": {"max": 10},
    "signals": [{"name": "backlog", "jetStream": {"stream": "S", "consumer": "c"}}],
}


def schedule(name="due", **spec):
    """A ReminderSchedule."""
    metadata = {"name": name}
    body = {"apiVersion": "taskbell.dev/v1alpha1", "kind": "ReminderSchedule", "metadata": metadata}
    return body | {"spec": SCHEDULE | spec}


async def make(kubectl, **spec):
    """Create the schedule `due`."""
    status, made = await kubectl.send("POST", kubectl.at("reminderschedules"), schedule(**spec))
    assert status == 201, made
    return made


def version(body):
    """The resourceVersion."""
    return body["metadata"]["resourceVersion"]


async def test_versions_and_generations(kubectl):
    """Every change makes a new version, only a change of the spec a new generation, and no change neither."""
    made = await make(kubectl)
    path = kubectl.at("reminderschedules", "due")
    assert made["metadata"]["uid"]
    assert made["metadata"]["generation"] == 1
    _, labelled = await kubectl.merge(path, {"metadata": {"labels": {"a": "b"}}})
    assert version(labelled) != version(made)
    assert labelled["metadata"]["generation"] == 1
    _, changed = await kubectl.merge(path, {"spec": {"shards": 2}})
    assert changed["metadata"]["generation"] == 2
    _, same = await kubectl.merge(path, {"spec": {"shards": 2}})
    assert version(same) == version(changed)
    assert same["metadata"]["uid"] == made["metadata"]["uid"]


async def test_schemas_complete_prune_and_refuse(kubectl):
    """Defaults are filled in, unknown fields are removed, invalid values are refused with 422."""
    made = await make(kubectl, unknown=1)
    assert "unknown" not in made["spec"]
    assert (made["spec"]["batchSize"], made["spec"]["timeZone"]) == (500, "Etc/UTC")
    assert made["spec"]["pod"]["resources"]["requests"] == {"cpu": "50m", "memory": "128Mi"}
    status, refused = await kubectl.send("POST", kubectl.at("reminderschedules"), schedule("x", kind="nothing"))
    assert (status, refused["reason"]) == (422, "Invalid")


async def test_refusals(kubectl):
    """Creating an object again, reading an absent one and replacing by an old version are refused."""
    made = await make(kubectl)
    path = kubectl.at("reminderschedules", "due")
    status, refused = await kubectl.send("POST", kubectl.at("reminderschedules"), schedule())
    assert (status, refused["reason"]) == (409, "AlreadyExists")
    status, refused = await kubectl.send("GET", kubectl.at("reminderschedules", "other"))
    assert (status, refused["reason"], refused["kind"]) == (404, "NotFound", "Status")
    await kubectl.merge(path, {"spec": {"shards": 2}})
    status, refused = await kubectl.send("PUT", path, made)
    assert (status, refused["reason"]) == (409, "Conflict")


async def test_apply_is_idempotent_and_removes_what_it_drops(kubectl):
    """A repeated apply makes no new version; a field that its only owner drops is removed, others' fields stay."""
    body = schedule(batchSize=100, suspend=True)
    status, made = await kubectl.apply("reminderschedules", "due", body, manager="one")
    assert status == 201
    status, again = await kubectl.apply("reminderschedules", "due", body, manager="one")
    assert (status, version(again)) == (200, version(made))
    await kubectl.merge(kubectl.at("reminderschedules", "due"), {"metadata": {"labels": {"mine": "yes"}}})
    _, dropped = await kubectl.apply("reminderschedules", "due", schedule(suspend=True), manager="one")
    assert (dropped["spec"]["batchSize"], dropped["spec"]["suspend"]) == (500, True)
    assert dropped["metadata"]["labels"] == {"mine": "yes"}
    assert {field["manager"] for field in dropped["metadata"]["managedFields"]} == {"one", "person"}


async def test_apply_conflicts(kubectl):
    """A different value for another manager's field is a conflict, unless forced; then the field changes its owner."""
    await kubectl.apply("reminderschedules", "due", schedule(batchSize=100), manager="one")
    status, refused = await kubectl.apply("reminderschedules", "due", schedule(batchSize=200), manager="two")
    assert (status, refused["reason"]) == (409, "Conflict")
    status, _ = await kubectl.apply("reminderschedules", "due", schedule(batchSize=100), manager="two")
    assert status == 200
    status, taken = await kubectl.apply("reminderschedules", "due", schedule(batchSize=300), manager="two", force=True)
    assert (status, taken["spec"]["batchSize"]) == (200, 300)
    status, refused = await kubectl.apply("reminderschedules", "due", schedule(batchSize=100), manager="one")
    assert (status, refused["reason"]) == (409, "Conflict")


async def test_apply_refuses_an_old_version(kubectl):
    """An apply that names an old version of the object is a conflict also if it is forced, and changes nothing."""
    made = await make(kubectl)
    path = kubectl.at("reminderschedules", "due")
    changed = await kubectl.must_merge(path, {"spec": {"shards": 2}})
    old = schedule(shards=3) | {"metadata": {"name": "due", "resourceVersion": version(made)}}
    status, refused = await kubectl.apply("reminderschedules", "due", old, manager="one", force=True)
    assert (status, refused["reason"]) == (409, "Conflict")
    assert version(await kubectl.must("GET", path)) == version(changed)
    new = schedule(shards=3) | {"metadata": {"name": "due", "resourceVersion": version(changed)}}
    status, applied = await kubectl.apply("reminderschedules", "due", new, manager="one", force=True)
    assert (status, applied["spec"]["shards"]) == (200, 3)
    await kubectl.must("DELETE", path)
    status, _ = await kubectl.apply("reminderschedules", "due", new, manager="one", force=True)
    assert status == 201, "an object that is gone has no version to differ from"


async def test_apply_merges_lists_by_key(kubectl):
    """Containers of a CronJob are merged by name: apply changes those it names and removes those it no longer names."""
    container = {"name": "remind", "image": "a:1", "args": ["x"]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "due"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }
    where = {"group": "batch/v1", "manager": "one"}
    status, made = await kubectl.apply("cronjobs", "due", body, **where)
    assert status == 201, made
    side = {"name": "side", "image": "b:1"}
    pod["containers"] = [side]
    await kubectl.apply("cronjobs", "due", body, group="batch/v1", manager="two", force=True)
    pod["containers"] = [container | {"image": "a:2"}]
    _, merged = await kubectl.apply("cronjobs", "due", body, force=True, **where)
    found = merged["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert {c["name"]: c["image"] for c in found} == {"remind": "a:2", "side": "b:1"}
    assert merged["metadata"]["generation"] == 3
    _, dropped = await kubectl.apply("cronjobs", "due", body, group="batch/v1", manager="two")
    found = dropped["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert {c["name"]: c["image"] for c in found} == {"remind": "a:2"}


async def test_status_is_apart(kubectl):
    """Only the status subresource writes the status, and it writes nothing else."""
    await make(kubectl)
    path = kubectl.at("reminderschedules", "due")
    _, unchanged = await kubectl.merge(path, {"status": {"cronJob": "x"}})
    assert "cronJob" not in unchanged.get("status", {})
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "CronJobKept",
        "message": "",
        "lastTransitionTime": "2026-11-20T10:00:00Z",
        "observedGeneration": 1,
    }
    body = schedule(shards=9) | {"status": {"cronJob": "due", "observedGeneration": 1, "conditions": [condition]}}
    status, written = await kubectl.apply("reminderschedules", "due", body, manager="one", subresource="status")
    assert (status, written["status"]["cronJob"], written["spec"]["shards"]) == (200, "due", 1)
    assert written["metadata"]["generation"] == 1
    body["status"].pop("cronJob")
    _, dropped = await kubectl.apply("reminderschedules", "due", body, manager="one", subresource="status")
    assert "cronJob" not in dropped["status"]
    assert dropped["status"]["conditions"] == [condition]
    status, _ = await kubectl.apply("reminderschedules", "other", body, manager="one", subresource="status")
    assert status == 404


async def test_scale(kubectl):
    """A Deployment and a WorkerPool have a scale; writing an old version is a conflict."""
    labels = {"app": "delivery"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    body = {"metadata": {"name": "delivery"}, "spec": deployment}
    status, made = await kubectl.send("POST", kubectl.at("deployments", group="apps/v1"), body)
    assert status == 201, made
    path = kubectl.at("deployments", "delivery", "scale", group="apps/v1")
    _, scale = await kubectl.send("GET", path)
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 1, "app=delivery")
    patch = {"metadata": {"resourceVersion": version(scale)}, "spec": {"replicas": 3}}
    status, scaled = await kubectl.merge(path, patch)
    assert (status, scaled["spec"]["replicas"]) == (200, 3)
    status, refused = await kubectl.merge(path, patch | {"spec": {"replicas": 4}})
    assert (status, refused["reason"]) == (409, "Conflict")

    pool = {"apiVersion": "taskbell.dev/v1alpha1", "kind": "WorkerPool", "metadata": {"name": "p"}, "spec": POOL}
    await kubectl.send("POST", kubectl.at("workerpools"), pool)
    path = kubectl.at("workerpools", "p", "scale")
    _, scale = await kubectl.send("GET", path)
    assert scale["spec"]["replicas"] == 1
    status, _ = await kubectl.send("PUT", path, scale | {"spec": {"replicas": 5}})
    _, found = await kubectl.send("GET", kubectl.at("workerpools", "p"))
    assert (status, found["spec"]["replicas"]["manual"]) == (200, 5)


async def test_selectors(kubectl):
    """Lists are filtered by labels and by name."""
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2"}), ("c", {})):
        body = {"metadata": {"name": name, "labels": labels}}
        await kubectl.send("POST", kubectl.at("configmaps", group=""), body)

    async def names(**query):
        _, found = await kubectl.send("GET", kubectl.at("configmaps", group=""), **query)
        return {item["metadata"]["name"] for item in found["items"]} & {"a", "b", "c"}

    assert await names(labelSelector="x=1") == {"a"}
    assert await names(labelSelector="x") == {"a", "b"}
    assert await names(labelSelector="x!=1") == {"b", "c"}
    assert await names(fieldSelector="metadata.name=c") == {"c"}


async def test_watches(kubectl):
    """A watch from a version sends each later change once, in order; a deletion has the last state and a version."""
    made = await make(kubectl)
    path = kubectl.at("reminderschedules", "due")
    await kubectl.merge(path, {"spec": {"shards": 2}})
    response = await kubectl.stream(
        "GET", kubectl.at("reminderschedules"), watch="true", resourceVersion=version(made), timeoutSeconds="20"
    )
    await kubectl.merge(path, {"spec": {"shards": 3}})
    await kubectl.send("DELETE", path)
    seen = []
    async for line in response.content:
        event = json.loads(line)
        seen.append((event["type"], event["object"]["spec"]["shards"], int(version(event["object"]))))
        if event["type"] == "DELETED":
            break
    response.close()
    assert [entry[:2] for entry in seen] == [("MODIFIED", 2), ("MODIFIED", 3), ("DELETED", 3)]
    assert [entry[2] for entry in seen] == sorted({entry[2] for entry in seen})


async def test_finalizers(kubectl):
    """An object with a finalizer is marked for deletion, and deleted with its last finalizer."""
    body = schedule()
    body["metadata"]["finalizers"] = ["example.com/wait"]
    await kubectl.send("POST", kubectl.at("reminderschedules"), body)
    path = kubectl.at("reminderschedules", "due")
    await kubectl.send("DELETE", path)
    _, marked = await kubectl.send("GET", path)
    assert marked["metadata"]["deletionTimestamp"]
    await kubectl.merge(path, {"metadata": {"finalizers": None}})
    assert (await kubectl.send("GET", path))[0] == 404


async def test_a_name_is_no_identity(kubectl):
    """A deleted object cannot be changed, and a new one of its name is another object."""
    former = await make(kubectl)
    path = kubectl.at("reminderschedules", "due")
    await kubectl.must("DELETE", path)
    status, refused = await kubectl.merge(path, {"metadata": {"annotations": {"a": "b"}}})
    assert (status, refused["reason"]) == (404, "NotFound")
    again = await make(kubectl)
    assert again["metadata"]["uid"] != former["metadata"]["uid"]
    assert again["metadata"]["generation"] == former["metadata"]["generation"]


async def test_access_reviews(kubectl, account):
    """An account can ask for its own permissions."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    async def may(verb, token=""):
        attributes = {"verb": verb, "group": "batch", "resource": "cronjobs", "namespace": kubectl.namespace}
        body = review | {"spec": {"resourceAttributes": attributes}}
        return (await kubectl.must("POST", path, body, token=token))["status"]["allowed"]

    assert [await may("patch"), await may("deletecollection")] == [True, True]
    assert [await may("patch", account), await may("deletecollection", account)] == [True, False]


@pytest.mark.parametrize(
    ("plural", "spec", "message"),
    [
        ("reminderschedules", SCHEDULE | {"kind": "maintenance", "shards": 2}, "not sharded"),
        ("workerpools", POOL | {"replicas": {"min": 5, "max": 2}}, "min must not exceed max"),
        ("workerpools", POOL | {"signals": []}, "at least one signal"),
        ("workerpools", POOL | {"signals": [{"name": "a"}]}, "exactly one of"),
        ("workerpools", POOL | {"onSignalError": {"mode": "Fallback"}}, "needs replicas"),
    ],
)
async def test_rules(kubectl, plural, spec, message):
    """Rules in CEL refuse invalid combinations of fields."""
    kind = {"reminderschedules": "ReminderSchedule", "workerpools": "WorkerPool"}[plural]
    body = {"apiVersion": "taskbell.dev/v1alpha1", "kind": kind, "metadata": {"name": "wrong"}, "spec": spec}
    status, refused = await kubectl.send("POST", kubectl.at(plural), body)
    assert status == 422
    assert message in refused["message"]


async def test_transition_rules(kubectl):
    """The target of a pool is immutable; its other fields may change."""
    pool = {"apiVersion": "taskbell.dev/v1alpha1", "kind": "WorkerPool", "metadata": {"name": "p"}, "spec": POOL}
    await kubectl.must("POST", kubectl.at("workerpools"), pool)
    path = kubectl.at("workerpools", "p")
    status, refused = await kubectl.merge(path, {"spec": {"targetRef": {"name": "other"}}})
    assert (status, "targetRef is immutable" in refused["message"]) == (422, True)
    status, _ = await kubectl.merge(path, {"spec": {"replicas": {"max": 20}}})
    assert status == 200


async def test_defaults_are_tried_on_the_rules(kubectl):
    """A definition whose default breaks one of its own rules is refused."""
    rule = {"rule": "self.mode != 'x' || has(self.size)", "message": "x needs a size"}
    settings = {
        "type": "object",
        "default": {},
        "properties": {"mode": {"type": "string", "default": "y"}, "size": {"type": "integer"}},
        "x-kubernetes-validations": [rule],
    }
    spec = {"type": "object", "properties": {"settings": settings}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    names = {"plural": "wrongs", "singular": "wrong", "kind": "Wrong", "listKind": "WrongList"}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "wrongs.test.taskbell.dev"},
        "spec": {"group": "test.taskbell.dev", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    status, refused = await kubectl.send("POST", path, body)
    assert (status, refused["reason"]) == (422, "Invalid")


async def test_quantities_are_normalized(kubectl):
    """Quantities in a pod are stored in their shortest form, and absent fields get defaults."""
    amounts = {"cpu": "1000m", "memory": "1024Mi"}
    container = {"name": "remind", "image": "a:1", "resources": {"requests": amounts}}
    pod = {"restartPolicy": "Never", "containers": [container]}
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "due"}, "spec": spec}
    made = await kubectl.must("POST", kubectl.at("cronjobs", group="batch/v1"), body)
    found = made["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert found["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert (found["dnsPolicy"], found["schedulerName"]) == ("ClusterFirst", "default-scheduler")
    assert found["containers"][0]["terminationMessagePath"] == "/dev/termination-log"


async def test_access_is_what_a_role_grants(kubectl, account):
    """A service account may do exactly what the chart's role grants in its namespace; an unknown one is refused."""
    schedules, secrets = kubectl.at("reminderschedules"), kubectl.at("secrets", group="")
    assert (await kubectl.send("GET", schedules, token=account))[0] == 200
    status, refused = await kubectl.send("POST", schedules, schedule(), token=account)
    assert (status, refused["reason"]) == (403, "Forbidden")
    assert (await kubectl.send("GET", secrets, token=account))[0] == 403
    elsewhere = schedules.replace(kubectl.namespace, "default")
    assert (await kubectl.send("GET", elsewhere, token=account))[0] == 403
    status, refused = await kubectl.send("GET", schedules, token="nobody's")
    assert (status, refused["reason"]) == (401, "Unauthorized")


@pytest.mark.skipif(control_plane.is_there(), reason="a real API server is there, and every test here runs against it")
def test_a_real_api_server_is_there():
    """Shows as skipped when this run had no real API server to compare with."""
    pytest.skip(control_plane.ABSENT)
