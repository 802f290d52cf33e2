"""`/v1/auth`, `/v1/me` and `/.well-known/jwks.json`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from joserfc.jwk import KeySet
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.accounts import schemas
from taskbell.api.accounts.confirmations import Confirmations
from taskbell.api.accounts.proofs import Proofs, Proven
from taskbell.api.accounts.service import Accounts, Renewal
from taskbell.api.deps import Actor, bearer, service
from taskbell.api.http.body import BodyNotValid, json_body
from taskbell.api.http.client_address import ClientAddresses
from taskbell.api.http.openapi.refusals import refuses
from taskbell.api.http.problem import field_errors
from taskbell.api.http.route import DirectRoute, KeylessRoute
from taskbell.api.personal_tokens.service import PersonalTokens
from taskbell.api.scopes.errors import SessionRequired
from taskbell.contract.problems import FieldError, ProblemCode
from taskbell.kit.jwt import public_keys

auth = APIRouter(prefix="/v1/auth", tags=["accounts"], route_class=KeylessRoute)
me = APIRouter(prefix="/v1/me", tags=["accounts"], route_class=DirectRoute)
well_known = APIRouter(prefix="/.well-known", tags=["accounts"])
routers = (auth, me, well_known)
Service = Annotated[Accounts, Depends(service("accounts"))]
Tokens = Annotated[PersonalTokens, Depends(service("personal_tokens"))]
Confirming = Annotated[Confirmations, Depends(service("confirmations"))]
Proving = Annotated[Proofs, Depends(service("proofs"))]
NewPassword = Annotated[schemas.PasswordChange, Depends(json_body(schemas.PasswordChange))]
NewEmail = Annotated[schemas.EmailChange, Depends(json_body(schemas.EmailChange))]
Keys = Annotated[KeySet, Depends(service("signing_keys"))]
Addresses = Annotated[ClientAddresses, Depends(service("client_addresses"))]

FORM = "application/x-www-form-urlencoded"
_FORM_FIELDS = 16
_SECRET = {"Cache-Control": "no-store"}
"""Responses with tokens must not be cached (RFC 6749, section 5.1)."""


async def _read_credentials(request: Request) -> schemas.Credentials:
    """Account, password and device token, from JSON or an OAuth2 password form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
        form = await _read_form(request)
        return schemas.Credentials(username=form.username, password=form.password, device_token=form.device_token)
    return await json_body(schemas.Credentials)(request)


_read_credentials.json_body_model = schemas.Credentials  # type: ignore[attr-defined]  # read by http.openapi
_read_credentials.form_body_models = {FORM: schemas.PasswordForm}  # type: ignore[attr-defined]  # the same


async def _read_form(request: Request) -> schemas.PasswordForm:
    form = await request.form(max_fields=_FORM_FIELDS, max_files=0)
    names = [name for name, _ in form.multi_items()]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:  # RFC 6749, section 3.2
        message = "the parameter is given more than once"
        raise BodyNotValid(message, errors=tuple(FieldError(f"/{name}", "repeated", message) for name in repeated))
    try:
        return schemas.PasswordForm.model_validate(dict(form))
    except ValidationError as refused:
        found = field_errors(refused)
        raise BodyNotValid("; ".join(f"{item.pointer}: {item.message}" for item in found), errors=found) from None


async def _read_sign_out(request: Request) -> schemas.SignOutBody:
    """The body, which may be absent."""
    if not await request.body():
        return schemas.SignOutBody()
    return await json_body(schemas.SignOutBody)(request)


_read_sign_out.json_body_model = schemas.SignOutBody  # type: ignore[attr-defined]  # read by http.openapi
_read_sign_out.json_body_required = False  # type: ignore[attr-defined]  # the same


async def _renewal(accounts: Service, actor: Actor, body: NewPassword) -> Renewal:
    return await accounts.renew_password(actor, current=body.current_password, new=body.new_password)


async def _proven(proofs: Proving, actor: Actor, body: NewEmail) -> Proven:
    return await proofs.demand(actor, password=body.password)


@auth.post(
    "/register",
    status_code=201,
    responses=refuses(ProblemCode.EMAIL_TAKEN, ProblemCode.RATE_LIMITED),
    summary="Create an account",
)
async def register_account(
    request: Request,
    accounts: Service,
    addresses: Addresses,
    response: Response,
    body: Annotated[schemas.Registration, Depends(json_body(schemas.Registration))],
) -> schemas.Registered:
    """Creates an account with a personal workspace and signs in. Returns 409 `email_taken` if the e-mail is in use.

    After many registrations from one address: 429 with `Retry-After`.
    """
    user, pair = await accounts.register(
        email=body.email,
        password=body.password,
        name=body.name,
        address=addresses.of(request),
        client=request.headers.get("user-agent"),
    )
    response.headers.update(_SECRET)
    return schemas.Registered(user=user, **pair.model_dump())


@auth.post(
    "/login",
    responses=refuses(ProblemCode.INVALID_CREDENTIALS, ProblemCode.SECOND_FACTOR_REQUIRED, ProblemCode.RATE_LIMITED),
    summary="Sign in",
)
async def sign_in(
    request: Request,
    accounts: Service,
    addresses: Addresses,
    response: Response,
    credentials: Annotated[schemas.Credentials, Depends(_read_credentials)],
) -> schemas.TokenPair:
    """Accepts JSON or an OAuth2 password form. An unknown account and a wrong password get the same 401.

    After several failures for an account from one address, sign-ins to it from there must wait: 429 with
    `Retry-After`; after many more, from everywhere. A device that sends the `device_token` of its last sign-in waits
    only for its own failures.
    """
    pair = await accounts.sign_in(
        account=credentials.account,
        password=credentials.password,
        device_token=credentials.device_token,
        address=addresses.of(request),
        client=request.headers.get("user-agent"),
    )
    response.headers.update(_SECRET)
    return pair


