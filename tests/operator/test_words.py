"""Errors as people read them: no form in which a program shows a value to itself."""

import errno

import httpx
import pytest
from pydantic import ValidationError

from taskbell.contract.reminder_schedules import ReminderScheduleSpec
from taskbell.contract.worker_pools import WorkerPoolSpec
from taskbell.operator.plan.spec_words import faults_in_words
from taskbell.operator.plan.worker_pool import set_by
from taskbell.operator.words import in_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (httpx.ConnectTimeout(""), "no answer in time"),
        (
            ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
            "the connection was closed before the answer",
        ),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "connection refused"),
        (httpx.PoolTimeout(""), "no answer in time"),
        (LookupError(), "lookup error"),
        (ValueError("there is no metric x"), "there is no metric x"),
    ],
)
def test_errors_in_words(error, words):
    """Each error is told in words; one without a text by the words of its class."""
    assert in_words(error) == words


def faults(model, spec):
    """What is wrong with a spec, in words."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate(spec)
    return faults_in_words(refused.value)


@pytest.mark.parametrize(
    ("model", "spec", "words"),
    [
        (
            WorkerPoolSpec,
            {"targetRef": {"name": "x"}, "replicas": {"max": 0}},
            "spec.replicas.max is 0: the least is 1",
        ),
        (WorkerPoolSpec, {"targetRef": {"name": "x"}}, "spec.replicas is missing"),
        (
            ReminderScheduleSpec,
            {"kind": "due", "schedule": "* * * * *", "shards": 65, "concurrencyPolicy": "Maybe"},
            'spec.shards is 65: the most is 64; spec.concurrencyPolicy is "Maybe": allowed are Allow, Forbid, Replace',
        ),
        (
            ReminderScheduleSpec,
            {"kind": "due", "schedule": "* * * * *", "history": "many", "suspend": [1]},
            'spec.suspend is [1]: it must be true or false; spec.history is "many": it must be a whole number',
        ),
    ],
)
def test_a_spec_that_is_not_understood_is_told_field_by_field(model, spec, words):
    """The words name the field as `kubectl explain` does, what was given and what is allowed."""
    assert faults(model, spec) == words


@pytest.mark.parametrize(
    ("manager", "words"),
    [
        ("kubectl-edit", "replicas.manual, set by hand (kubectl-edit)"),
        ("kube-controller-manager", "replicas.manual, set by kube-controller-manager"),
        ("helm", "replicas.manual, set by helm"),
    ],
)
def test_by_hand_is_said_of_people_only(manager, words):
    """The API server's record tells who wrote the size last: a person by kubectl, or a program by its name."""
    field = {"f:spec": {"f:replicas": {"f:manual": {}}}}
    entries = [
        {"manager": "first", "time": "2026-11-20T10:00:00Z", "fieldsV1": field},
        {"manager": manager, "time": "2026-11-20T11:00:00Z", "fieldsV1": field},
        {"manager": "other", "time": "2026-11-20T12:00:00Z", "fieldsV1": {"f:spec": {"f:engine": {}}}},
    ]
    assert set_by({"metadata": {"managedFields": entries}}) == words
    assert set_by({"metadata": {}}) == "replicas.manual"
