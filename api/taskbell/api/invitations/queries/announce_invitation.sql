SELECT taskbell.announce_invitation(
  :id, :traceparent, secret => :token, digest => :token_hash, box => :mailbox, retry_for => :retry_for::interval,
  most_to_mailbox => :most_to_mailbox::integer, most_by_user_to_mailbox => :most_by_user_to_mailbox::integer,
  most_by_user => :most_by_user::integer
)
