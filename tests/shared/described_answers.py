"""Compares the answers of the API with its OpenAPI document: status, code and headers of each are described."""

import re

from taskbell.api.http.openapi import headers, refusals
from taskbell.contract.problems import MEDIA_TYPE

_ANYWHERE = {code.value.code for code in refusals.OTHERS} | {"method_not_allowed"}


class DescribedAnswers:
    """The operations of a document, by their paths."""

    def __init__(self, document):
        self._document = document
        self._operations = [
            (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), method, operation)
            for path, operations in sorted(document["paths"].items(), key=lambda item: "{" in item[0])
            for method, operation in operations.items()
        ]

    async def check(self, response):
        """Fail unless the document describes this answer. A request for what it does not have is passed over."""
        request = response.request
        found = (
            operation
            for path, method, operation in self._operations
            if method.upper() == request.method and path.fullmatch(request.url.path)
        )
        operation = next(found, None)
        if operation is not None:
            await response.aread()
            wrong = _undescribed(resolved(self._document, operation["responses"]), response)
            assert not wrong, f"{operation['operationId']} ({request.method} {request.url.path}): {wrong}"


def resolved(document, answers):
    """The answers of an operation, those that are shared by several ones as well."""
    shared = document["components"]["responses"]
    return {
        status: shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for status, answer in answers.items()
    }


def _undescribed(answers, response):
    """What of an answer its operation does not describe, as a sentence; None if all is described."""
    status = str(response.status_code)
    answer = answers.get(status)
    if response.headers.get("content-type", "").startswith(MEDIA_TYPE):
        code = response.json()["code"]
        if code not in (*(answer or {}).get(refusals.CODES, ()), *_ANYWHERE):
            return f"name the problem `{code}` ({status}) in `responses=refuses(...)` of its endpoint"
        answer = answer or answers["default"]
    elif answer is None:
        return f"describe the status {status} in `responses=` of its endpoint"
    for name in headers.COMPONENTS:
        if name in response.headers and name not in answer.get("headers", {}):
            return f"describe the header {name} of {status}, such as by `responses=answers({status}, {name!r})`"
    return None
