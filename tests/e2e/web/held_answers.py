"""Man in the middle of a page and its server that can hold back the answers to requests."""

from collections.abc import Callable
from functools import partial

from playwright.async_api import BrowserContext, WebSocketRoute


class HeldAnswers:
    """Holds acks of `namespace` in `held` while `holding`, and passes everything else. Only for WebSockets."""

    def __init__(self, namespace: str) -> None:
        self.holding = False
        self.held: list[Callable[[], None]] = []
        self.passed: list[str] = []
        self._ack = f"43{namespace},"

    async def intercept(self, context: BrowserContext) -> None:
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
