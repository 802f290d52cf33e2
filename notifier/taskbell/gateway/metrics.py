"""Metrics of the gateway."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CONNECTIONS = Gauge(
    "taskbell_gateway_connections",
    "Open connections of this process, WebSockets and streams, signed in or not. Scale on it; new pods get no old "
    "connections.",
)
STREAMS = Gauge(
    "taskbell_gateway_event_streams", "Those of the open connections that are streams of server-sent events (`/sse`)."
)
CONNECTIONS_OPENED = Counter(
    "taskbell_gateway_connections_opened_total", "WebSocket connections accepted by this process."
)
CONNECTIONS_REFUSED = Counter(
    "taskbell_gateway_connections_refused_total",
    "Refused upgrades by reason (origin, full, draining, token_in_address, repeated_header, head for one that is too "
    "long, handshakes and not_signed_in for one that gave way to a new connection). Many with origin: "
    "TASKBELL_ALLOWED_ORIGINS lacks one. Many with full, handshakes or not_signed_in: add pods.",
    ["reason"],
)
CLOSES = Counter(
    "taskbell_gateway_closes_total",
    "Connections closed by the gateway, by close code: 4408 slow clients, 4401 expired sign-ins, 4201 dead "
    "peers, 4001 and 4429 broken clients, 1006 clients that were cut off because they did not read replies.",
    ["code"],
)
CONNECTIONS_RENEWED = Counter(
    "taskbell_gateway_connections_renewed_total",
    "Connections closed with 4200 because they reached TASKBELL_GATEWAY_MAX_CONNECTION_AGE; their clients resume, "
    "perhaps on another pod.",
)
PEERS = Gauge(
    "taskbell_gateway_peers",
    "Other gateways that this one hears of over NATS; the connections of a user at all of them count together. Fewer "
    "than the pods that run besides: the cap of a user holds for each part alone.",
)
EVENTS_ROUTED = Counter(
    "taskbell_gateway_events_routed_total",
    "Events read from the stream, by outcome: delivered to some connection, unwanted, or malformed (not "
    "written by the relay).",
    ["outcome"],
)
EVENTS_DELIVERED = EVENTS_ROUTED.labels(outcome="delivered")
EVENTS_UNWANTED = EVENTS_ROUTED.labels(outcome="unwanted")
EVENTS_MALFORMED = EVENTS_ROUTED.labels(outcome="malformed")
FRAMES_SENT = Counter(
    "taskbell_gateway_event_frames_total", "Event frames given to connections: events times receivers."
)
EVENTS_COALESCED = Counter(
    "taskbell_gateway_events_coalesced_total",
    "Events that were not sent to a slow client because a newer one of the same task waited for it, too. A steady "
    "rate: clients do not keep up; nothing is wrong with their view.",
)
DELIVERY_LATENCY = Histogram(
    "taskbell_gateway_delivery_latency_seconds",
    "Time from the creation of an event in PostgreSQL to its frame, for events that some connection wants. "
    "It compares the clocks of both machines. If it is high and the reader lag is low, look at the relay.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
REPLAYS = Counter(
    "taskbell_gateway_replays_total",
    "Resumes by outcome: memory, stream, gap, interrupted, refused. Many gaps: clients stay away longer than "
    "events are kept, or TASKBELL_GATEWAY_MAX_REPLAY_EVENTS is too low. Many refused: more replays are asked for than "
    "TASKBELL_GATEWAY_MAX_REPLAYS allows, or than one user may have.",
    ["outcome"],
)
REPLAYED_EVENTS = Counter("taskbell_gateway_replayed_events_total", "Event frames sent by replays.")
READER_POSITION = Gauge(
    "taskbell_gateway_reader_position_sequence", "Stream sequence of the last event that this process routed."
)
READER_LAG = Gauge(
    "taskbell_gateway_reader_lag_events",
    "How many events the reader was behind the stream at its last check (every 10 s). If it grows, the "
    "process is saturated: add pods.",
)
READER_RESETS = Counter(
    "taskbell_gateway_reader_resets_total",
    "How often the reader created its consumer again, by reason. No event is lost; a steady rate means that "
    "NATS has problems.",
    ["reason"],
)
SIGN_INS = Counter(
    "taskbell_gateway_sign_ins_total",
    "Sign-ins by kind (token, personal_token, ticket) and outcome (ok, refused, unavailable).",
    ["kind", "outcome"],
)
KEY_FETCHES = Counter(
    "taskbell_gateway_key_fetches_total",
    "Fetches of the API's public keys by outcome (ok, failed). While they fail, the gateway uses the known keys.",
    ["outcome"],
)
