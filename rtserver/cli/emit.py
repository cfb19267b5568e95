"""`rtserver emit`: emits one live event to the clients of the cluster, from a shell."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any

import typer

from rtserver.config.settings import Settings
from rtserver.errors import Unavailable
from rtserver.process.startup import FAILED, USAGE, load_settings, stop
from rtserver.protocol import json

_SHOWN = 40
_MAX_INPUT = 16 * 1024 * 1024
"""Bytes of standard input; no server accepts a larger message."""


def emit(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The name of the event.", show_default=False)],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="JSON", help="Its arguments, each as JSON; - reads one from standard input."),
    ] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="The namespace, such as /chat.", show_default=False)
    ] = "",
    to: Annotated[list[str] | None, typer.Option("--to", "-t", help="A room; may be given several times.")] = None,
    user: Annotated[list[str] | None, typer.Option("--user", "-u", help="A user's id: all their devices.")] = None,
    except_: Annotated[
        list[str] | None, typer.Option("--except", "-x", help="A room whose members do not get it.")
    ] = None,
    volatile: Annotated[
        bool, typer.Option("--volatile", help="Drop it for clients that cannot receive it now.")
    ] = False,
    redis_url: Annotated[
        str | None, typer.Option(help="The Redis of the servers. [dim]\\[RTSERVER_REDIS_URL][/dim]", metavar="URL")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for Redis.", min=0.01, max=3600)] = 5.0,
) -> None:
    """Emit a live event to the clients of all servers, through Redis.

    Without --to and --user it goes to all clients in the namespace.
    It is sent once, to clients that are connected: use the HTTP API for messages that must arrive.

    [bold]rtserver emit -n /chat --to general maintenance '{"minutes": 5}'[/bold]

    [bold]jq -c . report.json | rtserver emit -n /admin report -[/bold]

    Text is JSON too, with its own quotes: [bold]'"hello"'[/bold].
    Put [bold]--[/bold] before a negative number, so that it is not read as an option.
    """
    if not namespace:
        stop("A namespace is required, such as --namespace /chat.", exit_code=USAGE)
    values = _values(arguments or [])
    settings = load_settings({} if redis_url is None else {"redis_url": redis_url}, exit_code=FAILED)
    if settings.redis_url is None:
        stop("Redis is not configured: set RTSERVER_REDIS_URL, or give --redis-url.", exit_code=USAGE)
    url = settings.redis_url.get_secret_value()
    rooms = [*(to or []), *(f"user:{one}" for one in user or [])]
    try:
        servers = asyncio.run(_send(url, settings, timeout, namespace, rooms, except_ or [], volatile, event, values))
    except (ValueError, TypeError) as error:
        stop(f"This cannot be emitted: {error}.", exit_code=USAGE)
    except Unavailable as error:
        stop(f"Nothing was emitted. {error.message}", exit_code=FAILED)
    if servers:
        typer.echo(f"Redis delivered it to {servers} server{'s' if servers > 1 else ''}.")
    else:
        typer.echo(f"Redis has no server that has the namespace {namespace}: no client was reached.", err=True)


def _values(arguments: list[str]) -> list[Any]:
    if arguments.count("-") > 1:
        stop("Standard input can be read only once: give - once.", exit_code=USAGE)
    return [_value(text, number) for number, text in enumerate(arguments, 1)]


def _value(text: str, number: int) -> Any:
    source = "Standard input" if text == "-" else f"Argument {number}"
    given: str | bytes = text
    if text == "-" and len(given := sys.stdin.buffer.read(_MAX_INPUT + 1)) > _MAX_INPUT:
        stop(f"Standard input is more than {_MAX_INPUT >> 20} MiB, and no server accepts as much.", exit_code=USAGE)
    try:
        return json.loads(given)
    except ValueError as error:
        hint = "" if text == "-" else f": {text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}"
        stop(f"{source} is not JSON{hint} ({error}). Text needs its own quotes: '\"text\"'.", exit_code=USAGE)


async def _send(
    url: str, settings: Settings, timeout: float, namespace: str, rooms: list[str], left_out: list[str],
    volatile: bool, event: str, values: list[Any],
) -> int:  # fmt: skip
    from rtserver.cluster.emitter.emitter import Emitter

    secret = settings.cluster_secret[0].get_secret_value() if settings.cluster_secret else None
    adapter: Any = settings.redis_adapter
    async with Emitter(url, key=settings.redis_key, timeout=timeout, adapter=adapter, secret=secret) as emitter:
        operator = emitter.of(namespace).to(*rooms).except_(*left_out)
        return await (operator.volatile if volatile else operator).emit(event, *values)
