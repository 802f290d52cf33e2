"""The OpenAPI document: FastAPI's, completed with what it cannot know.

`document` builds it; `parameters` tells what operations read, `refusals` which problems they answer, `headers` what
their answers carry, `events` the bodies of webhooks. `shapes` rewrites what generators of clients do not take, and
`samples` makes the examples.
"""
