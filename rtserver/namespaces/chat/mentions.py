"""Who a message mentions, and telling them.

1. `@id` in the text counts as an entry of `mentions` does; only members of the room are mentioned, each once.
2. A notification has the key `mention:<message id>`, so that a message that is sent again, or edited, notifies nobody
   twice. Nobody is notified of having mentioned oneself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import to_builtins

from rtserver.namespaces.chat.interfaces import MentionNotifier, MessageStore, RoomStore
from rtserver.store.messages.records import Message, NotificationDraft

MAX_MENTIONS = 50
"""Names that are looked up for one message; further ones are not mentioned."""
EXCERPT = 200
TYPE = "mention"
# Not inside a word: that is an e-mail address. Ids of many makers have marks in them ("auth0|42", "a.b@example.com").
_NAMED = re.compile(r"(?<![\w@])@(\w[\w.+%|:@-]{0,199})")
_ENDINGS = ".+%|:@-"


def named_in(text: str, given: Sequence[str] = ()) -> list[str]:
    """The ids that are asked for, each once; one at the end of a sentence with and without its full stop."""
    names = dict.fromkeys(given)
    if "@" in text:
        for name in _NAMED.findall(text):
            names[name] = names[name.rstrip(_ENDINGS)] = None
    return list(names)[:MAX_MENTIONS]


class Mentions:
    """`notifier` is None where nobody is to be told."""

    def __init__(self, messages: MessageStore, rooms: RoomStore, notifier: MentionNotifier | None) -> None:
        self._messages = messages
        self._rooms = rooms
        self._notifier = notifier

    async def members(self, room: str, names: Sequence[str]) -> list[str] | None:
        """Those of `names` that are members; None for nobody."""
        if not names:
            return None
        found = await self._rooms.members_among(room, names)
        return [name for name in names if name in found] or None

    async def notify(self, message: Message, users: Iterable[str], by: str) -> None:
        """Notify `users` that `by` has mentioned them in `message`, unless they wrote it; raises `Unavailable`."""
        drafts = [_notification(message, user) for user in users if user not in (by, message.from_.id)]
        if drafts and self._notifier is not None:
            await self._notifier.notify(drafts)
            # A moderator, or a program for one, may have been faster.
            await self.announce_deleted(
                await self._messages.withdraw_mentions(message, [draft.user for draft in drafts])
            )

    async def announce_deleted(self, gone: Sequence[tuple[str, str]]) -> None:
        """Their message was deleted, and they with it."""
        if gone and self._notifier is not None:
            await self._notifier.announce_deleted(gone)


def _notification(message: Message, user: str) -> NotificationDraft:
    text = message.text if len(message.text) <= EXCERPT else message.text[: EXCERPT - 1] + "…"
    return NotificationDraft(
        user=user,
        type=TYPE,
        message=f"{message.from_.name}: {text}",
        data={"room": message.room, "id": message.id, "seq": message.seq, "from": to_builtins(message.from_)},
        key=f"mention:{message.id}",
        room=message.room,
        once=True,  # an edit may take a mention out and put it in again
    )
