"""Notifications outside the inbox: webhooks and e-mail. The delivery workers send them."""
