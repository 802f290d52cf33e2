"""WorkerPools with the engines HPA and KEDA: what is rendered, kept, reported and removed."""

import contextlib
from datetime import UTC, datetime

import kubernetes_validate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernetes_emulator.proxy import Fault
from taskbell.contract.worker_pools import WorkerPoolSpec
from taskbell.operator.cluster import ClusterRefused
from taskbell.operator.plan.autoscaler import describe_delegated, reported
from taskbell.operator.plan.need import Pace, Reading
from taskbell.operator.specs.autoscaler import EXTERNAL_METRIC, build_autoscaler, build_scaled_object

SCALING, KEDA = "autoscaling/v2", "keda.sh/v1alpha1"
OWNER = {"apiVersion": "taskbell.dev/v1alpha1", "kind": "WorkerPool"} | {
    "metadata": {"name": "delivery", "namespace": "n", "uid": "u"}
}
BACKLOG = {"name": "b", "jetStream": {"stream": "S", "consumer": "c", "backlogPerReplica": 2000, "activation": 7}}
SOCKETS = {"name": "s", "webSocket": {"perReplica": 1000, "headroomPercent": 25}}
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
ENDPOINTS = {"natsMonitoringEndpoint": "nats:8222", "natsAccount": "taskbell", "prometheusAddress": "http://prom:9090"}


def pool(**spec):
    """A pool with both kinds of signals."""
    given_ = {"targetRef": {"name": "delivery"}, "replicas": {"min": 1, "max": 9}, "signals": [BACKLOG, SOCKETS]}
    return WorkerPoolSpec.model_validate(given_ | {"keda": ENDPOINTS} | spec)


POLICIES = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Pods", "Percent"]),
            "value": st.integers(1, 1000),
            "periodSeconds": st.integers(1, 1800),
        }
    ),
    max_size=8,
)
DIRECTION = st.fixed_dictionaries(
    {},
    optional={
        "policies": POLICIES,
        "selectPolicy": st.sampled_from(["Max", "Min", "Disabled"]),
        "stabilizationWindowSeconds": st.integers(0, 3600),
    },
)


