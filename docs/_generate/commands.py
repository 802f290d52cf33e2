"""`docs/reference/commands.md`: the client commands, as `--help` tells them."""

from __future__ import annotations

import inspect
from typing import Any

from taskbell.local.cli import COMMANDS, loaded
from taskbell.terminal import errors, instants
from taskbell.terminal.profiles import VARIABLES

HEAD = """\
# Client commands

<!-- Generated from taskbell.terminal by `make docs`. -->

What a person does with tasks from a terminal, at any installation. `taskbell --help` also lists the commands that run
and repair a platform.

## Signing in

`taskbell login` asks for the e-mail address, the password, and the code of the authenticator if the account has one.
With them it makes a [personal access token](../how-to/use-a-personal-access-token.md), ends the session that it needed
for that, and keeps the token alone, in `$XDG_CONFIG_HOME/taskbell/<profile>.json` (`~/.config`), which only you may
read. A file that others may read or write is refused, until `login` or `logout` ends its token. So the password is
nowhere, commands at the same time do not disturb each other, and whoever steals the file can change no password and
make no other token. `taskbell logout` ends the token where it was made, and deletes the file.

A token ends by itself, after 90 days by default: sign in again. Who signs in through a provider, without a password,
makes a token there and gives it to `taskbell login --token`.

Secrets are never taken from arguments, which every user of the machine can read. Without a terminal they are read from
standard input, a line each: `taskbell login https://tasks.example.com --email ann@example.com < password`.

| Variable | Meaning |
| --- | --- |
"""
_NUMBERS = """
## Naming a task

`taskbell tasks` numbers what it lists, and `add` continues the numbers: `taskbell done 2`. A number keeps its
task until the next list. The whole id, as `--json` tells it, is understood too. A pipe gets the columns separated by
tabs.

## Instants

```
"""
_OUTPUT = """```

## For programs

With `--json` a command prints one JSON document for each object, on a line of its own. Texts that others wrote never
control the terminal: what would is shown as a mark, and JSON is ASCII. Colours are for terminals, and not where
`NO_COLOR` is set.

A change is sent with an `Idempotency-Key`. If no answer comes, or 502, 503 or 504, the command asks again four times,
and nothing is done twice. If the API asks to wait for up to two minutes, the command says so and waits.

Errors are one sentence on standard error, with a status:

| Status | Meaning |
| --- | --- |
| 0 | Done |
"""
_COMMANDS = """| 130 | Interrupted by Ctrl-C; `watch` ends with 0 |
| 143 | Ended by SIGTERM |

## The commands
"""


def text() -> str:
    """The page."""
    variables = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in VARIABLES.items())
    forms = inspect.cleandoc((instants.__doc__ or "").partition("\n\n")[2])
    return "".join([HEAD, variables, _NUMBERS, forms, "\n", _OUTPUT, *_statuses(), _COMMANDS, *map(_command, _names())])


def _statuses() -> list[str]:
    kinds: list[type[errors.Failed]] = [errors.Failed, *errors.Failed.__subclasses__()]
    kinds.sort(key=lambda kind: kind.status)
    return [f"| {kind.status} | {(kind.__doc__ or '').partition(chr(10))[0]} |\n" for kind in kinds]


def _names() -> list[str]:
    return [name for name, command in COMMANDS.items() if command.module.startswith("taskbell.terminal.")]


def _command(name: str) -> str:
    command = loaded(name)
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join(
        ["taskbell", name, *(one.metavar if one.required else f"[{one.metavar}]" for one in arguments), "[OPTIONS]"]
    )
    rows = "".join(
        f"| {_spelt(parameter)} | {parameter.help} |\n" for parameter in command.params if parameter.name != "help"
    )
    return f"\n### taskbell {name}\n\n`{usage}`\n\n{command.help}\n\n| | |\n| --- | --- |\n{rows}"


def _spelt(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`"
    return ", ".join(f"`{spelling}`" for spelling in sorted(parameter.opts, key=len, reverse=True))
