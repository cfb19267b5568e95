"""Queries of backends: room history, online users, unread counts, inboxes."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Annotated, Protocol

from msgspec import Meta, Struct

from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import Limit, OkResponse, RoomPath, Seq, UserId, UserPath
from rtserver.store.messages.records import Message, Notification, ReadState
from rtserver.store.notifications.records import Unread

MAX_ONLINE = 1000


class History(Protocol):
    """The saved messages of rooms."""

    async def history(
        self, room: str, *, before: int | None, after: int | None, limit: int
    ) -> tuple[list[Message], bool]:
        """Return messages by ascending `seq`, and whether there are more in the requested direction."""
        ...


class Presence(Protocol):
    """Online users of the whole cluster. Results are partial where a server did not answer."""

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        """Return those of `users` that are online."""
        ...

    async def all_online(self, limit: int = 1000) -> PartialList[str]:
        """Return at most `limit` online users."""
        ...


class Inboxes(Protocol):
    """The saved notifications of users."""

    async def list(
        self, user: str, *, before: int | None, limit: int, unread: bool, type: str | None
    ) -> tuple[builtins.list[Notification], bool]:
        """Return notifications, newest first, and whether there are older ones."""
        ...

    async def counts(self, user: str) -> Unread:
        """Count the unread notifications of a user."""
        ...


class ReadStates(Protocol):
    """The rooms of users."""

    async def unread(self, user: str) -> list[ReadState]:
        """Return what a user has read of the rooms with the latest activity."""
        ...


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
        list[UserId], Meta(max_length=30, description="The users in question; without it, all that are online")
    ] = []


class PresenceBody(Struct, forbid_unknown_fields=True):
    users: Annotated[list[UserId], Meta(max_length=MAX_ONLINE)]


class InboxQuery(Struct, forbid_unknown_fields=True):
    before: Annotated[Seq, Meta(description="Only notifications with a lower `seq`")] | None = None
    limit: Limit = 50
    unread: bool = False
    type: UserId | None = None


class MessagesAnswer(OkResponse, kw_only=True, rename="camel"):
    """By ascending `seq`; `more`: there are further ones in the requested direction."""

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
    """`rooms`: those with unread messages, latest activity first; `messages`: the sum over all rooms."""

    messages: int
    rooms: list[RoomUnread]
    notifications: Unread


class InboxAnswer(OkResponse, kw_only=True, rename="camel"):
    """Newest first; `more`: there are older ones."""

    notifications: list[Notification]
    more: bool


class HistoryApi:
    """The history of a room."""

    def __init__(self, history: History) -> None:
        self._history = history

    @operation("GET", "/api/rooms/{room}/messages", summary="Read a room's history", tag="chat")
    async def room_messages(self, path: RoomPath, query: HistoryQuery) -> MessagesAnswer:
        """Includes direct conversations, by the name of their room (`dm:…`, as in their messages)."""
        messages, more = await self._history.history(
            path.room, before=query.before, after=query.after, limit=query.limit
        )
        return MessagesAnswer(messages=messages, more=more)


class UserQueriesApi:
    """Presence, unread counts and inboxes of users."""

    def __init__(self, presence: Presence, read_states: ReadStates, inboxes: Inboxes) -> None:
        self._presence = presence
        self._read_states = read_states
        self._inboxes = inboxes

    @operation("GET", "/api/presence", summary="List online users", tag="users")
    async def presence(self, query: PresenceQuery) -> OnlineAnswer:
        """Returns those of `user` (repeat it) that are online, in that order; without it all, up to 1,000."""
        if query.user:
            return await self._among(query.user)
        found = await self._presence.all_online(MAX_ONLINE)
        return OnlineAnswer(online=list(found), partial=found.partial)

    @operation("POST", "/api/presence", summary="Check which of many users are online", tag="users")
    async def presence_of_many(self, body: PresenceBody) -> OnlineAnswer:
        """The same for more users than fit into a URL."""
        return await self._among(body.users)

    @operation(
        "GET", "/api/users/{user}/unread", summary="Count unread messages and notifications of a user", tag="users"
    )
    async def unread(self, path: UserPath) -> UnreadAnswer:
        """In the 500 rooms with the latest activity, and in the inbox."""
        states = await self._read_states.unread(path.user)
        rooms = [RoomUnread(one.room, one.unread, one.last_read) for one in states if one.unread]
        counts = await self._inboxes.counts(path.user)
        return UnreadAnswer(messages=sum(room.unread for room in rooms), rooms=rooms, notifications=counts)

    @operation("GET", "/api/users/{user}/notifications", summary="Read a user's inbox", tag="notifications")
    async def inbox(self, path: UserPath, query: InboxQuery) -> InboxAnswer:
        """As on the user's own devices; nothing is marked as read."""
        notifications, more = await self._inboxes.list(
            path.user, before=query.before, limit=query.limit, unread=query.unread, type=query.type
        )
        return InboxAnswer(notifications=notifications, more=more)

    async def _among(self, users: list[str]) -> OnlineAnswer:
        online = await self._presence.online(users)
        return OnlineAnswer(online=[user for user in dict.fromkeys(users) if user in online], partial=online.partial)
