"""`/v1/unsubscribe`: the link in each e-mail, and its one click (RFC 8058)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from taskbell.api.deps import service
from taskbell.api.http.body import BodyNotValid, MediaTypeNotSupported
from taskbell.api.http.client_address import ClientAddresses
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.problem import field_errors
from taskbell.api.http.query import query_parameters
from taskbell.api.http.route import DirectRoute
from taskbell.api.unsubscribe import pages, schemas
from taskbell.api.unsubscribe.service import Unsubscriptions
from taskbell.contract.problems import ProblemCode

router = APIRouter(prefix="/v1/unsubscribe", tags=["channels"], route_class=DirectRoute)

Service = Annotated[Unsubscriptions, Depends(service("unsubscriptions"))]
Addresses = Annotated[ClientAddresses, Depends(service("client_addresses"))]
Query = Annotated[schemas.UnsubscribeQuery, Depends(query_parameters(schemas.UnsubscribeQuery))]

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
"""RFC 8058, section 3.1, permits both."""


async def _read_click(request: Request) -> schemas.OneClick:
    """The form; files and further fields are of no use."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _FORMS:
        raise MediaTypeNotSupported("The body must be a form.")
    try:
        form = await request.form(max_fields=4, max_files=0)
    except UnicodeError:  # some codecs of Python raise it where Starlette awaits a UnicodeDecodeError
        raise BodyNotValid("The form names a charset that does not fit it.") from None
    try:
        return schemas.OneClick.model_validate(dict(form))
    except ValidationError as refused:
        found = field_errors(refused)
        raise BodyNotValid("The form must hold List-Unsubscribe=One-Click.", errors=found) from None


_read_click.form_body_models = dict.fromkeys(_FORMS, schemas.OneClick)  # type: ignore[attr-defined]  # read by http.openapi
Click = Annotated[schemas.OneClick, Depends(_read_click)]


@router.get("", response_class=HTMLResponse, summary="Ask whether to switch e-mail off")
async def get_unsubscribe_page(query: Query) -> Response:  # noqa: ARG001 -- it must be there; the form sends it again
    """A page with a button, for people who follow the link of an e-mail. Reading it changes nothing."""
    return HTMLResponse(pages.QUESTION, headers=pages.HEADERS)


@router.post("", response_class=HTMLResponse, responses=refuses(ProblemCode.RATE_LIMITED), summary="Switch e-mail off")
async def unsubscribe_from_email(
    request: Request,
    unsubscriptions: Service,
    addresses: Addresses,
    query: Query,
    click: Click,  # noqa: ARG001 -- what the form says is always the same
) -> Response:
    """Switches off the e-mail that the token belongs to: the one click of RFC 8058, without signing in.

    The answer is the same for a token that nobody has. After 300 requests from one address within 15 minutes: 429 with
    `Retry-After`.
    """
    await unsubscriptions.unsubscribe(query.token, address=addresses.of(request))
    return HTMLResponse(pages.DONE, headers=pages.HEADERS)
