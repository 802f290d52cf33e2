-- Deleted workspaces whose time is over. No restoration that began before is still under way after a minute: a statement of
-- the API ends after 10 s.
INSERT INTO erasures (id, kind)
SELECT w.id, 'workspace' FROM workspaces w WHERE w.restorable_until < now() - interval '1 minute'
ON CONFLICT DO NOTHING
