"""Operation table of the HTTP API: the source of its routes, its input checks and the OpenAPI document.

Owns what an operation is and how its handler declares it; must not know the operations.

    class RoomsApi:
        @operation("GET", "/api/rooms/{room}/messages", summary="Read a room's messages", tag="rooms")
        async def messages(self, path: RoomPath, query: PageQuery) -> MessagesAnswer:
            \"\"\"The description in the OpenAPI document.\"\"\"

A handler names its inputs as parameters: `path`, `query` and `body` are converted to their annotation (structs),
`caller` is a `Caller`, `request` is aiohttp's, for other bodies than JSON. It returns a struct or an aiohttp response.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_type_hints

from rtserver.errors import EventError

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Access = Literal["backend", "user", "public"]
"""Permitted callers: holders of an API key or a service's token; these and every user with a token; everyone."""

Handler = Callable[..., Awaitable[Any]]
Decorated = TypeVar("Decorated", bound=Handler)

INPUTS = frozenset({"path", "query", "body", "caller", "request"})
JSON = "application/json"
_MARK = "__operation__"


@dataclass(frozen=True, slots=True)
class Operation:
    """`errors` come in addition to those of every operation; `takes` and `gives` are media types."""

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
    """An operation and the method that executes it."""

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
    """Add the decorated method to the table.

    Its name is the operationId, its annotations are the inputs and the answer, its docstring is the description.
    """

    def add(handler: Decorated) -> Decorated:
        inputs, answer = _declared(handler)
        added = Operation(
            method=method, path=path, name=handler.__name__.strip("_"), summary=summary,
            description=inspect.getdoc(handler) or "", tag=tag, access=access, inputs=inputs, answer=answer,
            errors=tuple(errors), takes=takes, gives=gives, status=status,
        )  # fmt: skip
        setattr(handler, _MARK, added)
        return handler

    return add


def endpoints(parts: Iterable[object]) -> list[Endpoint]:
    """Return the operations of all `parts`; raises `ValueError` when two are the same."""
    found = [endpoint for part in parts for endpoint in _of(part)]
    seen: set[tuple[str, str]] = set()
    names: set[str] = set()
    for endpoint in found:
        each = endpoint.operation
        if (each.method, each.path) in seen or each.name in names:
            raise ValueError(f"{each.method} {each.path} ({each.name}) is in the table twice")
        seen.add((each.method, each.path))
        names.add(each.name)
    return found


def _of(part: object) -> Iterable[Endpoint]:
    for name in vars(type(part)):
        handler = getattr(part, name)
        marked = getattr(handler, _MARK, None)
        if isinstance(marked, Operation):
            yield Endpoint(marked, handler)


def _declared(handler: Handler) -> tuple[dict[str, Any], Any]:
    hints = get_type_hints(handler, include_extras=True)
    answer = hints.pop("return")
    unknown = hints.keys() - INPUTS
    if unknown:
        raise TypeError(f"{handler.__qualname__} asks for {sorted(unknown)}; there are {sorted(INPUTS)}")
    return hints, answer
