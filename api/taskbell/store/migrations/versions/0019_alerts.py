"""Alerts: devices, preferences, quiet hours, comments, subscriptions, and what the ledger must know of a notification.

The checks that admit more than before are NOT VALID, so that nobody waits while all former rows are read.
What takes long comes first, so that the tables of requests are locked for a moment only, at the end.
The index of the queues has a new form: until its pods are replaced, the former release finds due deliveries more
slowly.
"""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE deliveries
  ADD COLUMN notification_id uuid,
  ADD COLUMN deferred boolean NOT NULL DEFAULT false,
  ADD COLUMN collapsed integer NOT NULL DEFAULT 0,
  DROP CONSTRAINT deliveries_channel,
  ADD CONSTRAINT deliveries_channel
    CHECK (channel IN ('webhook', 'email', 'fcm', 'apns', 'webpush', 'slack', 'teams')) NOT VALID,
  DROP CONSTRAINT deliveries_state,
  ADD CONSTRAINT deliveries_state
    CHECK (state IN ('pending', 'retrying', 'delivered', 'dead', 'withdrawn', 'collapsed')) NOT VALID;

CREATE INDEX deliveries_deferred_idx ON deliveries (endpoint_id, event_id)
  WHERE deferred AND state = 'pending' AND attempts = 0;

CREATE INDEX deliveries_notification_idx ON deliveries (notification_id) WHERE notification_id IS NOT NULL;

DROP INDEX deliveries_queue_idx;

CREATE INDEX deliveries_queue_idx ON deliveries (
  channel,
  (CASE WHEN channel = ANY (ARRAY['webhook', 'webpush', 'slack', 'teams']) THEN endpoint_id ELSE workspace_id END),
  due_at
) WHERE state IN ('pending', 'retrying');

ALTER TABLE email_channels ADD COLUMN unsubscribe_token uuid NOT NULL DEFAULT gen_random_uuid();

CREATE UNIQUE INDEX email_channels_unsubscribe_token_key ON email_channels (unsubscribe_token);

CREATE TABLE alert_endpoints (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  kind text NOT NULL CONSTRAINT alert_endpoints_kind CHECK (kind IN ('fcm', 'apns', 'webpush', 'slack', 'teams')),
  address text NOT NULL CONSTRAINT alert_endpoints_address_length CHECK (char_length(address) BETWEEN 1 AND 4096),
  address_hash bytea NOT NULL CONSTRAINT alert_endpoints_hash_length CHECK (octet_length(address_hash) = 32),
  p256dh text,
  auth text,
  environment text CONSTRAINT alert_endpoints_environment CHECK (environment IN ('production', 'sandbox')),
  name text NOT NULL DEFAULT '' CONSTRAINT alert_endpoints_name_length CHECK (char_length(name) <= 255),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  registered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE UNIQUE INDEX alert_endpoints_address_key ON alert_endpoints (kind, address_hash);

CREATE INDEX alert_endpoints_user_id_idx ON alert_endpoints (user_id, id);

CREATE TABLE alert_preferences (
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  workspace_id uuid NOT NULL,
  kind text NOT NULL,
  channel text NOT NULL
    CONSTRAINT alert_preferences_channel CHECK (channel IN ('push', 'email', 'slack', 'teams', '*')),
  enabled boolean NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (user_id, workspace_id, kind, channel)
);

CREATE TABLE task_subscriptions (
  task_id uuid NOT NULL,
  user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  workspace_id uuid NOT NULL,
  state text NOT NULL CONSTRAINT task_subscriptions_state CHECK (state IN ('watching', 'muted')),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (task_id, user_id),
  FOREIGN KEY (task_id, workspace_id) REFERENCES tasks (id, workspace_id) ON DELETE CASCADE
);

CREATE INDEX task_subscriptions_user_id_idx ON task_subscriptions (user_id, task_id);

CREATE TABLE comments (
  id uuid PRIMARY KEY DEFAULT taskbell.new_id(),
  task_id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  author_id uuid NOT NULL REFERENCES users (id),
  body text NOT NULL CONSTRAINT comments_body_length CHECK (char_length(body) BETWEEN 1 AND 10000),
  mention_ids uuid[] NOT NULL DEFAULT '{}' CONSTRAINT comments_mentions_count CHECK (cardinality(mention_ids) <= 50),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  FOREIGN KEY (task_id, workspace_id) REFERENCES tasks (id, workspace_id) ON DELETE CASCADE
);

CREATE INDEX comments_task_id_idx ON comments (task_id, id);

CREATE TABLE provider_tokens (
  provider text NOT NULL,
  key_id text NOT NULL,
  token text NOT NULL,
  issued_at timestamptz NOT NULL,
  PRIMARY KEY (provider, key_id)
);

ALTER TABLE notifications DROP CONSTRAINT notifications_kind, ADD CONSTRAINT notifications_kind
  CHECK (kind IN ('assigned', 'status_changed', 'comment', 'mention', 'due_soon', 'overdue', 'stale', 'reminder',
                  'digest', 'invited', 'webhooks_paused')) NOT VALID;

ALTER TABLE reminders
  ADD COLUMN kind text NOT NULL DEFAULT 'due_soon' CONSTRAINT reminders_kind CHECK (kind IN ('due_soon', 'overdue')),
  DROP CONSTRAINT reminders_pkey,
  ADD PRIMARY KEY (task_id, kind, lead);

ALTER TABLE users
  ADD COLUMN quiet_from time,
  ADD COLUMN quiet_until time,
  ADD COLUMN digest_at time,
  ADD CONSTRAINT users_quiet_hours CHECK ((quiet_from IS NULL) = (quiet_until IS NULL) AND quiet_from <> quiet_until);

CREATE INDEX users_digest_at_idx ON users (digest_at, id) WHERE digest_at IS NOT NULL
"""


def upgrade() -> None:
    """Add the tables, the columns and the indexes, and admit the new kinds."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
