"""Wrong values are refused with a message."""

import importlib
import json
from pathlib import Path

import helm_python
import pytest

from taskbell.store import roles

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "taskbell"
URLS = {role.removeprefix("taskbell_"): f"postgresql://{role}:x@db:5432/taskbell" for role in roles.ROLES}

WRONG = {
    "no keys": ({"signingKeys": {"value": ""}}, "the API needs keys to sign with"),
    "keys that are none": ({"signingKeys": {"value": "secret"}}, "signingKeys.value is no JWK Set"),
    "latest": ({"image": {"tag": "latest"}}, "means something else tomorrow"),
    "no address for a role": ({"database": {"mode": "external"}}, "has no address for role owner"),
    "an image without a version": (
        {"image": {"overrides": {"api": "here:5000/api"}}},
        'image.overrides.api "here:5000',
    ),
    "a latest image": ({"image": {"overrides": {"api": "here/api:latest"}}}, "has no tag, or `latest`"),
    "a name that no Service may have": ({"fullnameOverride": "Tasks"}, '"Tasks" cannot begin the names of Services'),
    "labels that select": ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "the labels app.kubernetes.io/name are"),
    "labels that a monitor has": (
        {"monitoring": {"serviceMonitor": {"labels": {"app.kubernetes.io/instance": "x"}}}},
        "the labels app.kubernetes.io/instance are the chart's own",
    ),
    "bundled and external PostgreSQL": (
        {"database": {"external": {"existingSecret": "urls"}}},
        "database.mode is bundled, but database.external names a database",
    ),
    "CloudNativePG and an external URL": (
        {"database": {"mode": "cloudnativepg", "external": {"urls": {"api": URLS["api"]}}}},
        "database.mode is cloudnativepg, but database.external names a database",
    ),
    "bundled and external NATS": (
        {"nats": {"external": {"url": "nats://a:4222"}}},
        "nats.mode is bundled, but nats.external names a server",
    ),
    "an address that is not NATS'": (
        {"nats": {"mode": "external", "external": {"url": "nats://a:4222,http://b:4222"}}},
        "nats.external.url is a list of nats://user:password@host:4222",
    ),
    "a mail server without a scheme": (
        {"delivery": {"smtp": {"url": "mail.example:25"}}},
        "delivery.smtp.url must begin with smtps://",
    ),
    "a host with a scheme": ({"public": {"host": "https://a.example"}}, 'public.host "https://a.example" is no host'),
    "a host with a port": ({"public": {"host": "a.example:8443"}}, "without https:// and without a port"),
    "a variable set twice": (
        {"api": {"env": [{"name": "TASKBELL_NATS_URL", "value": "nats://a:4222"}]}},
        "TASKBELL_NATS_URL is set twice: take it from api.env",
    ),
    "another role's address": (
        {"database": {"mode": "external", "external": {"urls": URLS | {"api": URLS["owner"]}}}},
        "database.external.urls.api must begin with postgresql://taskbell_api:",
    ),
    "replicas of a database that is not used": (
        {"database": {"external": {"replicas": {"urls": ["postgresql://taskbell_api:x@replica.example/taskbell"]}}}},
        "database.external.replicas names replicas",
    ),
    "a Service of several replicas": (
        {"database": {"mode": "cloudnativepg", "cloudnativepg": {"readReplica": True}}},
        "needs database.cloudnativepg.instances 2",
    ),
    "no address of NATS": ({"nats": {"mode": "external"}}, "the external NATS has no address for program api"),
    "no host": ({"ingress": {"enabled": True}}, "needs public.host"),
    "no certificate": ({"ingress": {"enabled": True}, "public": {"host": "a.example"}}, "needs ingress.tlsSecret"),
    "no gateway": (
        {"httpRoute": {"enabled": True}, "public": {"host": "a.example"}},
        "httpRoute.parentRefs names no Gateway",
    ),
    "an operator of no pods": ({"operator": {"replicas": 0}}, "no reminder would fire"),
    "copies on one server": (
        {"relay": {"settings": {"TASKBELL_STREAM_REPLICAS": 3}}},
        "the bundled NATS is one server",
    ),
    "resources that nobody reads": ({"operator": {"enabled": False}}, "without the operator nobody reads WorkerPools"),
    "a pool upside down": ({"delivery": {"pool": {"min": 11}}}, "delivery.pool.min 11 is above max 10"),
    "gateways upside down": (
        {"gateway": {"pool": {"enabled": True, "min": 21}}},
        "gateway.pool.min 21 is above max 20",
    ),
    "a backlog that KEDA cannot read": (
        {
            "delivery": {"pool": {"engine": "KEDA"}},
            "nats": {"mode": "external", "external": {"url": "nats://taskbell:x@nats.example:4222"}},
        },
        "set delivery.pool.keda.natsMonitoring",
    ),
    "two scalers of gateways": (
        {"gateway": {"pool": {"enabled": True}, "autoscaling": {"enabled": True}}},
        "gateway.pool and gateway.autoscaling would both set the number of gateways",
    ),
    "more connections than a gateway accepts": (
        {"gateway": {"pool": {"enabled": True}, "settings": {"TASKBELL_GATEWAY_MAX_CONNECTIONS": 5000}}},
        "gateway.pool.connectionsPerReplica 10000 is above the 5000 connections",
    ),
    "bounds crossed": (
        {"api": {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 3}}},
        "api.autoscaling.minReplicas 9 is above maxReplicas 3",
    ),
}


