"""Events of /chat. Owns the order of their steps; storage, addressing and access are in other modules.

Rules:
1. A message is committed, then broadcast (`Poster`), then acked.
2. A join subscribes the socket before it reads the history, so that no message is missed in between. A message may
   arrive twice; clients drop it by its `seq`.
3. The sending socket gets the ack; the user's other devices get the broadcast.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import to_builtins

from rtserver.answer_size import ANSWER_BYTES, size_of
from rtserver.identity import Identity, user_room
from rtserver.namespaces.chat import interfaces, payloads
from rtserver.namespaces.chat.access import OPEN, Access
from rtserver.namespaces.chat.changes import MessageChanges, Stalled, never_stalled
from rtserver.namespaces.chat.conversation import (
    Conversation,
    backend_conversation,
    conversation,
    named_conversation,
    room_conversation,
)
from rtserver.namespaces.chat.erasure import USER_ERASED, USER_EXPELLED, Expulsions
from rtserver.namespaces.chat.membership import Membership
from rtserver.namespaces.chat.posting import Poster
from rtserver.namespaces.chat.presence import Online, PresenceAnnouncer
from rtserver.namespaces.chat.room_admin import CHANGED, RoomAdmin, RoomChange
from rtserver.namespaces.chat.settings_cache import RoomSettingsCache
from rtserver.namespaces.chat.sync import RoomSync
from rtserver.namespaces.chat.typing_indicator import TypingIndicator
from rtserver.namespaces.delivery.reconciler import CATCH_UP
from rtserver.namespaces.delivery.room_delivery import REPEATED, RoomDelivery
from rtserver.namespaces.identity import check_not_expelled, identity_of
from rtserver.rate_limit import Rate
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace, event, server_event
from rtserver.store.messages.records import Author, Draft

Ack = dict[str, Any]
JOIN_HISTORY = 50


class Chat(Namespace, path="/chat"):
    """Each ack is `{ok: true, …}`; the docstrings of the events list its other fields (details: docs/events.md)."""

    auth = "required"
    room_presence = True

    def __init__(
        self,
        messages: interfaces.MessageStore,
        rooms: interfaces.RoomStore,
        read_cursors: interfaces.ReadCursorStore,
        presence: interfaces.Presence,
        search: interfaces.MessageSearch,
        settings: interfaces.RoomSettingsStore,
        memberships: interfaces.MembershipStore,
        *,
        max_text: int = 10_000,
        room_policy: str = OPEN,
        notifier: interfaces.MentionNotifier | None = None,
        mention_rate: Rate | None = None,
        stalled: Stalled = never_stalled,
    ) -> None:
        super().__init__()
        self._messages = messages
        self._rooms = rooms
        self._read_cursors = read_cursors
        self._search = search
        self.delivery = RoomDelivery(self, lambda room: backend_conversation(room).audience)
        cache = RoomSettingsCache(settings)
        self._access = Access(rooms, cache, room_policy)
        self.poster = Poster(
            self, messages, rooms, notifier, self._access.may_quote, self.delivery,
            max_text=max_text, mention_rate=mention_rate,
        )  # fmt: skip
        self._changes = MessageChanges(
            self, messages, self.poster.mentions, self.delivery, max_text=max_text, stalled=stalled
        )
        self._online = Online(presence, rooms)
        self.expulsions = Expulsions(self)
        self.room_admin = RoomAdmin(self, settings, memberships, rooms, cache, self._access)
        self._typing = TypingIndicator(self)
        self._sync = RoomSync(messages, rooms, self._access, self.delivery)
        self._membership = Membership(self, rooms, memberships, self._access, self._online)
        presence.subscribe(PresenceAnnouncer(self, rooms).announce)

    async def on_start(self) -> None:
        """Begin to note what is delivered here."""
        self.delivery.open("/chat")

    async def on_stop(self) -> None:
        """Drop the typing state."""
        self._typing.close()
        self.delivery.close()

    async def on_connected(self, client: Client) -> None:
        """Report the connection to presence."""
        await self._online.connected(client, identity_of(client).user)

    async def on_disconnect(self, client: Client, reason: str) -> None:
        """End typing and report the disconnect to presence."""
        await self._typing.client_disconnected(client.id)
        await self._online.disconnected(client, identity_of(client).user)

    # Rooms

    @event("join")
    async def join(self, client: Client, payload: payloads.RoomPayload) -> Ack:
        """Join a room, or only read an own direct conversation, which reaches all devices without joining."""
        me = identity_of(client)
        where = named_conversation(payload.room, me.user)
        if where.partner is None:
            await self._membership.join(client, me, where.room)
        state = await self._sync.read_state(client, me, where)
        listed = await self._membership.members(where.room, me)
        room_left = max(1, ANSWER_BYTES - size_of(listed))
        messages, more = await self._messages.history(
            where.room, before=None, after=None, limit=JOIN_HISTORY, size=room_left
        )
        return {
            "ok": True,
            "room": where.room,
            **listed,
            "messages": to_builtins(messages),
            "more": more,
            "lastRead": state.last_read,
            "unread": state.unread,
            "rev": state.rev,
        }

    @event("leave")
    async def leave(self, client: Client, payload: payloads.RoomPayload) -> Ack:
        """End the membership, with all devices of the user."""
        me, where = identity_of(client), room_conversation(payload.room)
        await self._typing.end(where.room, me.user)
        await self._membership.leave(client, me, where.room)
        return {"ok": True}

    @event("rooms")
    async def rooms(self, client: Client, payload: payloads.RoomsPayload = payloads.LAST_ACTIVE) -> Ack:
        """`{rooms: [RoomSummary], next}`: a page of the rooms of the user that the user may read."""
        me = identity_of(client)
        page, following = await self._rooms.summaries(me.user, payload.cursor)
        return {"ok": True, "rooms": to_builtins(self._access.visible(me, page)), "next": following}

    @event("room")
    async def room(self, client: Client, payload: payloads.RoomPayload) -> Ack:
        """`{room: RoomSettings}`."""
        where = room_conversation(payload.room)
        await self._access.check_view(client, where.room)
        return {"ok": True, "room": to_builtins(await self.room_admin.describe(where.room))}

    @event("configure")
    async def configure(self, client: Client, payload: payloads.ConfigurePayload) -> Ack:
        """`{room: RoomSettings}`: change settings; admins and moderators only."""
        where = room_conversation(payload.room)
        await self._access.check_configure(client, where.room)
        by = identity_of(client).user
        check_not_expelled(client)
        settings = await self.room_admin.configure(where.room, payload.changes, by, except_sid=client.id)
        return {"ok": True, "room": to_builtins(settings)}

    @server_event(CHANGED)
    async def on_room_changed(self, *args: Any) -> None:
        """Another server has changed a room."""
        change = RoomChange.received(args)
        if change is not None:
            await self.room_admin.apply(change)

    @event("members")
    async def members(self, client: Client, payload: payloads.MembersPayload) -> Ack:
        """`{members, count, next, partial?}`: a page of the members."""
        me = identity_of(client)
        where = named_conversation(payload.room, me.user)
        await self._access.check_read(client, where)
        listed = await self._membership.members(where.room, me, limit=payload.limit, after=payload.cursor)
        return {"ok": True, **listed}

    @event("online")
    async def online(self, client: Client, payload: payloads.OnlinePayload = payloads.EVERYBODY_NEAR) -> Ack:
        """`{online: [user], partial?}`."""
        if payload.users is not None:
            return {"ok": True, **await self._online.among(payload.users)}
        me = identity_of(client)
        return {"ok": True, **await self._online.in_rooms_of(me.user, self._access.readable_by(me))}

    @server_event(USER_EXPELLED)
    async def on_user_expelled(self, *args: Any) -> list[Any]:
        """Another server erases a user. The answer: this instance, and whether nothing of the user runs here."""
        texts = [arg for arg in args if isinstance(arg, str)]
        silent = len(texts) == 2 and await self.expulsions.begin(*texts)
        return [self.server.instance_id, silent]

    @server_event(USER_ERASED)
    async def on_user_erased(self, *args: Any) -> None:
        """Another server has erased a user, who may come back as a new one."""
        if args and isinstance(args[0], str):
            self.poster.direct_rooms.evict(args[0])
            if isinstance(args[-1], str):
                self.expulsions.end(args[0], args[-1])

    @server_event(REPEATED)
    def on_repeated(self, *args: Any) -> None:
        """Another server says how far a room is."""
        if len(args) == 3:
            self.delivery.compare(*args)

    @server_event(CATCH_UP)
    def on_catch_up(self, *args: Any) -> None:
        """Another server has lost messages to this one."""
        self.delivery.asked()

    # Messages

    @event("message")
    async def message(self, client: Client, payload: payloads.MessagePayload) -> Ack:
        """`{message}`: post a message. A repeated nonce returns the first message."""
        me, where = await self._sender(client, payload)
        slow = await self._access.check_write(client, where)
        posted = await self.poster.post_from_client(_draft(me, where, payload, slow), where, client)
        await self._typing.end(where.room, me.user)
        return {"ok": True, "message": posted.wire}

    @event("edit")
    async def edit(self, client: Client, payload: payloads.EditPayload) -> Ack:
        """`{message}`: edit a message."""
        me, where = await self._changer(client, payload)
        await self._access.check_write(client, where)
        return {"ok": True, "message": await self._changes.edit(me, where, payload, client)}

    @event("delete")
    async def delete(self, client: Client, payload: payloads.DeletePayload) -> Ack:
        """`{message}`: delete a message; returns its tombstone."""
        me, where = await self._changer(client, payload)
        return {"ok": True, "message": await self._changes.delete(me, where, payload, client)}

    @event("react")
    async def react(self, client: Client, payload: payloads.ReactPayload) -> Ack:
        """`{message}`: add or remove a reaction."""
        me, where = await self._changer(client, payload)
        return {"ok": True, "message": await self._changes.react(me, where, payload, client)}

    @event("history")
    async def history(self, client: Client, payload: payloads.HistoryPayload) -> Ack:
        """`{messages, more}`: a page by rising `seq`."""
        where = conversation(payload, identity_of(client).user)
        await self._access.check_read(client, where)
        messages, more = await self._messages.history(
            where.room, before=payload.before, after=payload.after, limit=payload.limit
        )
        return {"ok": True, "messages": to_builtins(messages), "more": more}

    @event("sync")
    async def sync(self, client: Client, payload: payloads.SyncPayload) -> Ack:
        """`{rooms: {room: missed or error}}`, see `RoomSync`."""
        return {"ok": True, "rooms": await self._sync.sync(client, identity_of(client), payload)}

    @event("search")
    async def search(self, client: Client, payload: payloads.SearchPayload) -> Ack:
        """`{messages, next}`: a page, newest first."""
        me = identity_of(client)
        where = named_conversation(payload.room, me.user) if payload.room is not None else None
        if where is not None:
            await self._access.check_read(client, where)
        messages, following = await self._search.find(
            me.user,
            payload.query,
            room=None if where is None else where.room,
            cursor=payload.cursor,
            limit=payload.limit,
            readable=self._access.readable_by(me),
        )
        return {"ok": True, "messages": to_builtins(messages), "next": following}

    @event("typing")
    async def typing(self, client: Client, payload: payloads.TypingPayload) -> Ack:
        """Start, prolong or stop typing."""
        me, where = await self._sender(client, payload)
        if where.partner is not None and await self.poster.direct_rooms.are_strangers(where.room):
            where = own_devices(where, me)
        if payload.typing:
            await self._typing.start(client, me.user, where)
        else:
            await self._typing.stop(me.user, where)
        return {"ok": True}

    @event("read")
    async def read(self, client: Client, payload: payloads.ReadPayload) -> Ack:
        """Move the read cursor. The user's other devices get the broadcast too, joined or not, to clear their mark."""
        me = identity_of(client)
        where = conversation(payload, me.user)
        await self._access.check_read(client, where)
        check_not_expelled(client)
        seq, moved = await self._read_cursors.mark_read(where.room, me.user, payload.seq)
        if moved:
            reached = await self._reached(where, me)
            others = self.to(*reached.audience, user_room(me.user)).except_(client.id)
            await others.emit("read", {"room": where.room, "user": me.user, "seq": seq})
        return {"ok": True}

    async def _sender(self, client: Client, place: payloads.Place) -> tuple[Identity, Conversation]:
        """The sender and the conversation, once access is checked; raises `RoomNotJoined` or `Forbidden`."""
        me = identity_of(client)
        where = conversation(place, me.user)
        await self._access.check_participate(client, where)
        return me, where

    async def _changer(self, client: Client, place: payloads.Place) -> tuple[Identity, Conversation]:
        """`_sender` of a change, of which only those hear that take part in the conversation."""
        me, where = await self._sender(client, place)
        return me, await self._reached(where, me)

    async def _reached(self, where: Conversation, me: Identity) -> Conversation:
        """The conversation; with the own devices alone as its audience where it is direct and has not begun."""
        if where.partner is None or await self.poster.direct_rooms.has_begun(where.room):
            return where
        return own_devices(where, me)


def own_devices(where: Conversation, me: Identity) -> Conversation:
    """The conversation, with nobody but the own devices of the user in its audience."""
    return replace(where, audience=(user_room(me.user),))


def _draft(me: Identity, where: Conversation, payload: payloads.MessagePayload, slow_seconds: int | None) -> Draft:
    return Draft(
        room=where.room,
        author=Author(id=me.user, name=me.display_name),
        text=payload.text,
        nonce=payload.nonce,
        reply_to=payload.reply_to,
        data=payload.data,
        mentions=payload.mentions,
        slow_seconds=slow_seconds,
    )
