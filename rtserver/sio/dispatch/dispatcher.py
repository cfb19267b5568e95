"""Dispatcher: runs handlers, and is the one error boundary of events and connects.

1. An exception of a handler becomes an error ack, a refused CONNECT or a log line. None leaves this module.
2. No traceback and no text of an unexpected exception reaches a client.
3. An event counts as handled once the client has taken enough of its answers, see
   `rtserver.engine.session.backpressure`.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog

from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.errors import ConfigError, EventError, Internal, RateLimited, Refused, RtServerError, Unavailable
from rtserver.identity import Identity
from rtserver.protocol import packets
from rtserver.sio.broadcast.encoding import Encode
from rtserver.sio.dispatch.handler_timeout import HandlerTimeout, with_timeout
from rtserver.sio.dispatch.interfaces import NO_ACK, Handler, ack_values
from rtserver.telemetry.user_traceback import explain

if TYPE_CHECKING:
    from rtserver.sio.broadcast.recipient import PublicHandshake, Recipient
    from rtserver.sio.dispatch.interfaces import ClientContext

HandshakeT = TypeVar("HandshakeT", bound="PublicHandshake", contravariant=True)


class Authenticator(Protocol[HandshakeT]):
    """Checks the token of a handshake (`rtserver.sio.client.handshake.Handshake`)."""

    async def authenticate(self, handshake: HandshakeT) -> Identity | None:
        """The identity; None when the handshake carries no token. Raises `Refused` for an invalid token."""


log = structlog.get_logger("rtserver.events")

Result = TypeVar("Result")
MAX_LOGGED_NAME = 100
"""Characters of an event's name that are logged: the client chooses the name."""


def handle_event(client: ClientContext, args: list[Any], id: int | None) -> Awaitable[None] | None:
    """Handle `[name, *args]`, and send the ack when the client asked for one, by `id`.

    Returns None when the handler has finished, else an awaitable for the rest (see `HandlerResult`).
    """
    started = time.perf_counter()
    if started > client.connection.server.engine.wheel.late_at and _given_up(client):
        return None
    code: str | None = None
    try:
        result = client.handler.event(client, args)
        if type(result) is list:
            if id is not None:
                client.send_ack(id, result)
        elif result is not NO_ACK:
            return _finish(client, args, id, result, started)  # type: ignore[arg-type]  # it is a coroutine
    except (Exception, asyncio.CancelledError) as error:  # the error boundary
        code = _failed(client, args, id, error)
    client.connection.server.metrics.event_in(client.handler.label, time.perf_counter() - started, code)
    return client.outbox.answers_taken() if client.outbox.send is None else None


def _given_up(client: ClientContext) -> bool:
    """Whether the client is lost, now that a stalled process judges the heartbeats before it goes on."""
    client.connection.server.engine.wheel.catch_up()
    return client.connection.closed


async def _finish(
    client: ClientContext, args: list[Any], id: int | None, handling: Coroutine[Any, Any, Any], started: float
) -> None:
    code: str | None = None
    server = client.connection.server
    try:
        result = await with_timeout(server.limits.handler_timeout, server.engine.wheel, handling)
        if id is not None and result is not NO_ACK:
            client.send_ack(id, ack_values(result))
        del result  # it may be large, and the client may take long for it
    except Exception as error:  # the error boundary
        code = _failed(client, args, id, error)
    except asyncio.CancelledError as error:
        code = _failed(client, args, id, _as_failure(error))
    finally:
        server.metrics.event_in(client.handler.label, time.perf_counter() - started, code)
    if client.outbox.send is None and (taken := client.outbox.answers_taken()) is not None:
        await taken


def _failed(client: ClientContext, args: list[Any], id: int | None, error: BaseException) -> str:
    """Log the exception of a handler and send its error ack; returns the error code."""
    name = str(args[0])[:MAX_LOGGED_NAME]
    if isinstance(error, HandlerTimeout):
        log.warning("handler_timeout", namespace=client.namespace_name, event_name=name, sid=client.id)
    elif not isinstance(error, EventError):
        log.error("handler_failed", namespace=client.namespace_name, event_name=name, sid=client.id, exc_info=error)
        error = Internal()
    else:
        # A flood of events must not become a flood of log lines; whatever is unavailable has a line of its own.
        log_rejection = log.debug if isinstance(error, RateLimited | Unavailable) else log.info
        log_rejection(
            "event_rejected", namespace=client.namespace_name, event_name=name, code=error.code, sid=client.id
        )
    _send_error(client, id, error)
    return error.code


def _send_error(client: ClientContext, id: int | None, error: EventError) -> None:
    if id is None:
        return
    try:
        client.send_ack(id, [error.ack()])
    except Exception:  # the error boundary: details that cannot be encoded
        log.exception("error_not_sendable", namespace=client.namespace_name, sid=client.id)
        client.send_ack(id, [Internal().ack()])


def _limited(client: ClientContext, handling: Coroutine[Any, Any, Result]) -> Awaitable[Result]:
    """`handling`, cancelled when it takes longer than the handler timeout."""
    server = client.connection.server
    return with_timeout(server.limits.handler_timeout, server.engine.wheel, handling)


