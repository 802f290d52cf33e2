"""Settings of the operator."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from taskbell.kit.settings import Settings

Names = Annotated[tuple[str, ...], NoDecode]


class OperatorSettings(Settings):
    """Environment variables of the operator, prefix `TASKBELL_`."""

    operator_namespace: str = Field(default="default", min_length=1, max_length=63)
    """Where the operator itself runs: its Lease is there."""
    operator_watch_namespaces: Names = ()
    """Namespaces whose objects are kept, separated by commas. Empty: all, which needs a ClusterRole."""
    operator_identity: str = Field(default="", max_length=200)
    """Name of this process in the Lease and in events. Empty: the host's, which is the pod's."""
    operator_image: str = Field(min_length=1)
    """Image of the sweeper."""
    operator_image_pull_policy: str = Field(default="IfNotPresent", pattern="^(Always|IfNotPresent|Never)$")
    """When nodes fetch that image."""
    operator_image_pull_secrets: Names = ()
    """Secrets with which they may, separated by commas."""
    operator_job_service_account: str = ""
    """Service account of the sweeps. Empty: the namespace's default; its token is not mounted in any case."""
    operator_job_secrets: Names = ()
    """Secrets whose entries are the sweeps' environment, separated by commas: there is the database's address."""
    operator_job_config_maps: Names = ()
    """ConfigMaps, the same."""
    nats_url: SecretStr | None = None
    """NATS with JetStream for signals that name no `connectionSecretRef`."""
    operator_scale_interval: timedelta = Field(default=timedelta(seconds=15), ge=timedelta(seconds=1))
    """How often a WorkerPool's signals are read and its size decided."""
    operator_resync: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(seconds=10))
    """How often every object is looked at even if nothing is heard of it; jittered by a tenth."""
    operator_workers: int = Field(default=4, ge=1, le=64)
    """Objects of a kind that are looked at at once; one object never twice."""
    operator_lease_duration: timedelta = Field(default=timedelta(seconds=15), ge=timedelta(seconds=3))
    """A leader that could not renew its Lease for so long is replaced, and stops by itself before."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """Least severity that is logged."""

    @field_validator(
        "operator_watch_namespaces",
        "operator_image_pull_secrets",
        "operator_job_secrets",
        "operator_job_config_maps",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
