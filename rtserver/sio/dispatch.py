"""THE error boundary of events and connects: what a handler raises becomes an ack, a refusal, or a line in the log.

Nothing that a handler raises gets past this module, and no traceback reaches a client.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from rtserver.errors import EventError, Internal, Refused
from rtserver.identity import Identity
from rtserver.sio.handler import NO_ACK, Handler
from rtserver.sio.handshake import Handshake

if TYPE_CHECKING:
    from rtserver.sio.client import Client


class Authenticator(Protocol):
    """None when the handshake offers no token at all; raises `Refused` when it offers a bad one."""

    async def authenticate(self, handshake: Handshake) -> Identity | None: ...


log = structlog.get_logger("rtserver.events")


async def run_event(client: Client, args: list[Any], id: int | None) -> None:
    """Handle `[name, *args]` and answer it when the client asked for an ack."""
    started = time.perf_counter()
    code: str | None = None
    try:
        answer = await client.handler.event(client, args)
        if id is not None and answer is not NO_ACK:
            client.send_ack(id, answer)  # type: ignore[arg-type]  # not NO_ACK
    except EventError as error:
        code = error.code
        log.info("event_rejected", namespace=client.namespace_name, event_name=args[0], code=code, sid=client.id)
        _answer(client, id, error)
    except Exception:  # the error boundary
        code = Internal.code
        log.exception("handler_failed", namespace=client.namespace_name, event_name=args[0], sid=client.id)
        _answer(client, id, Internal())
    finally:
        client.server.metrics.event_in(client.namespace_name, time.perf_counter() - started, code)


def _answer(client: Client, id: int | None, error: EventError) -> None:
    if id is not None:
        client.send_ack(id, [error.ack()])


async def identify(authenticator: Authenticator | None, handler: Handler, handshake: Handshake) -> Identity | None:
    """The checked identity that the namespace asks for; raises `Refused`, whatever goes wrong."""
    if handler.auth == "none":
        return None
    try:
        identity = await authenticator.authenticate(handshake) if authenticator is not None else None
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


async def run_connect(client: Client) -> Refused | None:
    """Ask the connect handler; whatever it raises refuses the client."""
    try:
        await client.handler.connect(client)
    except Refused as refused:
        return refused
    except EventError as error:
        return Refused(error.message, code=error.code)
    except Exception:  # the error boundary
        log.exception("connect_handler_failed", namespace=client.namespace_name, sid=client.id)
        return Refused("Internal error", code="internal")
    return None


async def run_connected(client: Client) -> None:
    try:
        await client.handler.connected(client)
    except Exception:  # the error boundary
        log.exception("connected_handler_failed", namespace=client.namespace_name, sid=client.id)


async def run_disconnect(client: Client, reason: str) -> None:
    try:
        await client.handler.disconnect(client, reason)
    except Exception:  # the error boundary
        log.exception("disconnect_handler_failed", namespace=client.namespace_name, sid=client.id)
