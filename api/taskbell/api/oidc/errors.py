"""What can go wrong with a sign-in through a provider, as past facts.

Refused
├── ProviderUnknown      404
├── RedirectRefused      422
├── SignInRefused        400, the client's part of the sign-in is not valid
├── ProviderRefused      401, the provider's part is not valid
├── EmailNotVerified     403
├── EmailNotAllowed      403
├── AccountNotConfirmed  409
├── SecondFactorOn       409
├── IdentityTaken        409
└── ProviderUnavailable  503
"""

from __future__ import annotations

import math

from taskbell.contract.problems import FieldError, ProblemCode, Refused


class ProviderUnknown(Refused):
    """There is no provider with this id; `GET /v1/auth/oidc` lists them."""

    code = ProblemCode.NOT_FOUND


class RedirectRefused(Refused):
    """This redirect_uri is not in the list of this installation (TASKBELL_OIDC_REDIRECT_URIS)."""

    code = ProblemCode.VALIDATION_FAILED

    def __init__(self) -> None:
        detail = "This redirect_uri is not in the list of this installation (TASKBELL_OIDC_REDIRECT_URIS)."
        super().__init__(detail, errors=(FieldError("/redirect_uri", "redirect_not_allowed", detail),))


class SignInRefused(Refused):
    """The sign-in is unknown, expired, finished, or another client's: begin again."""

    code = ProblemCode.INVALID_SIGN_IN


class ProviderRefused(Refused):
    """The provider does not vouch for this sign-in: begin again."""

    code = ProblemCode.PROVIDER_REFUSED


class EmailNotVerified(Refused):
    """The provider does not say that the e-mail address is verified: verify it there, then sign in again."""

    code = ProblemCode.EMAIL_NOT_VERIFIED


class EmailNotAllowed(Refused):
    """E-mail addresses of this domain may not sign in through this provider."""

    code = ProblemCode.FORBIDDEN


class AccountNotConfirmed(Refused):
    """An account with this e-mail address exists, and nobody has confirmed the address for it.

    Whoever made it may not own the address, so it is not linked.
    """

    code = ProblemCode.EMAIL_NOT_CONFIRMED

    def __init__(self) -> None:
        super().__init__(
            "An account with this e-mail address exists, and its address is not confirmed. Reset its password by "
            "e-mail, which confirms the address, then sign in through the provider."
        )


class SecondFactorOn(Refused):
    """An account with this e-mail address exists, and has a second factor, which the provider has not asked for.

    Whoever reads its mailbox could otherwise do without the factor.
    """

    code = ProblemCode.SECOND_FACTOR_ON

    def __init__(self) -> None:
        super().__init__(
            "An account with this e-mail address exists, and has a second factor. Sign in with its password and switch "
            "the factor off, sign in through the provider once, then switch it on again."
        )


class IdentityTaken(Refused):
    """The account with this e-mail address belongs to another user of this provider."""

    code = ProblemCode.IDENTITY_TAKEN


class ProviderUnavailable(Refused):
    """The provider cannot be reached for the moment."""

    code = ProblemCode.PROVIDER_UNAVAILABLE

    def __init__(self, provider: str, *, wait: float = 1.0) -> None:
        super().__init__(
            f"The provider {provider} does not answer as it should; sign in in another way, or try again later.",
            headers={"Retry-After": str(max(1, math.ceil(wait)))},
        )
