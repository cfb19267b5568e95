"""What stands between a page and its server, and keeps the answers to what the page asks."""

from collections.abc import Callable
from functools import partial

from playwright.async_api import BrowserContext, WebSocketRoute


class HeldAnswers:
    """Once a page has a WebSocket: acks of `namespace` wait in `held` while `holding`, the rest goes on."""

    def __init__(self, namespace: str) -> None:
        self.holding = False
        self.held: list[Callable[[], None]] = []
        self.passed: list[str] = []
        self._ack = f"43{namespace},"

    async def stand_between(self, context: BrowserContext) -> None:
        await context.route_web_socket("**/socket.io/**", self._route)

    def _route(self, page: WebSocketRoute) -> None:
        page.connect_to_server().on_message(partial(self._on_message, page))

    def _on_message(self, page: WebSocketRoute, message: str | bytes) -> None:
        if self.holding and str(message).startswith(self._ack):
            self.held.append(partial(page.send, message))
        else:
            self.passed.append(str(message))
            page.send(message)

    def release(self) -> None:
        self.holding = False
        for send in self.held:
            send()
