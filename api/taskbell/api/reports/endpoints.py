"""`/v1/reports`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from taskbell.api.deps import Actor, service
from taskbell.api.http.paging import PageRequest
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import WEIGHT, DirectRoute
from taskbell.api.reports import schemas
from taskbell.api.reports.service import Reports
from taskbell.api.reports.service import Request as Wanted
from taskbell.contract.tokens import Claims

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=DirectRoute)

Service = Annotated[Reports, Depends(service("reports"))]
Days = Annotated[schemas.DaysQuery, Depends(query_parameters(schemas.DaysQuery))]
Present = Annotated[schemas.WorkspaceQuery, Depends(query_parameters(schemas.WorkspaceQuery))]
_HEAVY = {WEIGHT: 5}


@router.get("/throughput", summary="What was done", openapi_extra=_HEAVY)
async def get_throughput(request: Request, actor: Actor, reports: Service, query: Days) -> schemas.ThroughputPage:
    """Tells how many tasks were created, completed, reopened, cancelled and deleted, by day or person.

    It tells what happened, so the numbers of a past day do not change: a task that is completed, reopened and completed
    counts twice as completed and once as reopened, and one that is deleted later still counts.
    """
    return await reports.throughput(_wanted(request, actor, query, "throughput", *_frame(query)), query)


@router.get("/cycle-time", summary="How long tasks took", openapi_extra=_HEAVY)
async def get_cycle_time(request: Request, actor: Actor, reports: Service, query: Days) -> schemas.CycleTimePage:
    """Tells how long the tasks took that were completed, from creation to completion, by day or person.

    Each completion counts on its day. The mean is exact; the median and the 90th percentile are within 5 %.
    """
    return await reports.cycle_time(_wanted(request, actor, query, "cycle-time", *_frame(query)), query)


@router.get("/overdue", summary="What is overdue", openapi_extra=_HEAVY)
async def get_overdue(request: Request, actor: Actor, reports: Service, query: Days) -> schemas.OverduePage:
    """Tells how many open tasks are overdue now, by the day on which they were due, or by assignee."""
    return await reports.overdue(_wanted(request, actor, query, "overdue", *_frame(query)), query)


@router.get("/workload", summary="Who has how much to do", openapi_extra=_HEAVY)
async def get_workload(request: Request, actor: Actor, reports: Service, query: Present) -> schemas.WorkloadPage:
    """Tells how many open tasks each assignee has now, and how many of them are overdue."""
    return await reports.workload(_wanted(request, actor, query, "workload"))


def _frame(query: schemas.DaysQuery) -> tuple[object, ...]:
    return query.by, query.from_day, query.to_day, query.time_zone


def _wanted(request: Request, actor: Claims, query: schemas.WorkspaceQuery, *bound_to: object) -> Wanted:
    workspace_id = query.workspace_id or actor.workspace_id
    return Wanted(
        actor=actor.user_id,
        workspace_id=workspace_id,
        person_id=query.person_id,
        page=PageRequest.of(request, query, *bound_to, workspace_id, query.person_id),
    )
