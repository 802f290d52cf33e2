SELECT f.secret, f.last_step, f.confirmed_at, u.personal_workspace_id
FROM second_factors f JOIN users u ON u.id = f.user_id
WHERE f.user_id = :user_id
FOR UPDATE OF f
