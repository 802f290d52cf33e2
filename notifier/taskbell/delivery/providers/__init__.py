"""Providers of alerts: Firebase (FCM), Apple (APNs), push services of browsers (Web Push), Slack and Teams."""
