"""The CronJob of a ReminderSchedule."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from taskbell.contract.crds import API_VERSION, GROUP
from taskbell.contract.reminder_schedules import STAYING, Environment, ReminderScheduleSpec
from taskbell.operator.specs.quantities import canonical

Json = dict[str, Any]

MANAGER = "taskbell-operator"
"""Name under which the API server records what the operator applies."""
DECLARED = f"{GROUP}/declared"
"""Annotation with a fingerprint of the declaration, so that the removal of a declared field is noticed."""
_NAME_LIMIT = 52
"""Kubernetes appends 11 characters to the name of each Job, and the name of a Pod has at most 63."""
_LEAST_DEADLINE = 10
"""The CronJob controller looks every 10 s: with a shorter deadline it can miss every start."""
_WRONG_SETTINGS = 2
"""Exit status of a process that refuses its settings or arguments: a retry does not help."""


SWEEPER = "sweeper"
"""Name of the container of a sweep."""
_REPORT = "/dev/termination-log"
"""Where a sweep writes what it did: the kubelet puts it into the status of the pod, up to 4 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDefaults:
    """What an installation gives to all sweeps: the image, and the sources of its settings."""

    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    service_account: str = ""
    secrets: tuple[str, ...] = ()
    config_maps: tuple[str, ...] = ()


def is_owned(body: Json, owner: Json) -> bool:
    """Whether an object belongs to this custom resource, and not to an earlier one of its name."""
    uid = owner["metadata"]["uid"]
    return any(reference.get("uid") == uid for reference in body["metadata"].get("ownerReferences", []))


def pods_of(owner: Json) -> str:
    """The label selector of the pods of a custom resource's sweeps."""
    return ",".join(f"{name}={value}" for name, value in _owner_label(owner).items())


def is_left_behind(body: Json, owner: Json) -> bool:
    """Whether an object is the operator's own for a custom resource of this name, and nobody controls it any more.

    So is one whose ownerReferences somebody removed, and one that stayed when its owner was deleted with
    `--cascade=orphan`. Both its mark and its label, or the API server's record of who applied it, must say so.
    """
    metadata = body["metadata"]
    if any(reference.get("controller") for reference in metadata.get("ownerReferences", ())):
        return False
    marked = DECLARED in metadata.get("annotations", {})
    labelled = _owner_label(owner).items() <= metadata.get("labels", {}).items()
    applied = any(
        entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
        for entry in metadata.get("managedFields", ())
    )
    return applied or (marked and labelled)


def owner_in_words(body: Json) -> str:
    """Whom an object belongs to."""
    for reference in body["metadata"].get("ownerReferences", ()):
        if reference.get("controller"):
            return f"{reference['kind']} {reference['name']} (uid {reference['uid']})"
    return "somebody else"


def cron_job_name(schedule: str) -> str:
    """The name of the CronJob of a ReminderSchedule of this name."""
    return _short_name(schedule, limit=_NAME_LIMIT)


def build_cron_job(owner: Json, spec: ReminderScheduleSpec, defaults: SweepDefaults) -> Json:
    """The CronJob of a ReminderSchedule, for server-side apply."""
    labels = {
        "app.kubernetes.io/part-of": "taskbell",
        "app.kubernetes.io/managed-by": "taskbell-operator",
        **_owner_label(owner),
    }
    job: Json = {
        "backoffLimit": 3,
        "activeDeadlineSeconds": spec.timeout_seconds,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": SWEEPER, "operator": "In", "values": [_WRONG_SETTINGS]},
                },
            ]
        },
        "template": {"metadata": {"labels": labels}, "spec": _pod(spec, defaults)},
    }
    if spec.shards > 1:
        job |= {"completionMode": "Indexed", "completions": spec.shards, "parallelism": spec.shards}
    metadata: Json = {
        "name": cron_job_name(owner["metadata"]["name"]),
        "namespace": owner["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [owner_reference(owner)],
    }
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata,
        "spec": {
            "schedule": spec.schedule,
            "timeZone": spec.time_zone,
            "suspend": spec.suspend,
            "concurrencyPolicy": spec.concurrency_policy,
            "startingDeadlineSeconds": spec.deadline_seconds if spec.catch_up else _LEAST_DEADLINE,
            "successfulJobsHistoryLimit": spec.history,
            "failedJobsHistoryLimit": spec.history,
            "jobTemplate": {"metadata": {"labels": labels}, "spec": job},
        },
    }
    fingerprint = hashlib.sha256(orjson.dumps(cron_job, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    return cron_job | {"metadata": metadata | {"annotations": {DECLARED: fingerprint}}}


def _owner_label(owner: Json) -> dict[str, str]:
    return {f"{GROUP}/{owner['kind'].lower()}": _short_name(owner["metadata"]["name"], limit=63)}


def _short_name(name: str, *, limit: int) -> str:
    """A name of at most `limit` characters: itself, or its beginning and a hash."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9].rstrip('-.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def owner_reference(owner: Json) -> Json:
    """The reference by which Kubernetes deletes an object together with its owner."""
    return {
        "apiVersion": API_VERSION,
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _arguments(spec: ReminderScheduleSpec) -> list[str]:
    arguments = ["--kind", spec.kind]
    if spec.kind in STAYING:
        arguments += ["--until", "+60s", "--report", _REPORT]
    if spec.shards > 1:
        arguments += ["--shard", f"$(JOB_COMPLETION_INDEX)/{spec.shards}"]
    for lead in spec.leads:
        arguments += ["--lead", lead]
    return arguments


def _environment(spec: ReminderScheduleSpec) -> list[Json]:
    settings: dict[str, Json] = {}
    if spec.kind != "maintenance":
        settings["TASKBELL_REMINDER_BATCH_SIZE"] = {"value": str(spec.batch_size)}
    settings |= {variable.name: _value(variable) for variable in spec.pod.env}
    return [{"name": name, **value} for name, value in settings.items()]


def _value(variable: Environment) -> Json:
    if variable.secret_key_ref is None:
        return {"value": variable.value} if variable.value else {}
    return {"valueFrom": {"secretKeyRef": {"name": variable.secret_key_ref.name, "key": variable.secret_key_ref.key}}}


def _pod(spec: ReminderScheduleSpec, defaults: SweepDefaults) -> Json:
    """A pod by the restricted Pod Security Standard, with a read-only root and without a token for the API server."""
    container: Json = {
        "name": SWEEPER,
        "image": defaults.image,
        "imagePullPolicy": defaults.pull_policy,
        "command": ["env", "--block-signal=TERM", "python", "-m", "taskbell.sweeper"],
        "args": _arguments(spec),
        "env": _environment(spec),
        "envFrom": [
            *({"configMapRef": {"name": name}} for name in defaults.config_maps),
            *({"secretRef": {"name": name}} for name in defaults.secrets),
        ],
        "resources": {
            name: {resource: canonical(quantity) for resource, quantity in quantities.items()}
            for name, quantities in spec.pod.resources.model_dump(mode="json").items()
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 -- the only writable folder of the pod
    }
    pod: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }
    if defaults.service_account:
        pod["serviceAccountName"] = defaults.service_account
    if defaults.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in defaults.pull_secrets]
    if spec.pod.node_selector:
        pod["nodeSelector"] = dict(spec.pod.node_selector)
    if spec.pod.tolerations:
        pod["tolerations"] = [
            {name: value for name, value in toleration.model_dump(by_alias=True).items() if value}
            for toleration in spec.pod.tolerations
        ]
    return pod
