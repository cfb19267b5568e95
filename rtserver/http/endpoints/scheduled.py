"""What backends have put off: looked up, and called off."""

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
    async def find(self, id: str) -> ScheduledItem | None: ...

    async def page(
        self, *, kind: str | None, key: str | None, failed: bool, after: str, limit: int
    ) -> tuple[list[ScheduledItem], str | None]:
        """By due time, and the cursor of the next page."""
        ...

    async def cancel(self, id: str) -> bool:
        """Whether it was there. Raises `Conflict` while it is being carried out."""
        ...


class ScheduledPath(Struct, forbid_unknown_fields=True):
    id: UserId


class ScheduledQuery(Struct, forbid_unknown_fields=True):
    kind: Kind | None = None
    key: UserId | None = None
    failed: Annotated[bool, Meta(description="Those that cannot be carried out, in place of those that wait")] = False
    after: Annotated[Cursor, Meta(description="The `next` of the page before")] | None = None
    limit: Limit = 50


class KeyQuery(Struct, forbid_unknown_fields=True):
    kind: Kind
    key: UserId


class ScheduledAnswer(OkResponse, kw_only=True, rename="camel"):
    """By due time; `next` is there when there are more."""

    scheduled: list[ScheduledItem]
    next: str | None = None


class OneScheduled(OkResponse, kw_only=True, rename="camel"):
    scheduled: ScheduledItem


class ScheduledApi:
    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    @operation("GET", "/api/scheduled", summary="List what waits for its time", tag="scheduled")
    async def scheduled(self, query: ScheduledQuery) -> ScheduledAnswer:
        """What could not be carried out when its time came is kept with the reason: `failed=true` lists it."""
        found, more = await self._schedule.page(
            kind=query.kind, key=query.key, failed=query.failed, after=query.after or "", limit=query.limit
        )
        return ScheduledAnswer(scheduled=found, next=more)

    @operation("GET", "/api/scheduled/{id}", summary="Look up one of them", tag="scheduled", errors=[NotFound])
    async def one_scheduled(self, path: ScheduledPath) -> OneScheduled:
        """What was carried out is not here any more."""
        found = await self._schedule.find(path.id)
        if found is None:
            raise NotFound("Nothing is scheduled under that id")
        return OneScheduled(scheduled=found)

    @operation("DELETE", "/api/scheduled/{id}", summary="Call it off", tag="scheduled", errors=[NotFound, Conflict])
    async def cancel(self, path: ScheduledPath) -> OkResponse:
        """Its key may be used anew. `conflict` while it is being carried out."""
        if not await self._schedule.cancel(path.id):
            raise NotFound("Nothing is scheduled under that id")
        return OkResponse()

    @operation(
        "DELETE", "/api/scheduled", summary="Call it off by its key", tag="scheduled", errors=[NotFound, Conflict]
    )
    async def cancel_by_key(self, query: KeyQuery) -> OkResponse:
        """Waiting or failed; its key may be used anew. `conflict` while it is being carried out."""
        gone = False
        for failed in (False, True):
            found, _ = await self._schedule.page(kind=query.kind, key=query.key, failed=failed, after="", limit=10)
            for later in found:
                gone |= await self._schedule.cancel(later.id)
        if not gone:
            raise NotFound("Nothing is scheduled under that key")
        return OkResponse()
