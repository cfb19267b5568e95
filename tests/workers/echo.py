"""Namespace of these tests: an echo, and one room with all clients."""

from typing import Any

from rtserver import Client, Namespace, event


class Echo(Namespace, path="/echo"):
    auth = "none"

    async def on_connect(self, client: Client) -> None:
        await client.join("all")

    @event("echo", rate=None)
    async def echo(self, client: Client, value: Any) -> Any:
        return value

    @event("tell", rate=None)
    async def tell(self, client: Client, value: Any) -> None:
        await self.to("all").emit("told", value)
