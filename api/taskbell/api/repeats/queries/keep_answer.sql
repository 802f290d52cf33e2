-- Keeps an answer; a former one of this name is older than answers are kept. The position of the change is `xid`.
INSERT INTO kept_answers (user_id, name, sealed) VALUES (:user_id, :name, :sealed)
ON CONFLICT (user_id, name) DO UPDATE
SET sealed = excluded.sealed, xid = excluded.xid, created_at = excluded.created_at
RETURNING xid::text
