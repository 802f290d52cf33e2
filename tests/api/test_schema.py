"""The OpenAPI document is true: whatever it permits or forbids is sent, and every answer is one that it describes."""

import contextlib
import itertools
import os
import time
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as profile
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from described_answers import resolved
from taskbell.api.http.openapi import refusals
from taskbell.contract.problems import MEDIA_TYPE

SECONDS = float(os.environ.get("TASKBELL_TESTS_SCHEMA_SECONDS", "60"))
"""How long inputs are tried, good and bad ones together; each operation gets some of both in any case."""


def foreseen(_context, response, case):
    """No answer is a server error, but that there is no event stream to read: no relay runs here."""
    assert response.status_code < 500 or (response.status_code, case.path) == (503, "/v1/events")


def named(_context, response, case):
    """The operation names the status and, of a problem, its code; `default` stands only for what anybody may get."""
    answers = resolved(case.operation.schema.raw_schema, case.operation.definition.raw["responses"])
    answer = answers.get(str(response.status_code), {})
    if MEDIA_TYPE in response.headers.get("content-type", [""])[0]:
        code = response.json()["code"]
        assert code in answer.get(refusals.CODES, ()) or code in ANYBODY, f"{response.status_code} {code}"
    else:
        assert answer, response.status_code


ANYBODY = {code.value.code for code in refusals.OTHERS} | {"method_not_allowed"}
LEFT_OUT = [
    not_a_server_error,  # `foreseen` knows what cannot be here
    # A document cannot say which ids, cursors and passwords there are, nor who is a member of what.
    checks.positive_data_acceptance,
]


@pytest.mark.feature("H28", "T1", "M12", "M35")
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_conforms(served, mode):
    """For each operation, signed in, good and bad input alike: every answer is as documented, and none is a 5xx."""
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    tried = Counter()
    until = time.monotonic() + SECONDS / len(GenerationMode)
    for number in itertools.count():
        for operation in operations:

            @seed(number)
            @profile(
                max_examples=4,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def conforms(case):
                tried[case.operation.label] += 1
                case.call_and_validate(
                    base_url=served.url,
                    headers=served.headers,
                    additional_checks=[foreseen, named],
                    excluded_checks=LEFT_OUT,
                )

            with contextlib.suppress(Unsatisfiable):  # some take no input that could be bad
                conforms()
        if time.monotonic() > until:
            break
    assert sum(tried.values()) > 200
    if mode is GenerationMode.POSITIVE:
        assert {operation.label for operation in operations} == set(tried)
