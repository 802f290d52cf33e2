"""Kopf watches the cluster and puts every object that changed on the queue; it does nothing else.

No handler keeps state in annotations, sets finalizers or fails, so Kopf never stops handling an object. `supervision`
starts Kopf, and starts it again when a watch does not run.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import aiohttp
import kopf

from taskbell.contract.crds import GROUP
from taskbell.operator.cluster import CRON_JOBS, Resource
from taskbell.operator.queue import Key
from taskbell.operator.words import in_words

_ERROR_BACKOFFS = (0.1, 0.2, 0.5, 1, 2)
"""Seconds before each retry of a request; after the last one Kopf gives up, and is started again."""
_SERVER_TIMEOUT = 290
"""Seconds after which the API server ends a watch and Kopf begins it again. The API server takes only an int."""
_ENDS_WITHIN = 1.0
"""Seconds after which the tasks of a Kopf that was asked to stop are cancelled again."""
_OK = 200
_IDENTITY: Any = "taskbell-operator"
"""A name for logs. Kopf would ask for the name of the process's user, and the user of a container may have none."""


class Answered(Protocol):
    """Takes the path of a request that was answered, and whether a watch runs there now."""

    def __call__(self, path: str, *, runs: bool) -> None:
        """Note it."""


class WatchesEnded(Exception):
    """Kopf stopped watching without being asked to; the text tells why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Who is told what Kopf sees, all in the event loop of `watch`.

    Attributes:
        changed: An object changed, or a CronJob that belongs to it.
        name_changed: A CronJob of this name changed that belongs to nobody here.
        answered: A request for a path was answered; whether a watch runs there now.
    """

    changed: Callable[[Key], None]
    name_changed: Callable[[Key], None]
    answered: Answered

    def called_in(self, loop: asyncio.AbstractEventLoop) -> Reports:
        """The same, called from another thread."""

        def handed_over(call: Callable[..., None]) -> Callable[..., None]:
            def hand_over(*told: Any, **by_name: Any) -> None:
                loop.call_soon_threadsafe(partial(call, *told, **by_name))

            return hand_over

        return Reports(
            changed=handed_over(self.changed),
            name_changed=handed_over(self.name_changed),
            answered=handed_over(self.answered),
        )


def registered(kinds: Collection[Resource], reports: Reports, *, url: str = "") -> kopf.OperatorRegistry:
    """Handlers for these custom kinds and CronJobs.

    `url`: an API server without sign-in, instead of the pod's or the kubeconfig's.
    """
    registry = kopf.OperatorRegistry()
    owning = {kind.kind for kind in kinds}

    async def changed(body: kopf.Body, **_: Any) -> None:
        metadata = body["metadata"]
        reports.changed(Key(body["kind"], metadata["namespace"], metadata["name"]))

    async def cron_job_changed(body: kopf.Body, **_: Any) -> None:
        metadata = body["metadata"]
        owners = [
            Key(owner["kind"], metadata["namespace"], owner["name"])
            for owner in metadata.get("ownerReferences", [])
            if owner["kind"] in owning and owner["apiVersion"].startswith(f"{GROUP}/")
        ]
        for owner in owners:
            reports.changed(owner)
        # The name of a CronJob is that of its schedule: one that somebody else deletes makes the name free, and one
        # whose ownerReferences somebody removed gets them back.
        reports.name_changed(Key("ReminderSchedule", metadata["namespace"], metadata["name"]))

    for kind in kinds:
        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"{kind.plural}-changed")(changed)
    # Selects by owner and name and not by label: a CronJob whose labels somebody removed must be seen and corrected.
    kopf.on.event(CRON_JOBS.group, CRON_JOBS.version, CRON_JOBS.plural, registry=registry)(cron_job_changed)

    used: list[kopf.ConnectionInfo] = []

    async def sign_in(**kwargs: Any) -> kopf.AiohttpSession | None:
        found = kopf.ConnectionInfo(server=url) if url else None
        found = found or kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
        if found is None or found in used:  # what was refused ends Kopf; the next start reads it again
            return None
        used.append(found)
        return _observed(found, reports.answered)

    kopf.on.login(registry=registry, errors=kopf.ErrorsMode.PERMANENT)(sign_in)
    return registry


