SELECT taskbell.request_password_reset(
  wanted => :email, box => :mailbox, secret => :token, digest => :token_hash, lifetime => :lifetime::interval,
  retry_for => :retry_for::interval, most => :most::integer, event => :event_id, trace => :traceparent
)