@pytest.mark.feature("K7")
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_work_is_refused_with_a_sentence(chart, case):
    """Values that fit the schema but cannot work are refused with a message that names the value to set."""
    values, words = WRONG[case]
    with pytest.raises(helm_python.HelmRenderError, match="taskbell: ") as refused:
        chart.render(values)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"api": {"replica": 3}}, "replica"),
        ({"api": {"replicas": "3"}}, "/api/replicas"),
        ({"api": {"replicas": -1}}, "/api/replicas"),
        ({"api": {"settings": {"TASKBELL_MAX_PAGESIZE": 5}}}, "TASKBELL_MAX_PAGESIZE"),
        ({"api": {"settings": {"TASKBELL_DATABASE_URL": "x"}}}, "TASKBELL_DATABASE_URL"),
        ({"database": {"mode": "sqlite"}}, "/database/mode"),
        ({"nats": {"storage": {"size": "much"}}}, "/nats/storage/size"),
        ({"replicaCount": 3}, "replicaCount"),
        ({"api": None}, "api"),
        ({"api": {"autoscaling": None}}, "/api"),
        ({"database": {"external": None}}, "external"),
        ({"image": {"tag": 2}}, "/image/tag"),
        ({"image": {"pullSecrets": ["registry"]}}, "/image/pullSecrets/0"),
        ({"image": {"overrides": {"worker": "x:1"}}}, "worker"),
        ({"nameOverride": "My tasks"}, "/nameOverride"),
        ({"ingress": {"enabled": "yes"}}, "/ingress/enabled"),
        ({"httpRoute": {"parentRefs": [{"gateway": "edge"}]}}, "/httpRoute/parentRefs/0"),
        ({"networkPolicy": {"databasePorts": 5432}}, "/networkPolicy/databasePorts"),
        ({"networkPolicy": {"databaseTo": "10.0.0.0/24"}}, "/networkPolicy/databaseTo"),
        ({"reminders": {"schedule": "often"}}, "/reminders/schedule"),
        ({"reminders": {"shards": 65}}, "/reminders/shards"),
        ({"reminders": {"leads": ["P1D"]}}, "/reminders/leads/0"),
        ({"gateway": {"drainSeconds": "20s"}}, "/gateway/drainSeconds"),
        ({"relay": {"env": {"OTEL_SDK_DISABLED": "true"}}}, "/relay/env"),
        ({"relay": {"env": [{"value": "x"}]}}, "/relay/env/0"),
        ({"database": {"external": {"existingSecrets": {"api": "urls"}}}}, "/database/external/existingSecrets/api"),
        ({"signingKeys": {"existingSecret": "keys"}}, "/signingKeys/existingSecret"),
        ({"delivery": {"smtp": {"existingSecret": "mail"}}}, "/delivery/smtp/existingSecret"),
        ({"monitoring": {"serviceMonitor": {"interval": 15}}}, "/monitoring/serviceMonitor/interval"),
        ({"commonLabels": {"version": 2}}, "/commonLabels/version"),
    ],
)
def test_what_does_not_fit_is_refused_by_place(chart, values, place):
    """Misspelt names, wrong types and unknown settings are refused, and the message names the place."""
    with pytest.raises(helm_python.HelmError) as refused:
        chart.render(values)
    assert place.replace("/", ".").strip(".") in str(refused.value).replace("/", ".")


@pytest.fixture
def source(monkeypatch):
    """The one source of values and schema; it is not part of the installed package."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("docs._generate.chart"), importlib.import_module("docs._generate.chart_values")


def test_values_and_schema_are_generated(source):
    """`values.yaml`, `values.schema.json` and the page match their source."""
    generated, _ = source
    assert (CHART / "values.yaml").read_text() == generated.values()
    assert (CHART / "values.schema.json").read_text() == generated.schema()
    assert (ROOT / "docs" / "reference" / "chart.md").read_text() == generated.text()


def test_defaults_fit_their_own_schema(chart, source):
    """Helm reads the defaults of the source."""
    chart.loaded.validate_schema(chart.loaded.values)
    for value in source[1].everything():
        found = chart.loaded.values
        for name in value.path.split("."):
            found = found[name]
        assert found == value.default, value.path
    assert json.loads((CHART / "values.schema.json").read_text()) == chart.loaded.schema


def test_the_chart_knows_the_roles_of_the_database(source):
    """The values have an address for each role and for no other."""
    assert {f"taskbell_{role}" for role in source[1].ROLES} == set(roles.ROLES)
