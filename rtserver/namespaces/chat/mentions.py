"""Mentions: the users that a message mentions, and their notifications.

1. `@id` in the text counts like an entry of `mentions`. Only members of the room are mentioned, each once.
2. The notification has the key `mention:<message id>`, so that a repeated or edited message notifies no user twice.
   Authors are not notified of mentioning themselves.
3. One message may notify `MAX_MENTIONS` users, each with a row, a push to every device and a webhook. So what one user
   may cause is limited: the notifications are counted before the message is saved, and a message that would cause too
   many is rejected, and not saved without them.
4. Webhooks of a room are few, whoever writes: one waits for each user at a time, for the latest mention.
5. In a room that requires a role the notification does not quote the text: a mentioned member may have lost the role.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence

from msgspec import to_builtins

from rtserver.errors import RateLimited
from rtserver.namespaces.chat.interfaces import MentionNotifier, MessageStore, RoomStore
from rtserver.rate_limit import Rate, TokenBuckets
from rtserver.store.messages.records import Message, NotificationDraft

MAX_MENTIONS = 50
"""Names that are looked up for one message; further names are ignored."""
MAX_AUTHORS = 10_000
"""Authors whose rate is remembered."""
EXCERPT = 200
"""Characters of the message that the notification quotes."""
TYPE = "mention"
# Not inside a word: that is an e-mail address. Ids of many issuers contain marks ("auth0|42", "a.b@example.com").
_NAMED = re.compile(r"(?<![\w@])@(\w[\w.+%|:@-]{0,199})")
_ENDINGS = ".+%|:@-"


def named_in(text: str, given: Sequence[str] = ()) -> list[str]:
    """The ids that may be mentioned, each once. A name that ends in marks is listed with and without them."""
    names = dict.fromkeys(given)
    if "@" in text:
        for name in _NAMED.findall(text):
            names[name] = names[name.rstrip(_ENDINGS)] = None
    return list(names)[:MAX_MENTIONS]


class Mentions:
    """`notifier` None: mentions are stored, but no notifications are sent. `may_quote`: see rule 5.

    `rate`: notifications that a user causes.
    """

    def __init__(
        self,
        messages: MessageStore,
        rooms: RoomStore,
        notifier: MentionNotifier | None,
        may_quote: Callable[[str], Awaitable[bool]] | None = None,
        rate: Rate | None = None,
    ) -> None:
        self._messages = messages
        self._rooms = rooms
        self._notifier = notifier
        self._may_quote = may_quote
        self._caused = TokenBuckets(rate, MAX_AUTHORS) if rate is not None and notifier is not None else None

    def spend(self, by: str, users: Iterable[str]) -> int:
        """Count the notifications of `users` that `by` is about to cause; raises `RateLimited` for too many."""
        count = sum(user != by for user in users)
        if count and self._caused is not None and (wait := self._caused.take_many(by, count)):
            raise RateLimited(wait, "Too many mentions; slow down")
        return count

    def give_back(self, by: str, count: int) -> None:
        """So many of the notifications that were counted were not caused."""
        if count and self._caused is not None:
            self._caused.give_back(by, count)

    async def members(self, room: str, names: Sequence[str]) -> list[str] | None:
        """Those of `names` that are members of `room`; None where there are none."""
        if not names:
            return None
        found = await self._rooms.members_among(room, names)
        return [name for name in names if name in found] or None

    async def notify(self, message: Message, users: Iterable[str], by: str) -> None:
        """Notify `users` that `by` has mentioned them in `message`, unless they wrote it; raises `Unavailable`."""
        mentioned = [user for user in users if user not in (by, message.from_.id)]
        if mentioned and self._notifier is not None:
            quote = self._may_quote is None or await self._may_quote(message.room)
            drafts = [_notification(message, user, quote=quote) for user in mentioned]
            await self._notifier.notify(drafts)
            # The message may have been deleted or removed between its commit and the notifications.
            await self.announce_deleted(await self._messages.withdraw_mentions(message, mentioned))

    async def announce_deleted(self, removed: Sequence[tuple[str, str]]) -> None:
        """Announce that these notifications were deleted with their message; (user, notification id) pairs."""
        if removed and self._notifier is not None:
            await self._notifier.announce_deleted(removed)


def _notification(message: Message, user: str, *, quote: bool) -> NotificationDraft:
    text = message.text if len(message.text) <= EXCERPT else message.text[: EXCERPT - 1] + "…"
    return NotificationDraft(
        user=user,
        type=TYPE,
        message=f"{message.from_.name}: {text}" if quote else f"{message.from_.name} mentioned you",
        data={"room": message.room, "id": message.id, "seq": message.seq, "from": to_builtins(message.from_)},
        key=f"mention:{message.id}",
        room=message.room,
        once=True,  # an edit may remove a mention, and a later one may add it again
        one_webhook=True,
    )
