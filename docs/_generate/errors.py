"""`docs/reference/errors.md`, from the problem codes of the contract."""

from __future__ import annotations

from taskbell.contract.problems import MEDIA_TYPE, ProblemCode

HEAD = f"""\
# Errors

<!-- Generated from taskbell.contract.problems by `make docs`. -->

Every error is a problem document (RFC 9457, `{MEDIA_TYPE}`):

| Field | Meaning |
| --- | --- |
| `type` | URI of the kind of problem; ends with its code |
| `title` | The same short summary for every occurrence |
| `status` | The HTTP status |
| `code` | Stable name. Branch on this, never on a message |
| `detail` | What was wrong in this request, for people. Not in 5xx |
| `instance` | The requested path |
| `errors[]` | For invalid fields: `pointer` (RFC 6901), `code`, `message` |
| `request_id` | Quote it when you ask for help; the log has it too |

| Code | Status | Title |
| --- | --- | --- |
"""


def text() -> str:
    """The page."""
    problems = sorted((code.value for code in ProblemCode), key=lambda problem: (problem.status, problem.code))
    return HEAD + "".join(f"| `{problem.code}` | {problem.status} | {problem.title} |\n" for problem in problems)