@auth.post(
    "/refresh",
    responses=refuses(ProblemCode.INVALID_REFRESH_TOKEN, ProblemCode.REFRESH_TOKEN_REUSED),
    summary="Exchange a refresh token",
)
async def refresh_session(
    accounts: Service,
    response: Response,
    body: Annotated[schemas.RefreshBody, Depends(json_body(schemas.RefreshBody))],
) -> schemas.TokenPair:
    """Returns a new pair of tokens. A refresh token works once: a second use ends its whole session.

    This includes two simultaneous uses, so refresh in one place of a client only.
    """
    pair = await accounts.sessions.refresh(body.refresh_token)
    response.headers.update(_SECRET)
    return pair


@auth.post(
    "/logout",
    status_code=204,
    responses=refuses(ProblemCode.INVALID_REFRESH_TOKEN),
    summary="Sign out",
    openapi_extra={"security": [{}, {"bearer": []}]},
)
async def sign_out(
    request: Request, accounts: Service, tokens: Tokens, body: Annotated[schemas.SignOutBody, Depends(_read_sign_out)]
) -> None:
    """Ends the session of the given refresh token, or else what the request is signed in with.

    That is the session of the access token, or the personal access token itself. The refresh tokens of a session stop
    working at once, its access tokens and a personal one within a second. Repeating it changes nothing.
    """
    sessions = accounts.sessions
    if body.refresh_token is not None:
        await sessions.end_by_token(body.refresh_token)
    else:
        actor = await bearer(request)
        if actor.personal_token_id is not None:
            await tokens.end(actor.user_id, actor.personal_token_id)
            return
        if actor.scopes is not None:  # of a provider, which alone ends it
            raise SessionRequired
        await sessions.end(user_id=actor.user_id, session_id=actor.session_id)


@me.get("", summary="Read your account")
async def get_me(accounts: Service, actor: Actor) -> schemas.User:
    """Returns the account of the access token."""
    return await accounts.profile(actor.user_id)


@me.patch("", summary="Change your account")
async def update_me(
    accounts: Service, actor: Actor, body: Annotated[schemas.ProfileChange, Depends(json_body(schemas.ProfileChange))]
) -> schemas.User:
    """Changes the given fields and returns the whole account.

    During `quiet_hours` alerts (push, e-mail, chat) wait for their end, and become one for each device or address. They
    are hours on the clock of `time_zone`, also over midnight and when clocks change.
    """
    return await accounts.change_profile(actor.user_id, body)


@me.post("/password", status_code=204, summary="Change your password")
async def change_password(accounts: Service, renewal: Annotated[Renewal, Depends(_renewal)]) -> None:
    """Sets a new password and ends your other sessions and all device tokens; the next refresh returns a new one.

    A wrong current password gets a 422 at `/current_password`. After several in one session: 429 with `Retry-After`.
    """
    await accounts.change_password(renewal)


@me.post(
    "/email",
    status_code=202,
    responses=refuses(ProblemCode.SIGN_IN_AGAIN),
    summary="Change your e-mail address",
)
async def change_email(
    request: Request,
    confirmations: Confirming,
    addresses: Addresses,
    body: NewEmail,
    proven: Annotated[Proven, Depends(_proven)],
) -> schemas.ConfirmationSent:
    """Sends a message with a link or a code to the new address. `POST /v1/me/email/confirm` with its token changes it.

    Until then the account has its present address, which is told of the change. A wrong password gets a 422 at
    `/password`; an account without one must have signed in within 15 minutes: 403 `sign_in_again`. A mailbox gets at
    most 5 messages within a day; then 429 with `Retry-After`.
    """
    return await confirmations.request_change(proven, body.email, address=addresses.of(request))


@me.post(
    "/email/confirmation",
    status_code=202,
    responses=refuses(ProblemCode.EMAIL_CONFIRMED),
    summary="Ask for a message that confirms your e-mail address",
)
async def request_email_confirmation(
    request: Request, confirmations: Confirming, addresses: Addresses, actor: Actor
) -> schemas.ConfirmationSent:
    """Sends a message with a link or a code to the address of the account. Its token works once, for a day by default.

    A mailbox gets at most 5 of them within a day, whoever asks; then 429 with `Retry-After`. A confirmed address is 409
    `email_confirmed`.
    """
    return await confirmations.request(actor.user_id, address=addresses.of(request))


@me.post(
    "/email/confirm",
    responses=refuses(ProblemCode.INVALID_CONFIRMATION, ProblemCode.EMAIL_TAKEN),
    summary="Confirm your e-mail address",
)
async def confirm_email(
    confirmations: Confirming,
    actor: Actor,
    body: Annotated[schemas.EmailToken, Depends(json_body(schemas.EmailToken))],
) -> schemas.User:
    """Takes the token of the message, under the account that asked for it, and returns the account.

    The token of a change sets the new address, as confirmed, and the former one gets a message; if another account has
    it by then, that is 409 `email_taken`. A token that is unknown, expired, used, of another account, or for an account
    that had another address gets 400 `invalid_confirmation`.
    """
    return await confirmations.confirm(actor.user_id, body.token)


@well_known.get("/jwks.json", summary="Keys to verify access tokens with")
async def get_jwks(keys: Keys, response: Response) -> schemas.JsonWebKeySet:
    """The public keys (RFC 7517). A key is published before it signs and while its tokens live; cache for 5 minutes."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return schemas.JsonWebKeySet.model_validate(public_keys(keys))
