"""Scheduled requests of backends: listing and cancelling."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

from rtserver.errors import Conflict, NotFound
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import Limit, OkResponse, UserId
from rtserver.store.ingest.schedule import ScheduledItem

Kind = Literal["notification", "message", "emit"]
Cursor = Annotated[str, Meta(max_length=60, pattern=r"^[0-9]{1,16}\.[0-9a-v]{1,40}$")]


class Schedule(Protocol):
    """The saved requests that are due later, and those that failed."""

    async def find(self, id: str) -> ScheduledItem | None:
        """Return a scheduled request; None when it is done or never was."""
        ...

    async def page(
        self, *, kind: str | None, key: str | None, failed: bool, after: str, limit: int
    ) -> tuple[list[ScheduledItem], str | None]:
        """Return a page by due time, and the cursor of the next one."""
        ...

    async def cancel(self, id: str) -> bool:
        """Cancel a request; return whether there was one. Raises `Conflict` while it is being executed."""
        ...


class ScheduledPath(Struct, forbid_unknown_fields=True):
    id: UserId


class ScheduledQuery(Struct, forbid_unknown_fields=True):
    kind: Kind | None = None
    key: UserId | None = None
    failed: Annotated[bool, Meta(description="List failed requests instead of waiting ones")] = False
    after: Annotated[Cursor, Meta(description="The `next` of the page before")] | None = None
    limit: Limit = 50


class KeyQuery(Struct, forbid_unknown_fields=True):
    kind: Kind
    key: UserId


class ScheduledAnswer(OkResponse, kw_only=True, rename="camel"):
    """By due time; `next` is present when there are more."""

    scheduled: list[ScheduledItem]
    next: str | None = None


class OneScheduled(OkResponse, kw_only=True, rename="camel"):
    scheduled: ScheduledItem


class ScheduledApi:
    """The operations on scheduled requests."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    @operation("GET", "/api/scheduled", summary="List scheduled requests", tag="scheduled")
    async def scheduled(self, query: ScheduledQuery) -> ScheduledAnswer:
        """A request that failed at its time is kept with the reason: `failed=true` lists these."""
        found, more = await self._schedule.page(
            kind=query.kind, key=query.key, failed=query.failed, after=query.after or "", limit=query.limit
        )
        return ScheduledAnswer(scheduled=found, next=more)

    @operation("GET", "/api/scheduled/{id}", summary="Read a scheduled request", tag="scheduled", errors=[NotFound])
    async def one_scheduled(self, path: ScheduledPath) -> OneScheduled:
        """Executed requests are no longer available."""
        found = await self._schedule.find(path.id)
        if found is None:
            raise NotFound("Nothing is scheduled under that id")
        return OneScheduled(scheduled=found)

    @operation(
        "DELETE",
        "/api/scheduled/{id}",
        summary="Cancel a scheduled request",
        tag="scheduled",
        errors=[NotFound, Conflict],
    )
    async def cancel(self, path: ScheduledPath) -> OkResponse:
        """Its key may be used again. `conflict` while it is being executed."""
        if not await self._schedule.cancel(path.id):
            raise NotFound("Nothing is scheduled under that id")
        return OkResponse()

    @operation(
        "DELETE",
        "/api/scheduled",
        summary="Cancel a scheduled request by its key",
        tag="scheduled",
        errors=[NotFound, Conflict],
    )
    async def cancel_by_key(self, query: KeyQuery) -> OkResponse:
        """Waiting or failed; its key may be used again. `conflict` while it is being executed."""
        cancelled = False
        for failed in (False, True):
            found, _ = await self._schedule.page(kind=query.kind, key=query.key, failed=failed, after="", limit=10)
            for later in found:
                cancelled |= await self._schedule.cancel(later.id)
        if not cancelled:
            raise NotFound("Nothing is scheduled under that key")
        return OkResponse()
