"""Second factors, and the recovery codes that stand in for them."""

from __future__ import annotations

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.execute(
        """
        CREATE TABLE second_factors (
          user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
          secret text NOT NULL,
          created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
          confirmed_at timestamptz,
          last_step bigint
        )
        """
    )
    op.execute(
        """
        CREATE TABLE recovery_codes (
          user_id uuid NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
          code_hash bytea NOT NULL CONSTRAINT recovery_codes_hash_length CHECK (octet_length(code_hash) = 32),
          used_at timestamptz,
          PRIMARY KEY (user_id, code_hash)
        )
        """
    )
