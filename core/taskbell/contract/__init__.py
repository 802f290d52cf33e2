"""What the programs promise each other: events, subjects, cursors, tokens, frames, webhooks, problems, CRDs.

Plain values only: no module here imports I/O.
"""