class HandlerCancelled(RuntimeError):
    """A handler raised the CancelledError of something that it awaited."""


async def _await_handler(handling: Awaitable[Result]) -> Result:
    """Await a handler. A CancelledError that does not cancel this task is a failure like any other."""
    try:
        return await handling
    except asyncio.CancelledError as error:
        raise _as_failure(error) from error


def _as_failure(error: asyncio.CancelledError) -> HandlerCancelled:
    """A handler's CancelledError as a failure; raises the error itself when this task is being cancelled."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise error
    failure = HandlerCancelled()
    failure.__cause__ = error
    return failure


async def identify(
    authenticator: Authenticator[HandshakeT] | None, handler: Handler[Any], handshake: HandshakeT
) -> Identity | None:
    """The checked identity that the namespace asks for, None where it needs none; raises only `Refused`."""
    if handler.auth == "none":
        return None
    try:
        identity = await _await_handler(authenticator.authenticate(handshake)) if authenticator is not None else None
    except Refused:
        raise
    except Exception:  # the error boundary: an identity that cannot be checked is refused
        log.exception("authentication_failed", address=handshake.address)
        raise Refused("Auth failed", code="unavailable") from None
    if identity is None:
        if handler.auth == "required":
            raise Refused("Auth failed", code="token_missing")
    elif not identity.has_any_role(handler.roles):
        raise Refused("Unauthorized", code="forbidden")
    return identity


async def run_connect(client: ClientContext) -> None:
    """Run the server's middleware and the connect handler; what they raise becomes `Refused`."""
    try:
        for step in client.connection.server.middleware:
            result = step(client)
            if inspect.isawaitable(result):
                await _await_handler(result)
        await _await_handler(client.handler.connect(client))
    except Refused:
        raise
    except EventError as error:
        raise Refused(error.message, code=error.code) from None
    except Exception:  # the error boundary
        log.exception("connect_handler_failed", namespace=client.namespace_name, sid=client.id)
        raise Refused("Internal error", code="internal") from None


def connect_error(encode: Encode, nsp: str, payload: Any) -> PreparedMessage:
    """The CONNECT_ERROR packet; without data when the handler's data cannot be encoded."""
    try:
        return encode(packets.CONNECT_ERROR, nsp, payload)
    except Exception:  # the error boundary
        log.exception("refusal_not_sendable", namespace=nsp)
        return encode(packets.CONNECT_ERROR, nsp, Refused().payload())


async def run_connected(client: ClientContext) -> None:
    """Run the handler's `connected`; an exception is logged."""
    try:
        await _await_handler(_limited(client, client.handler.connected(client)))
    except Exception:  # the error boundary
        log.exception("connected_handler_failed", namespace=client.namespace_name, sid=client.id)


async def run_disconnecting(client: ClientContext, reason: str) -> None:
    """Run the handler's `disconnecting`; an exception is logged."""
    try:
        await _await_handler(_limited(client, client.handler.disconnecting(client, reason)))
    except Exception:  # the error boundary
        log.exception("disconnecting_handler_failed", namespace=client.namespace_name, sid=client.id)


async def run_disconnect(client: ClientContext, reason: str) -> None:
    """Run the handler's `disconnect`; an exception is logged."""
    try:
        await _await_handler(_limited(client, client.handler.disconnect(client, reason)))
    except Exception:  # the error boundary
        log.exception("disconnect_handler_failed", namespace=client.namespace_name, sid=client.id)


def observe(observers: Iterable[Callable[..., object]], client: Recipient, args: list[Any]) -> None:
    """Call each observer with the event's name and arguments; an exception is logged."""
    for observer in observers:
        try:
            observer(*args)
        except Exception:  # the error boundary
            log.exception("observer_failed", namespace=client.namespace_name, sid=client.id)


async def run_path(path: Callable[..., Any], name: str, auth: Any) -> bool:
    """Whether the path function of a dynamic namespace accepts a name. Raises `Refused` when it does, or fails."""
    try:
        result = path(name, auth)
        return bool(await _await_handler(result) if inspect.isawaitable(result) else result)
    except Refused:
        raise
    except Exception:  # the error boundary
        log.exception("path_function_failed", namespace=name[:MAX_LOGGED_NAME])
        raise Refused("Internal error", code="internal") from None


async def run_start(on_start: Callable[[], Awaitable[None]], namespace: type) -> None:
    """Run `on_start` of a namespace. Raises `ConfigError` for a failure: the server cannot start without it."""
    try:
        await _await_handler(on_start())
    except RtServerError:
        raise
    except Exception as error:  # the error boundary
        raise ConfigError([f"{namespace.__name__}.on_start failed: {explain(error, namespace.__module__)}"]) from error


async def run_stop(on_stop: Callable[[], Awaitable[None]], namespace: str) -> None:
    """Run `on_stop` of a namespace. A failure is logged, so that the other namespaces still stop."""
    try:
        await _await_handler(on_stop())
    except Exception:  # the error boundary
        log.exception("stop_handler_failed", namespace=namespace)
