SELECT id::text FROM taskbell.live_personal_tokens(:ids) AS id
