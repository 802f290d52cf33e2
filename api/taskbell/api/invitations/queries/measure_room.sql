SELECT i.members, (SELECT count(*) FROM memberships m WHERE m.user_id = taskbell.actor()) AS workspaces
FROM taskbell.invitations_to_actor(:id, NULL, 1) i
