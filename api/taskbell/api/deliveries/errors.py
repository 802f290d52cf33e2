"""Errors of requests about webhooks and e-mail."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class WebhookNotFound(Refused):
    """There is no such webhook, or you do not administer its workspace."""

    code = ProblemCode.NOT_FOUND


class DeliveryNotFound(Refused):
    """This webhook has no such delivery."""

    code = ProblemCode.NOT_FOUND


class EventExpired(Refused):
    """The event of this delivery is not kept any more."""

    code = ProblemCode.CONFLICT


class WebhooksNotPermitted(Refused):
    """Only owners and admins of a workspace see and change its webhooks."""

    code = ProblemCode.FORBIDDEN


class TooManyWebhooks(Refused):
    """The workspace has as many webhooks as it may have."""

    code = ProblemCode.CONFLICT


class WebhookSwitchedOff(Refused):
    """The webhook is switched off: enable it first."""

    code = ProblemCode.CONFLICT


class EmailNotConfirmed(Refused):
    """Confirm the address of your account first: `POST /v1/me/email/confirmation`."""

    code = ProblemCode.EMAIL_NOT_CONFIRMED


class UrlRefused(Refused):
    """The address cannot be a webhook's."""

    code = ProblemCode.VALIDATION_FAILED
