"""Settings of the operator."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from taskbell.kit.settings import ProgramSettings

Names = Annotated[tuple[str, ...], NoDecode]


class OperatorSettings(ProgramSettings):
    """Environment variables of the operator, prefix `TASKBELL_`."""

    operator_namespace: str = Field(default="default", min_length=1, max_length=63)
    """Namespace of the operator itself and of its Lease."""
    operator_watch_namespaces: Names = ()
    """Namespaces to watch, separated by commas. Empty: all, which needs a ClusterRole."""
    operator_identity: str = Field(default="", max_length=200)
    """Name of this process in the Lease and in events. Empty: the host name, which is the name of the pod."""
    operator_image: str = Field(min_length=1)
    """Image of the sweeper."""
    operator_image_pull_policy: str = Field(default="IfNotPresent", pattern="^(Always|IfNotPresent|Never)$")
    """When nodes pull the image of the sweeper."""
    operator_image_pull_secrets: Names = ()
    """Secrets for pulling the image of the sweeper, separated by commas."""
    operator_job_service_account: str = ""
    """Service account of the sweeps. Empty: the default of the namespace. Its token is never mounted."""
    operator_job_secrets: Names = ()
    """Secrets with environment variables of the sweeps, such as the address of the database, separated by commas."""
    operator_job_config_maps: Names = ()
    """ConfigMaps with environment variables of the sweeps, separated by commas."""
    nats_url: SecretStr | None = None
    """Address of NATS for signals without a `connectionSecretRef`."""
    operator_scale_interval: timedelta = Field(default=timedelta(seconds=15), ge=timedelta(seconds=1))
    """Time between two decisions on the size of a WorkerPool."""
    operator_resync: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(seconds=10))
    """Time after which an object without changes is looked at again, with a jitter of 10 %."""
    operator_workers: int = Field(default=4, ge=1, le=64)
    """How many objects of one kind are looked at at the same time."""
    operator_lease_duration: timedelta = Field(default=timedelta(seconds=10), ge=timedelta(seconds=3))
    """Time without a renewal after which another process takes the Lease; the leader stops after two thirds of it. The
    other looks often enough to take it at most 1.3 times this long after the last renewal, and one request."""

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
