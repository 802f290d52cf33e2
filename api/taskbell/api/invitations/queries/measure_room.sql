SELECT i.members, (SELECT count(*) FROM memberships m WHERE m.user_id = taskbell.actor()) AS workspaces,
  EXISTS (SELECT FROM users u WHERE u.id = taskbell.actor() AND u.email_confirmed_at IS NOT NULL) AS confirmed
FROM taskbell.invitations_to_actor(:id, NULL, 1) i
