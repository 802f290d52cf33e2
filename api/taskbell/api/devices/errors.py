"""What can be wrong with a request about devices."""

from __future__ import annotations

from taskbell.contract.problems import ProblemCode, Refused


class DeviceNotFound(Refused):
    """You have no such device."""

    code = ProblemCode.NOT_FOUND


class TooManyDevices(Refused):
    """You have as many devices as you may have: remove one first."""

    code = ProblemCode.LIMIT_REACHED


class EndpointRefused(Refused):
    """The endpoint of the subscription cannot be a push service's."""

    code = ProblemCode.VALIDATION_FAILED


class RegisteredMeanwhile(Refused):
    """Another account registered this device at the same time: try again."""

    code = ProblemCode.CONFLICT


class WebPushNotSetUp(Refused):
    """This installation sends no Web Push: `TASKBELL_VAPID_PUBLIC_KEY` is not set."""

    code = ProblemCode.NOT_SET_UP
