"""The application: its routes and its middleware."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from taskbell.api.accounts import endpoints as accounts
from taskbell.api.bots import endpoints as bots
from taskbell.api.chats import endpoints as chats
from taskbell.api.comments import endpoints as comments
from taskbell.api.data_exports import endpoints as data_exports
from taskbell.api.deletions import endpoints as deletions
from taskbell.api.deliveries import endpoints as deliveries
from taskbell.api.devices import endpoints as devices
from taskbell.api.events import endpoints as events
from taskbell.api.health import endpoints as health
from taskbell.api.http import problem
from taskbell.api.http.limits import BodyLimit
from taskbell.api.http.observe import Observe
from taskbell.api.http.openapi import document
from taskbell.api.http.paging import PageLimits
from taskbell.api.http.route import keep_apart
from taskbell.api.invitations import endpoints as invitations
from taskbell.api.lifespan import lifespan_for
from taskbell.api.notifications import endpoints as notifications
from taskbell.api.oidc import endpoints as oidc
from taskbell.api.password_resets import endpoints as password_resets
from taskbell.api.personal_tokens import endpoints as personal_tokens
from taskbell.api.preferences import endpoints as preferences
from taskbell.api.realtime import endpoints as realtime
from taskbell.api.reminders import endpoints as reminders
from taskbell.api.reports import endpoints as reports
from taskbell.api.second_factors import endpoints as second_factors
from taskbell.api.sessions import endpoints as sessions
from taskbell.api.settings import ApiSettings
from taskbell.api.subscriptions import endpoints as subscriptions
from taskbell.api.tasks import endpoints as tasks
from taskbell.api.unsubscribe import endpoints as unsubscribe
from taskbell.api.version import VERSION
from taskbell.api.viewers import endpoints as viewers
from taskbell.api.workspaces import endpoints as workspaces
from taskbell.kit.trace import Tracing

DESCRIPTION = """
Tasks and reminders for teams. Sign in with `POST /v1/auth/login`, send `Authorization: Bearer <access_token>`; programs
send a personal access token of `POST /v1/tokens`.
Errors are problem documents (RFC 9457) with a stable `code`; instants are RFC 3339 in UTC; lists are paged by an
opaque cursor.
"""


def create_app(settings: ApiSettings, *, tracing: Tracing | None = None) -> FastAPI:
    """Build the application; its lifespan opens the connections."""
    app = FastAPI(
        title="Taskbell",
        version=VERSION,
        description=DESCRIPTION.strip(),
        lifespan=lifespan_for(settings),
        docs_url=None,  # `viewers` serves both, without another host
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # `Observe` does it, in less time
    )
    app.state.providers = settings.oidc_providers
    app.state.page_limits = PageLimits(default=settings.default_page_size, most=settings.max_page_size)
    problem.install(app)
    document.install(app)
    # Added as plain routes, the busiest first: `include_router` would match each request twice.
    routers = (
        tasks.router,
        notifications.router,
        comments.router,
        subscriptions.router,
        reminders.router,
        *accounts.routers,
        personal_tokens.router,
        password_resets.router,
        second_factors.router,
        deletions.router,
        data_exports.router,
        sessions.router,
        oidc.router,
        workspaces.router,
        bots.router,
        invitations.router,
        events.router,
        deliveries.router,
        devices.router,
        chats.router,
        preferences.router,
        reports.router,
        unsubscribe.router,
        realtime.router,
        health.router,
        viewers.router,
    )
    described = list(app.router.routes)  # FastAPI's own: `/openapi.json`
    app.router.routes[:] = [*(route for router in routers for route in router.routes), *described]
    keep_apart(app.router.routes)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(
        Observe, tracing=tracing or Tracing(service="taskbell-api"), slow=settings.slow_request.total_seconds()
    )
    # Outermost, so that browsers can also read the answer to an unexpected error.
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=[
                "ETag",
                "Idempotency-Replayed",
                "RateLimit",
                "RateLimit-Policy",
                "Retry-After",
                "Taskbell-Consistency",
                "X-Request-ID",
            ],
        )
    return app
