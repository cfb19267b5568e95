"""THE error boundary of events and connects: what a handler raises becomes an ack, a refusal, or a line in the log.

Nothing that a handler raises gets past this module, and no traceback reaches a client.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog

from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.errors import EventError, Internal, RateLimited, Refused
from rtserver.identity import Identity
from rtserver.protocol import packets
from rtserver.sio.broadcast.encoding import Encode
from rtserver.sio.client.handshake import Handshake
from rtserver.sio.dispatch.handler_timeout import HandlerTimeout, with_timeout
from rtserver.sio.dispatch.interfaces import NO_ACK, Handler, ack_values

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client
    from rtserver.sio.namespace.namespace import Namespace


class Authenticator(Protocol):
    """None when the handshake offers no token at all; raises `Refused` when it offers a bad one."""

    async def authenticate(self, handshake: Handshake) -> Identity | None: ...


log = structlog.get_logger("rtserver.events")

Result = TypeVar("Result")
SHOWN = 100
"""Characters of an event's name that go into the log: the name is of the client's choosing."""


def begin(client: Client, args: list[Any], id: int | None) -> Awaitable[None] | None:
    """Handle `[name, *args]` and answer it when the client asked for an ack; what is to be awaited, if anything is."""
    started = time.perf_counter()
    code: str | None = None
    try:
        answer = client.handler.event(client, args)
        if type(answer) is list:
            if id is not None:
                client.send_ack(id, answer)
        elif answer is not NO_ACK:
            return _finish(client, args, id, answer, started)  # type: ignore[arg-type]  # it is a coroutine
    except (Exception, asyncio.CancelledError) as error:  # the error boundary
        code = _failed(client, args, id, error)
    client.server.metrics.event_in(client.handler.label, time.perf_counter() - started, code)
    return None


async def _finish(
    client: Client, args: list[Any], id: int | None, handling: Coroutine[Any, Any, Any], started: float
) -> None:
    code: str | None = None
    try:
        server = client.server
        result = await with_timeout(server.bounds.handler_timeout, server.engine.wheel, handling)
        if id is not None and result is not NO_ACK:
            client.send_ack(id, ack_values(result))
    except Exception as error:  # the error boundary
        code = _failed(client, args, id, error)
    except asyncio.CancelledError as error:
        code = _failed(client, args, id, _meant_for_another(error))
    finally:
        client.server.metrics.event_in(client.handler.label, time.perf_counter() - started, code)


def _failed(client: Client, args: list[Any], id: int | None, error: BaseException) -> str:
    """Log and answer what a handler raised; gives its code."""
    name = str(args[0])[:SHOWN]
    if isinstance(error, HandlerTimeout):
        log.warning("handler_timeout", namespace=client.namespace_name, event_name=name, sid=client.id)
    elif not isinstance(error, EventError):
        log.error("handler_failed", namespace=client.namespace_name, event_name=name, sid=client.id, exc_info=error)
        error = Internal()
    else:
        # A flood of events must not become a flood of lines.
        tell = log.debug if isinstance(error, RateLimited) else log.info
        tell("event_rejected", namespace=client.namespace_name, event_name=name, code=error.code, sid=client.id)
    _answer(client, id, error)
    return error.code


def _answer(client: Client, id: int | None, error: EventError) -> None:
    if id is None:
        return
    try:
        client.send_ack(id, [error.ack()])
    except Exception:  # the error boundary: details that cannot be sent
        log.exception("error_not_sendable", namespace=client.namespace_name, sid=client.id)
        client.send_ack(id, [Internal().ack()])


def _limited(client: Client, handling: Coroutine[Any, Any, Result]) -> Awaitable[Result]:
    """Cancelled when it takes longer than a handler may."""
    server = client.connection.server
    return with_timeout(server.bounds.handler_timeout, server.engine.wheel, handling)


class HandlerCancelled(RuntimeError):
    """A handler let through the cancellation of something that it waited for."""


async def _own(handling: Awaitable[Result]) -> Result:
    """Await a handler. A `CancelledError` that was not meant for this task is a failure like any other."""
    try:
        return await handling
    except asyncio.CancelledError as error:
        raise _meant_for_another(error) from error


def _meant_for_another(error: asyncio.CancelledError) -> HandlerCancelled:
    """What a cancellation is to a handler; raises it when it was meant for this task."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise error
    failure = HandlerCancelled()
    failure.__cause__ = error
    return failure


