"""The CronJob of a ReminderSchedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from taskbell.contract.reminder_schedules import Environment, ReminderScheduleSpec
from taskbell.operator.specs.identity import fingerprinted, labels, owner_reference, short_name
from taskbell.operator.specs.quantities import canonical

Json = dict[str, Any]

NAME_LIMIT = 52
"""Kubernetes appends 11 characters for each Job and a Pod's name has at most 63."""
_LEAST_DEADLINE = 10
"""Below, the CronJob controller, which looks every 10 s, could miss every start."""
_WRONG_SETTINGS = 2
"""Exit status of a process that refuses its settings or arguments: trying again helps nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSurroundings:
    """What an installation gives to all sweeps: image and where its settings come from."""

    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    service_account: str = ""
    secrets: tuple[str, ...] = ()
    config_maps: tuple[str, ...] = ()


def cron_job_name(schedule_name: str) -> str:
    """The CronJob's name: that of its ReminderSchedule, shortened if need be."""
    return short_name(schedule_name, limit=NAME_LIMIT)


def build_cron_job(owner: Json, spec: ReminderScheduleSpec, around: SweepSurroundings) -> Json:
    """The CronJob as it shall be, for server-side apply."""
    job: Json = {
        "backoffLimit": 3,
        "activeDeadlineSeconds": spec.timeout_seconds,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "sweeper", "operator": "In", "values": [_WRONG_SETTINGS]},
                },
            ]
        },
        "template": {"metadata": {"labels": labels(owner)}, "spec": _pod(spec, around)},
    }
    if spec.shards > 1:
        job |= {"completionMode": "Indexed", "completions": spec.shards, "parallelism": spec.shards}
    return fingerprinted(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {
                "name": cron_job_name(owner["metadata"]["name"]),
                "namespace": owner["metadata"]["namespace"],
                "labels": labels(owner),
                "ownerReferences": [owner_reference(owner)],
            },
            "spec": {
                "schedule": spec.schedule,
                "timeZone": spec.time_zone,
                "suspend": spec.suspend,
                "concurrencyPolicy": spec.concurrency_policy,
                "startingDeadlineSeconds": spec.deadline_seconds if spec.catch_up else _LEAST_DEADLINE,
                "successfulJobsHistoryLimit": spec.history,
                "failedJobsHistoryLimit": spec.history,
                "jobTemplate": {"metadata": {"labels": labels(owner)}, "spec": job},
            },
        }
    )


def _arguments(spec: ReminderScheduleSpec) -> list[str]:
    arguments = ["--kind", spec.kind]
    if spec.kind == "due":
        arguments += ["--until", "+60s"]
    if spec.shards > 1:
        arguments += ["--shard", f"$(JOB_COMPLETION_INDEX)/{spec.shards}"]
    return arguments


def _environment(spec: ReminderScheduleSpec) -> list[Json]:
    settings: dict[str, Json] = {}
    if spec.kind == "due":
        settings["TASKBELL_REMINDER_BATCH_SIZE"] = {"value": str(spec.batch_size)}
    settings |= {variable.name: _value(variable) for variable in spec.pod.env}
    return [{"name": name, **value} for name, value in settings.items()]


def _value(variable: Environment) -> Json:
    if variable.secret_key_ref is None:
        return {"value": variable.value} if variable.value else {}
    return {"valueFrom": {"secretKeyRef": {"name": variable.secret_key_ref.name, "key": variable.secret_key_ref.key}}}


def _pod(spec: ReminderScheduleSpec, around: SweepSurroundings) -> Json:
    """A pod under the restricted Pod Security Standard, with a read-only root and no token of the API server."""
    container: Json = {
        "name": "sweeper",
        "image": around.image,
        "imagePullPolicy": around.pull_policy,
        "command": ["python", "-m", "taskbell.sweeper"],
        "args": _arguments(spec),
        "env": _environment(spec),
        "envFrom": [
            *({"configMapRef": {"name": name}} for name in around.config_maps),
            *({"secretRef": {"name": name}} for name in around.secrets),
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
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 -- the only writable place of the pod
    }
    pod: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }
    if around.service_account:
        pod["serviceAccountName"] = around.service_account
    if around.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in around.pull_secrets]
    if spec.pod.node_selector:
        pod["nodeSelector"] = dict(spec.pod.node_selector)
    if spec.pod.tolerations:
        pod["tolerations"] = [
            {name: value for name, value in toleration.model_dump(by_alias=True).items() if value}
            for toleration in spec.pod.tolerations
        ]
    return pod
