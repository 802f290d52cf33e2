"""A client that misses nothing: a copy of a workspace's tasks, kept up to date over the WebSocket.

    python client.py <e-mail> <password> <workspace id>     (the API's address: environment variable API)

It needs httpx and websockets.
"""

import asyncio
import contextlib
import json
import os
import random
import sys
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

API = os.environ.get("API", "http://127.0.0.1:8000")


class Client:
    """The view that one account has of one workspace."""

    def __init__(self, http: httpx.AsyncClient, email: str, password: str, workspace: str) -> None:
        self.http, self.workspace = http, workspace
        self.credentials = {"email": email, "password": password}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.cursor = ""
        self.pause = 0.25

    async def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Send a request; return the document of the response."""
        answer = await self.http.request(method, path, **arguments)
        return answer.raise_for_status().json()

    async def sign_in(self) -> None:
        """Sign in. A long-running client exchanges its refresh token instead of keeping the password."""
        tokens = await self.call("POST", "/v1/auth/login", json=self.credentials)
        self.http.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    async def load(self) -> None:
        """Take the end of the feed first, then load the state: a change in between comes twice rather than never."""
        here = {"workspace_id": self.workspace}
        feed = await self.call("GET", "/v1/events", params={**here, "after": "latest"})
        page: dict[str, Any] = {}
        self.tasks = {}
        while page.get("meta", {"has_more": True})["has_more"]:
            cursor = {"cursor": page["meta"]["next_cursor"]} if page else {}
            page = await self.call("GET", "/v1/tasks", params={**here, **cursor})
            self.tasks |= {task["id"]: task for task in page["items"]}
        self.cursor = feed["meta"]["next_cursor"]
        print(f"loaded {len(self.tasks)} tasks", flush=True)

    def take(self, event: dict[str, Any]) -> None:
        """Apply an event. Its data is the object as it was then; `version` tells which is newer.

        Texts that are long and did not change are not in it, so it is merged into the copy.
        """
        data = event["data"]
        if event["type"] == "notification.created":
            print(f"for you: {data['title']}: {data['body']}", flush=True)
        elif event["type"] == "task.deleted":
            self.tasks.pop(data["id"], None)
            print(f"deleted: {data['title']}", flush=True)
        elif event["type"].startswith("task."):
            known = self.tasks.get(data["id"], {})
            if data["version"] >= known.get("version", 0):
                fields = {name: value for name, value in data.items() if name not in ("previous", "omitted")}
                self.tasks[data["id"]] = {**known, **fields}
            print(f"{event['type']}: {data['title']}", flush=True)

    async def listen(self) -> None:
        """Follow one connection until it ends. A ticket is valid for one connection and 30 seconds."""
        ticket = await self.call("POST", "/v1/realtime/tickets")
        async with connect(ticket["url"], max_size=2**24) as socket:
            channels = [f"workspace:{self.workspace}"]  # events addressed to the user come anyway
            await socket.send(json.dumps({"t": "hello", "resume": self.cursor, "channels": channels}))
            async for text in socket:
                frame = json.loads(text)
                if frame["t"] == "welcome":
                    self.pause = 0.25
                    if frame["resume"] == "gap":  # too many events were missed to replay them
                        await self.load()
                        continue
                if frame["t"] == "event":
                    self.take(frame["event"])
                if frame["t"] == "ping":
                    await socket.send('{"t": "pong"}')
                self.cursor = frame.get("cursor", self.cursor)  # after the event was processed

    async def follow(self) -> None:
        """Reconnect forever, with random pauses that grow."""
        while True:
            try:
                await self.sign_in()
                if not self.cursor:
                    await self.load()
                await self.listen()
            except httpx.HTTPStatusError as refused:
                if refused.response.status_code < 500:  # retrying a wrong password is useless
                    raise SystemExit(f"{refused.response.status_code}: {refused.response.text}") from None
            except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake, httpx.TransportError) as ended:
                print(f"away ({type(ended).__name__}); coming back", flush=True)
            await asyncio.sleep(random.uniform(0, self.pause))
            self.pause = min(2 * self.pause, 10)


async def main(email: str, password: str, workspace: str) -> None:
    """Follow until Ctrl-C."""
    async with httpx.AsyncClient(base_url=API) as http:
        await Client(http, email, password, workspace).follow()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
