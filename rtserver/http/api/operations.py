"""The table of the HTTP API: from it come the routes, the checks of what is sent, and the OpenAPI document.

Owns what an operation is and how its handler declares it; must not know any of them.

    class RoomsApi:
        @operation("GET", "/api/rooms/{room}/messages", summary="Read a room's messages", tag="rooms")
        async def messages(self, path: RoomPath, query: PageQuery) -> MessagesAnswer:
            \"\"\"The longer text of the document.\"\"\"

A handler names what it needs: `path`, `query` and `body` are converted to their annotation (structs), `caller` is a
`Caller`, `request` is aiohttp's, for bodies that are not JSON. It returns a struct, or aiohttp's response itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_type_hints

from rtserver.errors import EventError

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Access = Literal["backend", "user", "anybody"]
"""Who may call: holders of an API key or a service's token; these and every user with a token; anybody."""

Handler = Callable[..., Awaitable[Any]]
Decorated = TypeVar("Decorated", bound=Handler)

INPUTS = frozenset({"path", "query", "body", "caller", "request"})
JSON = "application/json"
_MARK = "__operation__"


@dataclass(frozen=True, slots=True)
class Operation:
    """`errors` are those beyond the ones that every operation has; `takes` and `gives` are media types."""

    method: Method
    path: str
    name: str
    summary: str
    description: str
    tag: str
    access: Access
    inputs: Mapping[str, Any]
    answer: Any
    errors: tuple[type[EventError], ...]
    takes: str
    gives: str
    status: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation with the one who carries it out."""

    operation: Operation
    handler: Handler


def operation(
    method: Method,
    path: str,
    *,
    summary: str,
    tag: str,
    access: Access = "backend",
    errors: Iterable[type[EventError]] = (),
    takes: str = JSON,
    gives: str = JSON,
    status: int = 200,
) -> Callable[[Decorated], Decorated]:
    """Enter the decorated method into the table; its annotations and docstring say the rest."""

    def enter(handler: Decorated) -> Decorated:
        inputs, answer = _declared(handler)
        entered = Operation(
            method=method, path=path, name=handler.__name__.strip("_"), summary=summary,
            description=inspect.getdoc(handler) or "", tag=tag, access=access, inputs=inputs, answer=answer,
            errors=tuple(errors), takes=takes, gives=gives, status=status,
        )  # fmt: skip
        setattr(handler, _MARK, entered)
        return handler

    return enter


def endpoints(parts: Iterable[object]) -> list[Endpoint]:
    """The operations of all `parts`; raises `ValueError` when two are the same."""
    found = [endpoint for part in parts for endpoint in _of(part)]
    seen: set[tuple[str, str]] = set()
    names: set[str] = set()
    for endpoint in found:
        entered = endpoint.operation
        if (entered.method, entered.path) in seen or entered.name in names:
            raise ValueError(f"{entered.method} {entered.path} ({entered.name}) is in the table twice")
        seen.add((entered.method, entered.path))
        names.add(entered.name)
    return found


def _of(part: object) -> Iterable[Endpoint]:
    for name in vars(type(part)):
        handler = getattr(part, name)
        entered = getattr(handler, _MARK, None)
        if isinstance(entered, Operation):
            yield Endpoint(entered, handler)


def _declared(handler: Handler) -> tuple[dict[str, Any], Any]:
    hints = get_type_hints(handler, include_extras=True)
    answer = hints.pop("return")
    unknown = hints.keys() - INPUTS
    if unknown:
        raise TypeError(f"{handler.__qualname__} asks for {sorted(unknown)}; there are {sorted(INPUTS)}")
    return hints, answer
