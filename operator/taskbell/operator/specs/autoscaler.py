"""The HorizontalPodAutoscaler or ScaledObject of a WorkerPool whose engine is HPA or KEDA."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import orjson

from taskbell.contract.crd_schema import seconds
from taskbell.contract.worker_pools import JetStreamSignal, ScalingRules, Signal, WebSocketSignal, WorkerPoolSpec
from taskbell.operator.specs.cron_job import DECLARED, owner_reference
from taskbell.operator.specs.quantities import canonical

Json = dict[str, Any]

EXTERNAL_METRIC = "taskbell_operator_signal_value"
"""The operator's gauge of each signal: an adapter makes it an external metric."""
_UNLIMITED: Json = {"type": "Pods", "value": 1000, "periodSeconds": 1}
"""No limit on the speed: an empty list of policies is refused, and no list means defaults."""


def build_autoscaler(owner: Json, spec: WorkerPoolSpec) -> Json:
    """The HorizontalPodAutoscaler of a pool, for server-side apply."""
    return _declared(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": _metadata(owner),
            "spec": {
                "scaleTargetRef": _target(spec),
                "minReplicas": spec.replicas.min,
                "maxReplicas": spec.replicas.max,
                "metrics": [_metric(owner, signal) for signal in spec.signals],
                "behavior": _behavior(spec),
            },
        }
    )


def build_scaled_object(owner: Json, spec: WorkerPoolSpec) -> Json:
    """The ScaledObject of a pool, for server-side apply."""
    body: Json = {
        "scaleTargetRef": _target(spec),
        "minReplicaCount": spec.replicas.min,
        "maxReplicaCount": spec.replicas.max,
        "pollingInterval": spec.keda.polling_interval_seconds,
        "cooldownPeriod": seconds(spec.idle.cooldown),
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(spec)}},
        "triggers": [_trigger(owner, spec, signal) for signal in spec.signals],
    }
    errors = spec.on_signal_error
    if errors.mode == "Fallback" and errors.replicas is not None:
        body["fallback"] = {
            "failureThreshold": errors.after_failures,
            "replicas": errors.replicas,
            "behavior": "currentReplicasIfHigher",  # an error makes no pool smaller
        }
    return _declared(
        {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": _metadata(owner), "spec": body}
    )


def usable(signal: WebSocketSignal) -> int:
    """The connections of one pod without its headroom, at least 1."""
    return max(1, math.floor(signal.per_replica * (100 - signal.headroom_percent) / 100))


def _metadata(owner: Json) -> Json:
    return {
        "name": owner["metadata"]["name"],
        "namespace": owner["metadata"]["namespace"],
        "labels": {"app.kubernetes.io/part-of": "taskbell", "app.kubernetes.io/managed-by": "taskbell-operator"},
        "ownerReferences": [owner_reference(owner)],
    }


def _declared(body: Json) -> Json:
    fingerprint = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    return body | {"metadata": body["metadata"] | {"annotations": {DECLARED: fingerprint}}}


def _target(spec: WorkerPoolSpec) -> Json:
    return {"apiVersion": spec.target_ref.api_version, "kind": spec.target_ref.kind, "name": spec.target_ref.name}


def _behavior(spec: WorkerPoolSpec) -> Json:
    return {"scaleUp": _rules(spec.behavior.scale_up), "scaleDown": _rules(spec.behavior.scale_down)}


def _rules(rules: ScalingRules) -> Json:
    policies = [{"type": p.type, "value": p.value, "periodSeconds": p.period_seconds} for p in rules.policies]
    return {
        "stabilizationWindowSeconds": rules.stabilization_window_seconds,
        "selectPolicy": rules.select_policy,
        "policies": policies or [_UNLIMITED],
    }


def _metric(owner: Json, signal: Signal) -> Json:
    if signal.jet_stream is not None:
        labels = {"pool": owner["metadata"]["name"], "signal": signal.name}
        return {
            "type": "External",
            "external": {
                "metric": {"name": EXTERNAL_METRIC, "selector": {"matchLabels": labels}},
                "target": {
                    "type": "AverageValue",
                    "averageValue": canonical(str(signal.jet_stream.backlog_per_replica)),
                },
            },
        }
    sockets = _sockets(signal)
    return {
        "type": "Pods",
        "pods": {
            "metric": {"name": sockets.metric},
            "target": {"type": "AverageValue", "averageValue": canonical(str(usable(sockets)))},
        },
    }


def _trigger(owner: Json, spec: WorkerPoolSpec, signal: Signal) -> Json:
    if signal.jet_stream is not None:
        return {"type": "nats-jetstream", "name": signal.name, "metadata": _jet_stream(spec, signal.jet_stream)}
    sockets = _sockets(signal)
    pods = f'namespace="{owner["metadata"]["namespace"]}",pod=~"{spec.target_ref.name}-[a-z0-9]+-[a-z0-9]+"'
    return {
        "type": "prometheus",
        "name": signal.name,
        "metadata": {
            "serverAddress": spec.keda.prometheus_address or "",
            "query": f"sum({sockets.metric}{{{pods}}})",
            "threshold": str(usable(sockets)),
        },
    }


def _jet_stream(spec: WorkerPoolSpec, signal: JetStreamSignal) -> dict[str, str]:
    return {
        "natsServerMonitoringEndpoint": spec.keda.nats_monitoring_endpoint or "",
        "account": spec.keda.nats_account,
        "stream": signal.stream,
        "consumer": signal.consumer,
        "lagThreshold": str(signal.backlog_per_replica),
        "activationLagThreshold": str(signal.activation),
        "useHttps": "true" if spec.keda.nats_https else "false",
    }


def _sockets(signal: Signal) -> WebSocketSignal:
    """The signal of connections; the API server admits only signals of one of the two kinds."""
    return signal.web_socket or WebSocketSignal()
