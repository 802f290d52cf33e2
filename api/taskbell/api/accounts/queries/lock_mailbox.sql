-- One transaction at a time sends to a mailbox, so that messages can be counted.
SELECT pg_advisory_xact_lock(hashtextextended('mailbox ' || encode(:mailbox::bytea, 'hex'), 0))
