"""The two pages that a person sees who follows the link of an e-mail. They hold nothing of the request."""

from __future__ import annotations

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
"""Nothing is loaded, the page is in no frame, where a click could be stolen, and its address, which holds the token,
is told to nobody."""
_FRAME = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Taskbell e-mail</title>
</head>
<body>
{}
</body>
</html>
"""
# A form without an action goes to the address of its page, with the token.
QUESTION = _FRAME.format(
    "<h1>No more e-mail?</h1>\n"
    "<p>Your notifications stay in your inbox, and go to your devices as before.</p>\n"
    '<form method="post">\n'
    '<button name="List-Unsubscribe" value="One-Click">Switch e-mail off</button>\n'
    "</form>"
)
"""Asks, with a button. Programs that follow links to examine them do not press it."""
DONE = _FRAME.format(
    "<h1>E-mail is off</h1>\n"
    "<p>No more notifications are sent to this address. You can switch them on again in your account's settings.</p>"
)
"""Says that it is done; the same for a token that nobody has."""
