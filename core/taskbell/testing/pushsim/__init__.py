"""A simulator of push providers for tests and for trying push out: FCM, APNs, Web Push, Slack and Teams.

No provider ships an emulator. This one checks what they check (signatures, ages, sizes, headers), answers as their
documents say, keeps what each device shows, and fails on request.

`simulator` composes it; `server`, `http2`, `wire` and `tls` are the HTTP/2 side. `oauth`, `fcm`, `apns`, `webpush`,
`slack` and `teams` are the providers; `devices`, `screen` and `journal` are what they know, `faults` what they do
wrong on request. `credentials` has the keys and the matching settings, `control` the side for other processes,
`command` the process, `printing` its lines.
"""
