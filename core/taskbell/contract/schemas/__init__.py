"""JSON Schemas (2020-12) of the events, in `events/`; `documents` reads them."""