@settings(deadline=None, max_examples=50)
@given(DIRECTION, DIRECTION, st.integers(1, 500), st.integers(0, 500), st.integers(1, 10_000_000), st.integers(0, 90))
def test_an_autoscaler_is_valid_and_has_the_pools_numbers(up, down, least, more, backlog, headroom):
    """Bounds, behavior and targets are the pool's; never is a direction without policies, which Kubernetes refuses."""
    signals = [
        {"name": "b", "jetStream": {"stream": "S", "consumer": "c", "backlogPerReplica": backlog}},
        {"name": "s", "webSocket": {"perReplica": 1000, "headroomPercent": headroom}},
    ]
    behavior = {"scaleUp": up, "scaleDown": down}
    spec = pool(replicas={"min": least, "max": least + more}, signals=signals, behavior=behavior)
    body = build_autoscaler(OWNER, spec)
    kubernetes_validate.validate(body, "1.34", strict=True)
    assert (body["spec"]["minReplicas"], body["spec"]["maxReplicas"]) == (least, least + more)
    for direction, rules in (("scaleUp", up), ("scaleDown", down)):
        rendered = body["spec"]["behavior"][direction]
        assert rendered["policies"]
        if rules.get("policies"):
            assert rendered["policies"] == rules["policies"]
        if "selectPolicy" in rules:
            assert rendered["selectPolicy"] == rules["selectPolicy"]
    assert (
        build_scaled_object(OWNER, spec)["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        == (body["spec"]["behavior"])
    )


def test_signals_become_metrics():
    """A backlog is the operator's own gauge of it, by pool and signal; connections are the pods' gauge."""
    backlog, sockets = build_autoscaler(OWNER, pool())["spec"]["metrics"]
    assert backlog["external"] == {
        "metric": {"name": EXTERNAL_METRIC, "selector": {"matchLabels": {"pool": "delivery", "signal": "b"}}},
        "target": {"type": "AverageValue", "averageValue": "2k"},
    }
    assert sockets["pods"] == {
        "metric": {"name": "taskbell_gateway_connections"},
        "target": {"type": "AverageValue", "averageValue": "750"},
    }


def test_signals_become_triggers():
    """KEDA asks the monitoring server of NATS, and Prometheus; all values are text, as KEDA demands."""
    spec = pool(idle={"cooldown": "2m"}, onSignalError={"mode": "Fallback", "replicas": 4, "afterFailures": 5})
    body = build_scaled_object(OWNER, spec)["spec"]
    jet_stream, prometheus = body["triggers"]
    assert (jet_stream["type"], jet_stream["metadata"]) == (
        "nats-jetstream",
        {
            "natsServerMonitoringEndpoint": "nats:8222",
            "account": "taskbell",
            "stream": "S",
            "consumer": "c",
            "lagThreshold": "2000",
            "activationLagThreshold": "7",
            "useHttps": "false",
        },
    )
    assert (prometheus["type"], prometheus["metadata"]["serverAddress"]) == ("prometheus", "http://prom:9090")
    assert prometheus["metadata"]["threshold"] == "750"
    pods = 'namespace="n",pod=~"delivery-[a-z0-9]+-[a-z0-9]+"'
    assert prometheus["metadata"]["query"] == f"sum(taskbell_gateway_connections{{{pods}}})"
    assert (body["cooldownPeriod"], body["pollingInterval"]) == (120, 15)
    assert body["fallback"] == {"failureThreshold": 5, "replicas": 4, "behavior": "currentReplicasIfHigher"}
    assert "fallback" not in build_scaled_object(OWNER, pool())["spec"]


def said(kind="HorizontalPodAutoscaler", **conditions):
    """An object whose conditions are (status, reason)."""
    listed = [{"type": t, "status": s, "reason": r, "message": f"about {r}"} for t, (s, r) in conditions.items()]
    return {"kind": kind, "metadata": {"name": "delivery"}, "status": {"conditions": listed, "desiredReplicas": 3}}


@pytest.mark.parametrize(
    ("body", "autoscaler", "problem", "limited_by"),
    [
        (said(), said(), "AutoscalerNotSeen", ""),
        (said(), said(ScalingActive=("True", "ValidMetricFound")), None, ""),
        (said(), said(ScalingActive=("False", "FailedGetExternalMetric")), "FailedGetExternalMetric", ""),
        (said(), said(ScalingActive=("False", "ScalingDisabled")), None, ""),
        (said(), said(AbleToScale=("False", "FailedGetScale")), "FailedGetScale", ""),
        (said(), said(ScalingLimited=("True", "TooManyReplicas")), None, "Bounds"),
        (said(), said(AbleToScale=("True", "ScaleDownStabilized")), None, "Stabilization"),
        (said("ScaledObject"), None, "AutoscalerNotSeen", ""),
        (said("ScaledObject", Ready=("False", "ScaledObjectCheckFailed")), None, "ScalerNotReady", ""),
        (said("ScaledObject", Ready=("True", "x"), Fallback=("True", "x")), None, "SignalUnreadable", ""),
        (said("ScaledObject", Ready=("True", "x")), said(ScalingActive=("True", "x")), None, ""),
    ],
)
def test_what_an_autoscaler_says_is_reported(body, autoscaler, problem, limited_by):
    """The first thing that keeps it from working, in its own words, and what limits it, in the words of a pool."""
    found = reported(body, autoscaler)
    assert (found.problem[0] if found.problem else None, found.limited_by) == (problem, limited_by)


def test_what_the_operator_cannot_read_explains_what_the_autoscaler_lacks():
    """A metric that is missing because its signal cannot be read is told together with the signal's error."""
    owner = {"metadata": {"name": "delivery", "generation": 1}}
    scale = {"spec": {"replicas": 3}, "status": {"replicas": 3}}
    readings = [Reading(name="b", error="there is no consumer c")]

    def degraded(**conditions):
        status = describe_delegated(
            owner, scale, reported(said(), said(**conditions)), readings, applied=False, now=NOW
        )
        found = next(one for one in status["conditions"] if one["type"] == "Degraded")
        return found["status"], found["reason"], found["message"]

    why = "about FailedGetExternalMetric; the operator reads b: there is no consumer c"
    assert degraded(ScalingActive=("False", "FailedGetExternalMetric")) == ("True", "FailedGetExternalMetric", why)
    assert degraded(ScalingActive=("True", "x")) == ("True", "SignalUnreadable", "b: there is no consumer c")


class OneReading:
    """Signals that always say the same."""

    async def read(self, _spec, _scale, _paces):
        """One reading."""
        return [Reading(name="backlog", value=500, needed=5.0, wakes=True, pace=Pace())]


@pytest.fixture
async def place(pools, still_clock):
    """A Deployment of 2 pods."""
    place = pools(OneReading())
    await place.deploy(replicas=2)
    return place


@pytest.fixture
def autoscaler_path(kubectl):
    """The path of the pool's autoscaler."""
    return kubectl.at("horizontalpodautoscalers", "delivery", group=SCALING)


async def switch(place, engine):
    """Change the engine of the pool, and make a pass."""
    await place.kubectl.must_merge(place.kubectl.at("workerpools", "delivery"), {"spec": {"engine": engine}})
    return await place.look()


@pytest.mark.feature("K6")
async def test_an_autoscaler_is_kept_and_the_size_left_alone(place, kubectl, autoscaler_path, events):
    """Engine HPA: the autoscaler is made, corrected when somebody changes it, and nothing else sets the size."""
    await place.make(engine="HPA", replicas={"min": 2, "max": 8})
    assert await place.look() == 2, "5 are asked for, but the operator leaves that to the autoscaler"
    body = await kubectl.must("GET", autoscaler_path)
    assert (body["spec"]["scaleTargetRef"]["name"], body["spec"]["maxReplicas"]) == ("delivery", 8)
    assert body["metadata"]["ownerReferences"][0]["kind"] == "WorkerPool"
    assert await place.condition("Ready") == ("False", "AutoscalerNotSeen")
    conditions = [{"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": ""}]
    conditions[0]["lastTransitionTime"] = "2026-11-21T10:00:00Z"
    status = {"desiredReplicas": 5, "currentReplicas": 2, "conditions": conditions}
    await kubectl.must_merge(f"{autoscaler_path}/status", {"status": status})
    await kubectl.must_merge(autoscaler_path, {"spec": {"maxReplicas": 50}})
    assert await place.look() == 2
    assert (await kubectl.must("GET", autoscaler_path))["spec"]["maxReplicas"] == 8
    status = await place.status()
    assert (status["desiredReplicas"], status["replicas"], status["signals"][0]["value"]) == (5, 2, 500)
    assert await place.condition("Ready") == ("True", "AutoscalerKept")
    reasons = [event["reason"] for event in await events()]
    assert reasons.count("AutoscalerCreated") == reasons.count("DriftCorrected") == 1


async def test_an_autoscaler_at_rest_is_not_written(place, proxy):
    """Passes without a change write nothing: the API server's form of the declaration is no drift."""
    await place.make(engine="HPA", backlog_per_replica=1000)
    for _ in range(3):
        await place.look()
    proxy.calls.clear()
    for _ in range(4):
        await place.look()
    assert proxy.writes() == []


async def test_an_engine_that_changes_leaves_nothing_behind(place, kubectl, autoscaler_path, being_deleted):
    """Back to Native the autoscaler is deleted first; while a finalizer keeps it, nobody sets the size."""
    await place.make(engine="HPA")
    await place.look()
    async with being_deleted(autoscaler_path):
        assert await switch(place, "Native") == 2
        assert await place.condition("Ready") == ("False", "EngineChanges")
        assert await place.condition("Degraded") == ("False", "EngineChanges")
    assert await place.look() == 5
    assert await kubectl.get(autoscaler_path) is None
    assert await place.condition("Ready") == ("True", "SizeKept")


async def test_an_autoscaler_of_somebody_else_is_not_touched(place, kubectl, autoscaler_path):
    """If the pool's name is taken by an autoscaler of another target, it stays as it is, and the condition says so."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "another"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3}
    path = kubectl.at("horizontalpodautoscalers", group=SCALING)
    await place.add(path, "HorizontalPodAutoscaler", "delivery", apiVersion=SCALING, spec=spec)
    await place.make(engine="HPA")
    await place.look()
    assert await place.condition("Ready") == ("False", "NameTaken")
    assert (await kubectl.must("GET", autoscaler_path))["spec"]["maxReplicas"] == 3


async def test_a_refused_autoscaler_is_reported(place, proxy):
    """What the API server refuses is a condition with its reason, and is tried again."""
    proxy.faults.append(Fault(method="PATCH", path_ends="/horizontalpodautoscalers/delivery", status=403, times=2))
    await place.make(engine="HPA")
    await place.look()
    assert await place.condition("Degraded") == ("True", "AutoscalerRefused")
    proxy.calls.clear()
    await place.look()
    assert proxy.writes(path_part="/status") == [], "a message that differs each time would wake the watch"
    await place.look()
    assert await place.condition("Degraded") == ("False", "AutoscalerNotSeen")


@pytest.fixture
async def keda(kubectl):
    """Install the definition of ScaledObjects when a test asks for it; afterwards it is gone."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    names = {"kind": "ScaledObject", "listKind": "ScaledObjectList", "plural": "scaledobjects"}
    spec = {
        "group": "keda.sh",
        "scope": "Namespaced",
        "names": names | {"singular": "scaledobject"},
        "versions": [version],
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}

    async def install():
        await kubectl.must("POST", path, body | {"metadata": {"name": "scaledobjects.keda.sh"}})

    yield install
    await kubectl.send("DELETE", f"{path}/scaledobjects.keda.sh")


@pytest.mark.feature("K6")
async def test_keda_is_waited_for_and_then_scales(place, kubectl, keda):
    """Without KEDA the pool says so; once its definition is there the ScaledObject is kept, reported, and removed."""
    await place.make(engine="KEDA", keda=ENDPOINTS)
    assert await place.look() == 2
    assert await place.condition("Degraded") == ("True", "KedaMissing")
    await keda()
    path = kubectl.at("scaledobjects", "delivery", group=KEDA)
    for _ in range(200):  # a new definition is served after a moment
        with contextlib.suppress(ClusterRefused):
            await place.look()
        if await place.condition("Ready") == ("False", "AutoscalerNotSeen"):
            break
    body = await kubectl.must("GET", path)
    assert body["spec"]["triggers"][0]["metadata"]["natsServerMonitoringEndpoint"] == "nats:8222"
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    await kubectl.must_merge(f"{path}/status", {"status": status})
    await kubectl.must_merge(path, {"spec": {"maxReplicaCount": 99}})
    assert await place.look() == 2
    assert (await kubectl.must("GET", path))["spec"]["maxReplicaCount"] == 30
    reference = {"apiVersion": KEDA, "kind": "ScaledObject", "name": "delivery", "uid": body["metadata"]["uid"]}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "delivery"}
    made = {"apiVersion": SCALING, "kind": "HorizontalPodAutoscaler"}
    metadata = {"name": "keda-hpa-delivery", "ownerReferences": [reference]}
    made |= {"metadata": metadata, "spec": {"scaleTargetRef": target, "maxReplicas": 30}}
    await kubectl.must("POST", kubectl.at("horizontalpodautoscalers", group=SCALING), made)
    conditions = [{"type": "ScalingActive", "status": "True", "reason": "x", "message": ""}]
    conditions[0]["lastTransitionTime"] = "2026-11-21T10:00:00Z"
    by_keda = kubectl.at("horizontalpodautoscalers", "keda-hpa-delivery", group=SCALING)
    status = {"desiredReplicas": 7, "currentReplicas": 2, "conditions": conditions}
    await kubectl.must_merge(f"{by_keda}/status", {"status": status})
    assert await place.look() == 2
    assert await place.condition("Ready") == ("True", "AutoscalerKept")
    assert (await place.status())["desiredReplicas"] == 7
    assert await switch(place, "Native") == 2
    assert await kubectl.get(path) is None
    assert await place.condition("Ready") == ("False", "EngineChanges"), "what KEDA made is still there"
    await kubectl.send("DELETE", by_keda)
    assert await place.look() == 5


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"engine": "HPA", "signals": []}, "engines HPA and KEDA need at least one signal"),
        ({"engine": "HPA", "replicas": {"min": 0, "max": 3}}, "replicas.min must be at least 1"),
        ({"engine": "KEDA"}, "needs keda.natsMonitoringEndpoint"),
        ({"engine": "KEDA", "signals": [SOCKETS]}, "needs keda.prometheusAddress"),
        (
            {"engine": "KEDA", "signals": [SOCKETS], "keda": ENDPOINTS, "replicas": {"min": 0, "max": 3}},
            "min 0 needs a jetStream signal",
        ),
    ],
)
async def test_an_engine_without_what_it_needs_is_refused(kubectl, spec, words):
    """The API server refuses a pool that its engine could not scale, and says what is missing."""
    given_ = {"targetRef": {"name": "x"}, "replicas": {"max": 3}, "signals": [BACKLOG]} | spec
    body = {"apiVersion": "taskbell.dev/v1alpha1", "kind": "WorkerPool", "metadata": {"name": "p"}, "spec": given_}
    status, answer = await kubectl.send("POST", kubectl.at("workerpools"), body)
    assert status == 422
    assert words in answer["message"]
