"""The chart that was released before programs got one name each (tests/charts/former): same objects, other names."""

import contextlib
import re
from pathlib import Path

import pytest

FORMER = Path(__file__).parent / "former" / "taskbell-0.1.0.tgz"
RENAMED = (
    (r"taskbell\.api\.outbox", "taskbell.relay"),
    (r"taskbell\.api\.db", "taskbell.store"),
    (r"taskbell\.notifier\.delivery", "taskbell.delivery"),
    (r"taskbell\.notifier", "taskbell.gateway"),
    (r"-sweeps\b", "-sweeper"),
    (r"\(namespace\) \(taskbell_delivery_oldest", "(namespace, channel) (taskbell_delivery_oldest"),
    (r"taskbell_reminders_", "taskbell_relay_reminders_"),
)
"""What the former chart called otherwise, wherever it stands."""
ADDED = {"TASKBELL_API_PUBLIC_URL", "TASKBELL_INVITATIONS_NEED_CONFIRMED_EMAIL", "TASKBELL_TRUSTED_PROXIES"}
"""Variables that the chart sets since then."""
SINCE = {
    "TASKBELL_OPERATOR_IMAGE": "the image of the sweeper",
    "TASKBELL_NATS_URL": "the address of NATS, since then of a user of its own",
    "taskbell.dev/reminderschedule": "the pods of sweeps, since then also of schedules that somebody adds",
}
"""Entries that are compared by their names alone."""
LATER = {
    *("loadtest", "pooled", "push-providers", "replicated", "replicated-cloudnativepg", "external-replicas"),
    *("pgbouncer", "external-pgbouncer", "identity-providers"),
}
"""Sets of values that the former chart does not know."""
NEW_KINDS = {"overdue", "stale", "digest"}
"""Kinds of ReminderSchedules that the former chart does not know."""
NEW_ALERTS = {"TaskbellAlertsDead", "TaskbellAlertsRefused", "TaskbellReplicaUnused"}
"""Rules that came since then."""
NEW_PATHS = ("/sse", {"type": "PathPrefix", "value": "/sse"})
"""Paths that came since then, of an Ingress and of a route."""
IGNORED = {
    *("description", "title", "summary", "runbook_url"),
    *("checksum/config", "checksum/secrets", "data", "stringData"),
    *("leads", "engine", "resources", "imageName", "timeouts"),
}
"""Words for people, texts for monitoring, passwords that each rendering makes; what is new; requests for a trial."""


@pytest.fixture
def former(chart):
    """The former chart."""
    found = type(chart)(FORMER)
    with contextlib.closing(found.loaded):
        yield found


def _renamed(text):
    for old, new in RENAMED:
        text = re.sub(old, new, text)
    return text


def _compared(thing):
    """An object as it is compared: with the new names, without words for people."""
    if isinstance(thing, dict):
        fields = {name: value for name, value in thing.items() if name not in IGNORED}
        if found := SINCE.get(fields.get("name") or fields.get("key")):
            return found
        if fields.get("name") == "nats" and "image" in fields:
            fields = {name: value for name, value in fields.items() if name not in {"command", "args", "env", "image"}}
        if fields.get("name") == "postgresql" and "image" in fields:
            del fields["image"]  # a later version
        if fields.get("app.kubernetes.io/component") == "sweeps":
            fields["app.kubernetes.io/component"] = "sweeper"
        return {_renamed(name): _compared(value) for name, value in fields.items()}
    if isinstance(thing, list):
        if thing[:2] == ["env", "--block-signal=TERM"]:  # since then before every command
            thing = thing[2:]
        # ServiceMonitors name the release since then.
        thing = [value for value in thing if not isinstance(value, dict) or value.get("targetLabel") != "release"]
        thing = [value for value in thing if not isinstance(value, dict) or value.get("alert") not in NEW_ALERTS]
        thing = [value for value in thing if not isinstance(value, dict) or value.get("path") not in NEW_PATHS]
        named = (value.get("name") if isinstance(value, dict) else None for value in thing)
        return [_compared(value) for value, name in zip(thing, named, strict=True) if name not in ADDED]
    if isinstance(thing, str):
        # A migrations Job is named after what it does, and that was renamed.
        return re.sub(r"(-migrations-\d+)-[0-9a-f]{5}$", r"\1", _renamed(thing))
    return thing


def _objects(rendered):
    """The objects by kind and name, without what hooks removed and without definitions and roles."""
    found = {}
    for thing in rendered.objects:
        marks = thing["metadata"].get("annotations", {})
        if thing["kind"] in {"CustomResourceDefinition", "Role"} or marks.get("helm.sh/hook") == "pre-delete":
            continue
        if thing["kind"] == "ReminderSchedule" and thing["spec"]["kind"] in NEW_KINDS:
            continue
        if marks.get("helm.sh/hook") == "post-install,post-rollback":  # plain since then
            del thing["metadata"]["annotations"]
        if thing["kind"] == "Secret" and "-nats" in thing["metadata"]["name"]:
            continue  # one for each user since then
        if thing["kind"] == "CustomResourceDefinition":
            continue  # tests/contract compares what they accept
        if thing["kind"] == "ConfigMap" and "-dashboard" in thing["metadata"]["name"]:
            continue  # several since then
        compared = _compared(thing)
        found[thing["kind"], compared["metadata"]["name"]] = compared
    return found


def _known(values):
    """What the former chart knows of these values."""
    external = values.get("nats", {}).get("external", {})
    known = {name: value for name, value in external.items() if name not in {"urls", "existingSecrets"}}
    two = {**values, "operator": {"replicas": 2, **values.get("operator", {})}}  # the default since then
    return {**two, "nats": {**values["nats"], "external": known}} if external else two


def test_it_renders_the_same_objects_under_the_new_names(chart, former, value_sets):
    """For each set of values, every object of the former chart is there, equal but for the names that changed."""
    for name, values in value_sets.items():
        if name in LATER:
            continue
        assert _objects(chart.render(values)) == _objects(former.render(_known(values))), name
