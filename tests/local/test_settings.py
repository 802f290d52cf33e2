import pytest

from taskbell.local.settings import known_names, unknown_variables


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("TASKBELL_API_PROT", "TASKBELL_API_PROT is not a setting of Taskbell; did you mean TASKBELL_API_PORT?"),
        ("TASKBELL_COLOUR_OF_THE_SKY", "TASKBELL_COLOUR_OF_THE_SKY is not a setting of Taskbell"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_known_one(name, line):
    """A typing error is one clear line, with a suggestion only where one is near."""
    assert unknown_variables({name: "1", "PATH": "/bin"}, known=known_names()) == [line]


def test_the_settings_of_every_part_are_known():
    """A variable of any service may be given to `up`, which passes it on."""
    given = dict.fromkeys(
        ["TASKBELL_DATA_DIR", "TASKBELL_LOG_LEVEL", "TASKBELL_DATABASE_URL", "TASKBELL_JWKS_URL"], "x"
    )
    assert unknown_variables(given, known=known_names()) == []
