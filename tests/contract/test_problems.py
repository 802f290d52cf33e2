import re

import pytest

from taskbell.contract.problems import ProblemCode

_ALL = [code.value for code in ProblemCode]


def test_codes_are_unique():
    """A client can branch on a code: no two problems share one."""
    assert len({problem.code for problem in _ALL}) == len(_ALL)
    assert len(ProblemCode.__members__) == len(_ALL)


@pytest.mark.parametrize("problem", _ALL, ids=lambda problem: problem.code)
def test_a_problem_is_well_formed(problem):
    """A code is snake_case, a status is an error's, a title is one line that names no occurrence."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", problem.code)
    assert 400 <= problem.status <= 599
    assert "\n" not in problem.title
    assert not problem.title.endswith(".")
    assert problem.type.endswith(f"/{problem.code}")
