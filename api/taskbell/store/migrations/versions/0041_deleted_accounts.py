"""Deleted accounts: what is kept of one, what is still to be erased, and no row of one is added afterwards."""

from __future__ import annotations

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_OF_A_PERSON = {
    "sessions": "user_id",
    "personal_tokens": "user_id",
    "second_factors": "user_id",
    "identities": "user_id",
    "email_confirmations": "user_id",
    "alert_endpoints": "user_id",
    "alert_preferences": "user_id",
    "email_channels": "user_id",
    "memberships": "user_id",
    "workspaces": "created_by",
}
"""Tables that a request of the user adds to, each with its column of the user."""


def upgrade() -> None:
    """Add the column, the table and the triggers."""
    op.execute("ALTER TABLE users ADD COLUMN deleted_at timestamptz")
    op.execute(
        """
        CREATE TABLE erasures (
          id uuid PRIMARY KEY,
          kind text NOT NULL CONSTRAINT erasures_kind CHECK (kind IN ('user', 'workspace')),
          created_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    # Its present form is `schema/functions/refuse_deleted_account.sql`.
    op.execute(
        "CREATE FUNCTION taskbell.refuse_deleted_account() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    )
    for table, column in _OF_A_PERSON.items():
        op.execute(
            f"CREATE TRIGGER of_an_account BEFORE INSERT ON {table} FOR EACH ROW"
            f" EXECUTE FUNCTION taskbell.refuse_deleted_account('{column}')"
        )
