SELECT taskbell.announce_invitation(:id, :traceparent)