def _observed(info: kopf.ConnectionInfo, answered: Answered) -> kopf.AiohttpSession:
    """Kopf's way to the API server, which tells which watches run: Kopf itself does not."""
    trace = aiohttp.TraceConfig()

    async def ended(_: Any, __: Any, request: aiohttp.TraceRequestEndParams) -> None:
        is_watch = request.url.query.get("watch") == "true"
        if is_watch or request.response.status != _OK:
            answered(request.url.path, runs=is_watch and request.response.status == _OK)

    async def failed(_: Any, __: Any, request: aiohttp.TraceRequestExceptionParams) -> None:
        answered(request.url.path, runs=False)

    trace.on_request_end.append(ended)
    trace.on_request_exception.append(failed)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
        trust_env=info.trust_env,
        trace_configs=[trace],
    )
    return kopf.AiohttpSession(
        server=info.server,
        default_namespace=info.default_namespace,
        priority=info.priority,
        expiration=info.expiration,
        aiohttp_session=session,
    )


async def watch(
    kinds: Collection[Resource], reports: Reports, *, namespaces: Collection[str] = (), url: str = ""
) -> None:
    """Watch these custom kinds and CronJobs until cancelled. No namespaces: the whole cluster.

    A kind that the API server does not serve at the start is not watched later, either. Kopf runs in a thread with an
    event loop of its own: it takes over the signals of its process, and at its end it cancels every other task of its
    loop.

    Raises:
        WatchesEnded: Kopf ended by itself.
    """
    logging.getLogger("kopf").setLevel(logging.CRITICAL)  # the error that ends Kopf is told by who starts it again
    loop, stop = asyncio.get_running_loop(), threading.Event()
    its_loop: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        its_loop.append(asyncio.get_running_loop())
        try:
            await kopf.operator(
                registry=registered(kinds, reports.called_in(loop), url=url),
                settings=_settings(),
                identity=_IDENTITY,
                standalone=True,  # the Lease elects one process; with peering, two of equal priority pause each other
                clusterwide=not namespaces,
                namespaces=list(namespaces),
                stop_flag=stop,
            )
        finally:
            stop.set()  # otherwise the thread that waits for the flag keeps this loop from closing

    def run_to_the_end() -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(run())

    thread = loop.run_in_executor(None, run_to_the_end)
    try:
        await asyncio.shield(thread)
    except Exception as failed:
        raise WatchesEnded(getattr(failed, "message", None) or in_words(failed)) from failed
    finally:
        stop.set()
        asked = loop.time()
        while not thread.done():
            with suppress(
                asyncio.CancelledError
            ):  # a thread cannot be left behind: the process waits for it at its end
                await asyncio.wait([thread], timeout=_ENDS_WITHIN)
            if loop.time() - asked >= _ENDS_WITHIN and its_loop:
                with suppress(RuntimeError):  # it has just closed
                    its_loop[0].call_soon_threadsafe(_cancel_all)
    raise WatchesEnded("Kopf ended by itself")


def _cancel_all() -> None:
    """Cancel the tasks of this thread's loop: in Python 3.11 one may swallow a cancellation, and Kopf cancels once."""
    for task in asyncio.all_tasks():
        task.cancel()


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # the module `events` records events, with numbers
    settings.scanning.disabled = True  # `supervision` looks for definitions that are missing, and needs no more rights
    settings.watching.server_timeout = _SERVER_TIMEOUT
    settings.watching.client_timeout = _SERVER_TIMEOUT + 10
    settings.watching.reconnect_backoff = 0.2
    settings.queueing.exit_timeout = 0.5  # handlers only enqueue: there is nothing to wait for
    settings.networking.error_backoffs = _ERROR_BACKOFFS
    return settings
