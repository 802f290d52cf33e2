"""The sums that reports read. The active relay folds new events into them, because one program must.

`watch` folds by a clock, `repository` calls the function that does it. A report adds what is not folded yet itself, so
a relay that is away makes reports slower and never wrong.
"""
