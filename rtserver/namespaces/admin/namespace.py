"""Events of /admin. An `observer` may read; only an `admin` may act."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from msgspec import to_builtins

from rtserver.cluster.presence import Presence
from rtserver.cluster.presence.instances import InstanceRegistry
from rtserver.errors import Forbidden, NotFound
from rtserver.identity import Identity, user_room
from rtserver.ids import looks_like_sid
from rtserver.namespaces.admin import payloads
from rtserver.namespaces.admin.directory import ClientDirectory
from rtserver.namespaces.admin.process_memory import resident_bytes
from rtserver.namespaces.admin.stats import ClusterStats, Sampler
from rtserver.namespaces.identity import identity_of
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace, event, server_event
from rtserver.store.messages.records import Member
from rtserver.tasks import cancelled

Ack = dict[str, Any]
ADMIN, OBSERVER = "admin", "observer"
STATS_SECONDS = 1.0
log = structlog.get_logger("rtserver.admin")


class RoomMembers(Protocol):
    """Reads and changes the members of chat rooms; `by` is for the audit."""

    async def add(self, room: str, members: Sequence[Member], by: str) -> list[str]:
        """Returns the ids of the new members."""

    async def remove(self, room: str, users: Sequence[str], by: str) -> list[str]:
        """Returns the ids of those that were members."""

    async def members(self, room: str, *, after: str, limit: int) -> tuple[list[Member], str | None]:
        """A page by id, and the cursor of the next page."""


class Admin(Namespace, path="/admin"):
    """`snapshot` returns the counters of this instance since its start (`Metrics.snapshot`)."""

    auth = "required"
    roles = frozenset({ADMIN, OBSERVER})

    def __init__(
        self,
        snapshot: Callable[[], Mapping[str, Any]],
        registry: InstanceRegistry,
        presence: Presence,
        room_members: RoomMembers,
        *,
        version: str,
    ) -> None:
        super().__init__()
        self._room_members = room_members
        self._registry, self._presence = registry, presence
        self._snapshot = snapshot
        self._version = version
        self._cluster = ClusterStats()
        self._stats_task: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        """Start the periodic `stats`."""
        self._directory = ClientDirectory(self.server, self._registry)
        self._stats_task = asyncio.create_task(self._report_periodically(Sampler(self.server.instance_id)))

    async def on_stop(self) -> None:
        """Stop the periodic `stats`."""
        await cancelled(self._stats_task)

    async def on_connect(self, client: Client) -> None:
        """Emit `welcome` with the role, the version and the instance."""
        role = ADMIN if ADMIN in identity_of(client).roles else OBSERVER
        server = {"server": "rtserver", "version": self._version, "instance": self.server.instance_id}
        await client.emit("welcome", {"role": role, **server})

    # Reading

    @event("clients")
    async def list_clients(self, client: Client, payload: payloads.ClientsPayload = payloads.ALL_CLIENTS) -> Ack:
        """`{clients, next, partial?, missing?}`, see `ClientDirectory.clients`."""
        return {"ok": True, **await self._directory.clients(payload)}

    @event("rooms")
    async def list_rooms(self, client: Client, payload: payloads.RoomsPayload) -> Ack:
        """`{rooms, next, partial?, missing?}`, see `ClientDirectory.rooms`."""
        return {"ok": True, **await self._directory.rooms(payload)}

    @event("instances")
    async def list_instances(self, client: Client, payload: payloads.InstancesPayload = payloads.NOTHING) -> Ack:
        """`{instances, partial?}` from the registry."""
        instances = await self._registry.instances()
        return {"ok": True, "instances": to_builtins(instances), **({"partial": True} if instances.partial else {})}

    @event("presence")
    async def presence(self, client: Client, payload: payloads.PresencePayload) -> Ack:
        """Raises `Unavailable` while Redis is down."""
        devices = await self._presence.devices(payload.users)
        online = await self._presence.online(payload.users)
        given = {user: {"online": user in online, "devices": devices.get(user, {})} for user in payload.users}
        return {"ok": True, "presence": given, **({"partial": True} if online.partial else {})}

    @event("members")
    async def list_members(self, client: Client, payload: payloads.ListMembersPayload) -> Ack:
        """`{members: [{id, name}], next}` of a chat room."""
        found, following = await self._room_members.members(
            payload.room, after=payload.cursor or "", limit=payload.limit
        )
        return {"ok": True, "members": to_builtins(found), "next": following}

    # Acting

    @event("addMembers")
    async def add_members(self, client: Client, payload: payloads.AddMembersPayload) -> Ack:
        """`{added: [id]}`: make users members of a chat room."""
        me = acting(client)
        return {"ok": True, "added": await self._room_members.add(payload.room, payload.members, me.user)}

    @event("removeMembers")
    async def remove_members(self, client: Client, payload: payloads.RemoveMembersPayload) -> Ack:
        """`{removed: [id]}`: end memberships in a chat room."""
        me = acting(client)
        return {"ok": True, "removed": await self._room_members.remove(payload.room, payload.users, me.user)}

    @event("kick")
    async def kick(self, client: Client, payload: payloads.KickPayload) -> Ack:
        """Close whole connections. The event is not called `disconnect`, a reserved name that clients cannot emit."""
        me = acting(client)
        if payload.sid is not None and not looks_like_sid(payload.sid):
            raise NotFound("There is no such socket")  # the name of a room would close every client in it
        room = payload.sid or user_room(payload.user or "")
        done = await self._directory.close_connections(room)
        count = done["disconnected"]
        if payload.sid is not None and not count and "partial" not in done:
            raise NotFound("There is no such socket")
        whom = {"user": payload.user, "sid": payload.sid}
        await self.record("kick", me.user, {**whom, "reason": payload.reason, "disconnected": count})
        return {"ok": True, **done}

    @event("announce")
    async def announce(self, client: Client, payload: payloads.AnnouncePayload) -> Ack:
        """Emit an event to all clients of the given namespaces; raises `NotFound` before it emits anything."""
        me = acting(client)
        for operator in [self._directory.operator(name) for name in dict.fromkeys(payload.namespaces)]:
            await operator.emit(payload.event, payload.data)
        await self.record("announce", me.user, {"namespaces": payload.namespaces, "name": payload.event})
        return {"ok": True}

    # Statistics and the log

    @server_event("stats")
    async def on_stats(self, *args: Any) -> None:
        """Statistics of another instance."""
        self._cluster.on_stats(args[0] if args else None, time.monotonic())

    async def _report_periodically(self, sampler: Sampler) -> None:
        while True:
            await asyncio.sleep(STATS_SECONDS)
            try:
                await self._report_stats(sampler)
            except Exception:  # the root of the task
                log.exception("stats_failed")

    async def _report_stats(self, sampler: Sampler) -> None:
        now = time.monotonic()
        own = sampler.sample(self._snapshot(), resident_bytes(), now)
        await self.server_side_emit("stats", to_builtins(own))
        if self.clients:
            await self.local.volatile.emit("stats", self._cluster.report(own, now))

    async def record(self, what: str, by: str, details: Mapping[str, Any]) -> None:
        """Write an action to the server's log and emit it to every connected admin and observer."""
        given = {key: value for key, value in details.items() if value is not None}
        log.info(f"admin_{what}", by=by, **given)
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        await self.emit("log", {"at": at, "event": what, "by": by, **given})


def acting(client: Client) -> Identity:
    """The identity of an admin; raises `Forbidden` for an observer."""
    me = identity_of(client)
    if ADMIN not in me.roles:
        raise Forbidden("An observer may read, but not act")
    return me
