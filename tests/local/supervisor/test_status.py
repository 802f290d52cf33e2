import io

from rich.console import Console

from taskbell.local.supervisor.component import Component, Phase, State
from taskbell.local.supervisor.status import display


def test_a_line_above_the_table_leaves_the_table_readable(tmp_path):
    """What stays on the terminal after `ready` is words and colours, no markup."""
    component = Component(name="api", command=("true",), log=tmp_path / "api.log")
    states = {"api": State(component=component, phase=Phase.READY, pid=7)}
    terminal = io.StringIO()
    with display(Console(file=terminal, force_terminal=True, width=100)) as shown:
        shown.show(states, states["api"])
        shown.say("ready; Ctrl-C stops everything")
    assert "ready; Ctrl-C" in terminal.getvalue()
    assert "[green]" not in terminal.getvalue()
    assert "\N{ESCAPE}[32mready" in terminal.getvalue()
