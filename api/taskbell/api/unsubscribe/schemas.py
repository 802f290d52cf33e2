"""What a request to unsubscribe holds."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from taskbell.api.http.body import RequestBody
from taskbell.api.http.query import QueryParameters


class UnsubscribeQuery(QueryParameters):
    """The query of the link."""

    token: UUID
    """From the e-mail. It switches the e-mail of its account off, and grants nothing else."""


class OneClick(RequestBody):
    """The form that mail programs send (RFC 8058, section 3.1)."""

    model_config = ConfigDict(extra="ignore")

    choice: Literal["One-Click"] = Field(alias="List-Unsubscribe")
