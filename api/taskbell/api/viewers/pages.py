"""The pages of the viewers, and the files that they load."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src data:; connect-src 'self'; worker-src blob:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing is loaded from another host, nor sent to one. The viewers write styles into the page while they draw it."""
_PACKAGE = "fastapi_offline"
_JAVASCRIPT = "text/javascript; charset=utf-8"
_START_NAME = "start.js"
_MEDIA_TYPES = {
    _START_NAME: _JAVASCRIPT,
    "swagger-ui-bundle.js": _JAVASCRIPT,
    "swagger-ui.css": "text/css; charset=utf-8",
    "redoc.standalone.js": _JAVASCRIPT,
}
_START = """\
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  displayOperationId: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Taskbell API</title>
<link rel="icon" href="data:,">
"""
SWAGGER = f"""\
{_PAGE}<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<div id="viewer">Reading the description of the API. This page needs JavaScript; tools read <a href="openapi.json"
>openapi.json</a>.</div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/start.js"></script>
"""
REDOC = f"""\
{_PAGE}<style>body {{ margin: 0 }}</style>
<redoc spec-url="openapi.json"></redoc>
<noscript>This page needs JavaScript; tools read <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/assets/redoc.standalone.js"></script>
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a page loads.

    Attributes:
        body: Its content.
        media_type: How to read it.
        etag: Changes with the content.
    """

    body: bytes
    media_type: str
    etag: str


def asset(name: str) -> Asset | None:
    """The file of this name; None if there is none. Those that were read once are kept."""
    return _read(name) if name in _MEDIA_TYPES else None


@cache
def _read(name: str) -> Asset:
    body = _START.encode() if name == _START_NAME else files(_PACKAGE).joinpath("static", name).read_bytes()
    return Asset(body, _MEDIA_TYPES[name], f'"{sha256(body).hexdigest()[:32]}"')
