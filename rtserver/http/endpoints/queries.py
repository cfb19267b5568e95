"""What a backend may look up: a room's history, who is online, what a user has not read, a user's notifications."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Annotated, Protocol

from msgspec import Meta, Struct

from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import Limit, OkResponse, RoomPath, Seq, UserId, UserPath
from rtserver.store.messages.records import Message, Notification, RoomSummary
from rtserver.store.notifications.records import Unread

MAX_ONLINE = 1000


class History(Protocol):
    async def history(
        self, room: str, *, before: int | None, after: int | None, limit: int
    ) -> tuple[list[Message], bool]:
        """Ascending by `seq`, and whether there are more in the direction asked for."""
        ...


class Presence(Protocol):
    async def online(self, users: Sequence[str]) -> PartialSet[str]: ...

    async def all_online(self, limit: int = 1000) -> PartialList[str]: ...


class Inboxes(Protocol):
    async def list(
        self, user: str, *, before: int | None, limit: int, unread: bool, type: str | None
    ) -> tuple[builtins.list[Notification], bool]:
        """Newest first, and whether there are older ones."""
        ...

    async def counts(self, user: str) -> Unread: ...


class Summaries(Protocol):
    async def summaries(self, user: str) -> list[RoomSummary]: ...


class HistoryQuery(Struct, forbid_unknown_fields=True):
    """The newest messages, or those before or after a `seq`."""

    before: Seq | None = None
    after: Seq | None = None
    limit: Limit = 50

    def __post_init__(self) -> None:
        if self.before is not None and self.after is not None:
            raise ValueError("Give either `before` or `after`")


class PresenceQuery(Struct, forbid_unknown_fields=True):
    user: Annotated[
        list[UserId], Meta(max_length=30, description="Whom to ask for; without it, everybody who is online")
    ] = []


class PresenceBody(Struct, forbid_unknown_fields=True):
    users: Annotated[list[UserId], Meta(max_length=MAX_ONLINE)]


class InboxQuery(Struct, forbid_unknown_fields=True):
    before: Annotated[Seq, Meta(description="The `seq` to go on from")] | None = None
    limit: Limit = 50
    unread: bool = False
    type: UserId | None = None


class MessagesAnswer(OkResponse, kw_only=True, rename="camel"):
    """By rising `seq`; `more`: there are further ones in the direction asked for."""

    messages: list[Message]
    more: bool


class OnlineAnswer(OkResponse, kw_only=True, rename="camel"):
    """`partial`: a server did not answer, so others may be online too."""

    online: list[str]
    partial: bool


class RoomUnread(Struct, rename="camel"):
    room: str
    unread: int
    last_read: int


class UnreadAnswer(OkResponse, kw_only=True, rename="camel"):
    """`rooms`: those with something unread, the latest activity first; `messages`: of all of them together."""

    messages: int
    rooms: list[RoomUnread]
    notifications: Unread


class InboxAnswer(OkResponse, kw_only=True, rename="camel"):
    """Newest first; `more`: there are older ones."""

    notifications: list[Notification]
    more: bool


class HistoryApi:
    def __init__(self, history: History) -> None:
        self._history = history

    @operation("GET", "/api/rooms/{room}/messages", summary="Read a room's history", tag="chat")
    async def room_messages(self, path: RoomPath, query: HistoryQuery) -> MessagesAnswer:
        """Direct conversations too, by the name of their room (`dm:…`, as messages carry it)."""
        messages, more = await self._history.history(
            path.room, before=query.before, after=query.after, limit=query.limit
        )
        return MessagesAnswer(messages=messages, more=more)


class UserQueriesApi:
    def __init__(self, presence: Presence, summaries: Summaries, inboxes: Inboxes) -> None:
        self._presence = presence
        self._summaries = summaries
        self._inboxes = inboxes

    @operation("GET", "/api/presence", summary="Ask who is online", tag="users")
    async def presence(self, query: PresenceQuery) -> OnlineAnswer:
        """Those of `user` (repeat it) that are online, in that order; without it all, up to 1,000."""
        if query.user:
            return await self._among(query.user)
        everybody = await self._presence.all_online(MAX_ONLINE)
        return OnlineAnswer(online=list(everybody), partial=everybody.partial)

    @operation("POST", "/api/presence", summary="Ask which of many are online", tag="users")
    async def presence_of_many(self, body: PresenceBody) -> OnlineAnswer:
        """The same for more users than fit into an address."""
        return await self._among(body.users)

    @operation("GET", "/api/users/{user}/unread", summary="Count what a user has not read", tag="users")
    async def unread(self, path: UserPath) -> UnreadAnswer:
        """In the 500 rooms with the latest activity, and in the inbox."""
        summaries = await self._summaries.summaries(path.user)
        rooms = [RoomUnread(one.room, one.unread, one.last_read) for one in summaries if one.unread]
        counts = await self._inboxes.counts(path.user)
        return UnreadAnswer(messages=sum(room.unread for room in rooms), rooms=rooms, notifications=counts)

    @operation("GET", "/api/users/{user}/notifications", summary="Read a user's inbox", tag="notifications")
    async def inbox(self, path: UserPath, query: InboxQuery) -> InboxAnswer:
        """As the user's own devices see it; nothing is marked as read by it."""
        notifications, more = await self._inboxes.list(
            path.user, before=query.before, limit=query.limit, unread=query.unread, type=query.type
        )
        return InboxAnswer(notifications=notifications, more=more)

    async def _among(self, users: list[str]) -> OnlineAnswer:
        online = await self._presence.online(users)
        return OnlineAnswer(online=[user for user in dict.fromkeys(users) if user in online], partial=online.partial)
