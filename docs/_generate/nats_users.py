"""The page of the users of NATS and their permissions."""

from __future__ import annotations

import json

from taskbell.contract.nats_users import ADMINISTRATOR, Program, permissions, user_of

_HEAD = f"""\
# Users of NATS

<!-- Generated from core/taskbell/contract/nats_users.py by `make docs`. -->

Each program has a user of its own, which may do what the program does and nothing else. So a program that somebody
took over cannot put an event into the stream, take the work of another program, or read its answers; only the relay
writes events, and makes or changes streams. `taskbell up` and the bundled NATS of the chart have these users. Another
user, `{ADMINISTRATOR}`, has no limits: it is for people, and no program has it.

For a NATS of your own, put the users below into an account with JetStream, and give each program its URL: by
`TASKBELL_NATS_URL`, or by `nats.external.urls` or `nats.external.existingSecrets` of the chart. The account holds
nothing else: the relay makes streams, and users see only their own inboxes, which begin with `_INBOX.` and the name of
the user in the URL. A URL without a user, or with a token, uses `_INBOX`.

One URL for all programs works as well. Then each of them can do everything that any of them may.

Known limit: who reads the stream makes consumers of it, and can have the server copy its messages to another subject,
such as that of dead letters. It cannot have them copied into the event stream, nor change them.

```
accounts {{
  taskbell {{
    jetstream: enabled
    users: [
      {{user: {ADMINISTRATOR}, password: $NATS_PASSWORD}}
"""


def text() -> str:
    """The page."""
    users = "".join(
        f"      {{user: {user_of(program)}, password: $NATS_PASSWORD_{program.upper()},"
        f" permissions: {_block(program)}}}\n"
        for program in Program
    )
    return f"{_HEAD}{users}    ]\n  }}\n}}\n```\n"


def _block(program: Program) -> str:
    return json.dumps(permissions(program), indent=2).replace("\n", "\n      ")
