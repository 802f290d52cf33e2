import json

import kubernetes_validate
import pytest

from kubernetes_emulator.schema import completed, faults
from taskbell.contract import crds
from taskbell.contract.crd_schema import seconds
from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.contract.worker_pools import WorkerPoolSpec

MANIFESTS = {manifest["spec"]["names"]["kind"]: manifest for manifest in crds.manifests()}


def _schema(kind):
    return MANIFESTS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def _nodes(schema, path=""):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _nodes(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _nodes(schema[word], f"{path}[]")


@pytest.mark.parametrize("kind", MANIFESTS)
@pytest.mark.parametrize("version", ["1.30", "1.36"])
def test_definitions_are_valid(kind, version):
    """Kubernetes' own schema takes them, unknown words included."""
    kubernetes_validate.validate(MANIFESTS[kind], version, strict=True)


@pytest.mark.parametrize("kind", MANIFESTS)
def test_everything_is_bounded(kind):
    """Every string, list, map and number of a spec or status has an upper bound: unbounded ones make CEL too dear."""
    words = {"string": ("maxLength", "enum"), "array": ("maxItems",), "integer": ("maximum",)}
    unbounded = []
    for part in ("spec", "status"):
        for path, node in _nodes(_schema(kind)["properties"][part], part):
            type_ = "string" if node.get("x-kubernetes-int-or-string") else node["type"]
            wanted = words.get(type_, ())
            if "additionalProperties" in node:
                wanted = ("maxProperties",)
            if type_ == "integer" and part == "status":
                wanted = ()
            if wanted and not any(word in node for word in wanted):
                unbounded.append(path)
    assert unbounded == []


@pytest.mark.parametrize("kind", MANIFESTS)
def test_every_field_is_described(kind):
    """Each property has a description in its own words, and one of a spec tells its default and its limits, too."""
    described = {path: node.get("description") for path, node in _nodes(_schema(kind)) if not path.endswith("[]")}
    assert [path for path, words in described.items() if not words] == [".metadata"]  # the API server describes that
    told = {}
    for path, node in _nodes(_schema(kind)["properties"]["spec"]):
        if "default" in node and "properties" not in node:
            assert "Default: " in node["description"], path
        if "maximum" in node:
            assert f"From {node['minimum']} to {node['maximum']}." in node["description"], path
        if not path.endswith("[]"):
            told[path] = node["description"]
    bare = [path for path, words in told.items() if words.startswith(("Default:", "From ", "At most "))]
    assert bare == []
    units = ("second", "percent", "such as `90s` or `5m`")
    timed = [path for path in told if path.endswith(("Seconds", "Percent", "cooldown", "drainTarget"))]
    assert [path for path in timed if not any(unit in told[path].lower() for unit in units)] == []


@pytest.mark.parametrize("kind", MANIFESTS)
def test_schemas_are_structural(kind):
    """No references, no alternatives, no fields that only JSON Schema knows, and a rule's words are all there."""
    text = json.dumps(MANIFESTS[kind])
    for word in ('"$ref"', '"anyOf"', '"$defs"', '"const"', '"propertyNames"', '"title"'):
        assert word not in text
    for path, node in _nodes(_schema(kind)):
        for rule in node.get("x-kubernetes-validations", []):
            assert rule["rule"], path
            assert rule["message"], path


def test_the_promised_interface():
    """Short names, status and scale subresources, condition lists as maps, and columns are as promised."""
    assert {kind: m["spec"]["names"]["shortNames"] for kind, m in MANIFESTS.items()} == {
        "ReminderSchedule": ["rem"],
        "WorkerPool": ["wpool"],
    }
    for kind, manifest in MANIFESTS.items():
        (version,) = manifest["spec"]["versions"]
        assert "status" in version["subresources"]
        conditions = _schema(kind)["properties"]["status"]["properties"]["conditions"]
        assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])
        columns = {column["name"] for column in version["additionalPrinterColumns"]}
        assert {"Ready", "Reason", "Age"} <= columns
    scale = MANIFESTS["WorkerPool"]["spec"]["versions"][0]["subresources"]["scale"]
    assert scale["specReplicasPath"] == ".spec.replicas.manual"


@pytest.mark.parametrize(
    ("kind", "model", "spec"),
    [
        ("ReminderSchedule", ReminderScheduleSpec, {"kind": "due", "schedule": "* * * * *"}),
        (
            "WorkerPool",
            WorkerPoolSpec,
            {
                "targetRef": {"name": "delivery"},
                "replicas": {"max": 10},
                "signals": [{"name": "backlog", "jetStream": {"stream": "S", "consumer": "c"}}],
            },
        ),
    ],
)
def test_schema_and_model_fill_in_the_same(kind, model, spec):
    """What the API server completes and what the operator reads without it are one and the same spec."""
    schema = _schema(kind)["properties"]["spec"]
    filled = completed(schema, spec)
    assert [*faults(schema, filled)] == []
    assert model.model_validate(filled) == model.model_validate(spec)
    assert filled == model.model_validate(spec).model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ReminderSchedule", {"kind": "due", "schedule": "every minute"}),
        ("ReminderSchedule", {"kind": "due", "schedule": "* * * * *", "deadlineSeconds": 9}),
        ("ReminderSchedule", {"kind": "no", "schedule": "* * * * *"}),
        ("ReminderSchedule", {"kind": "due"}),
        ("ReminderSchedule", {"kind": "due", "schedule": "* * * * *", "shards": 65}),
        ("ReminderSchedule", {"kind": "due", "schedule": "* * * * *", "leads": ["1d"]}),
        ("ReminderSchedule", {"kind": "due", "schedule": "* * * * *", "leads": [""]}),
        ("ReminderSchedule", {"kind": "due", "schedule": "* * * * *", "leads": [f"{n}h" for n in range(11)]}),
        ("WorkerPool", {"targetRef": {"name": "x"}, "replicas": {"max": 0}}),
        ("WorkerPool", {"targetRef": {"name": "X"}, "replicas": {"max": 1}}),
    ],
)
def test_wrong_specs_are_refused(kind, spec):
    """The schema refuses what the operator could not keep."""
    schema = _schema(kind)["properties"]["spec"]
    assert [*faults(schema, completed(schema, spec))]


def test_durations():
    """Kubernetes' spans of time in seconds."""
    assert [seconds(text) for text in ("90s", "5m", "1h30m", "0s")] == [90, 300, 5400, 0]
