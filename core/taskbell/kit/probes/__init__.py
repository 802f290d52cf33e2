"""`/livez`, `/readyz` and `/metrics`, the same for every program.

`health` runs the checks, `answers` gives each probe's answer its shape, and `server` serves them where a program has no
HTTP server of its own.
"""
