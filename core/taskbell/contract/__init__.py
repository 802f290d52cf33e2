"""What the services promise each other: events, subjects, cursors, tokens, frames, problem codes.

Plain values only. No module here performs or imports I/O, so that every promise can be tested with plain values.
"""
