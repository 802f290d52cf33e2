UPDATE webhooks SET enabled = false, disabled_reason = :reason, updated_at = now() WHERE id = :id AND url = :url AND enabled