async def identify(authenticator: Authenticator | None, handler: Handler, handshake: Handshake) -> Identity | None:
    """The checked identity that the namespace asks for; raises `Refused`, whatever goes wrong."""
    if handler.auth == "none":
        return None
    try:
        identity = await _own(authenticator.authenticate(handshake)) if authenticator is not None else None
    except Refused:
        raise
    except Exception:  # the error boundary: an identity that cannot be checked is not let in
        log.exception("authentication_failed", address=handshake.address)
        raise Refused("Auth failed", code="unavailable") from None
    if identity is None:
        if handler.auth == "required":
            raise Refused("Auth failed", code="token_missing")
    elif not identity.has_any_role(handler.roles):
        raise Refused("Unauthorized", code="forbidden")
    return identity


async def run_connect(client: Client) -> None:
    """Ask the middleware and the connect handler; whatever they raise becomes `Refused`."""
    try:
        for step in client.server.middleware:
            result = step(client)
            if inspect.isawaitable(result):
                await _own(result)
        await _own(client.handler.connect(client))
    except Refused:
        raise
    except EventError as error:
        raise Refused(error.message, code=error.code) from None
    except Exception:  # the error boundary
        log.exception("connect_handler_failed", namespace=client.namespace_name, sid=client.id)
        raise Refused("Internal error", code="internal") from None


def refusal(encode: Encode, nsp: str, told: Any) -> PreparedMessage:
    """The CONNECT_ERROR packet; what the handler put into it may be impossible to send."""
    try:
        return encode(packets.CONNECT_ERROR, nsp, told)
    except Exception:  # the error boundary
        log.exception("refusal_not_sendable", namespace=nsp)
        return encode(packets.CONNECT_ERROR, nsp, Refused().payload())


async def run_connected(client: Client) -> None:
    try:
        await _own(_limited(client, client.handler.connected(client)))
    except Exception:  # the error boundary
        log.exception("connected_handler_failed", namespace=client.namespace_name, sid=client.id)


async def run_disconnecting(client: Client, reason: str) -> None:
    try:
        await _own(_limited(client, client.handler.disconnecting(client, reason)))
    except Exception:  # the error boundary
        log.exception("disconnecting_handler_failed", namespace=client.namespace_name, sid=client.id)


async def run_disconnect(client: Client, reason: str) -> None:
    try:
        await _own(_limited(client, client.handler.disconnect(client, reason)))
    except Exception:  # the error boundary
        log.exception("disconnect_handler_failed", namespace=client.namespace_name, sid=client.id)


def observe(observers: Iterable[Callable[..., object]], client: Client, args: list[Any]) -> None:
    """Show `[event, *args]` to those who only look on."""
    for observer in observers:
        try:
            observer(*args)
        except Exception:  # the error boundary
            log.exception("observer_failed", namespace=client.namespace_name, sid=client.id)


async def run_path(path: Callable[..., Any], name: str, auth: Any) -> bool:
    """Ask a function whether a name is its namespace; raises `Refused` when it does, or fails."""
    try:
        result = path(name, auth)
        return bool(await _own(result) if inspect.isawaitable(result) else result)
    except Refused:
        raise
    except Exception:  # the error boundary
        log.exception("path_function_failed", namespace=name[:SHOWN])
        raise Refused("Internal error", code="internal") from None


async def run_stop(namespace: Namespace) -> None:
    """One namespace that cannot stop must not keep the others from it."""
    try:
        await _own(namespace.on_stop())
    except Exception:  # the error boundary
        log.exception("stop_handler_failed", namespace=type(namespace).__name__)
