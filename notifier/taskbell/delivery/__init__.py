"""The delivery program: sends events to webhooks and notifications by e-mail, at least once.

`intake` reads the stream and writes a row to the ledger for each endpoint that wants an event. `sender` takes due rows
from the ledger and attempts them through a transport: `webhooks` or `emails`. `lookout` finds what is due, and `shares`
decides who is next. Retries are in the ledger, not in the stream. `shares`, `policy`, `signature`,
`messages` and `mail_server` are pure; SQL is in `repository`.
"""
