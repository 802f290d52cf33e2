"""Where people and workspaces want to be told beside the inbox: webhooks and e-mail. Sending is the notifier's."""
