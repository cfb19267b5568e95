"""`POST /api/emit`, `/api/notifications` and `/api/messages`: how a backend reaches users over HTTP.

Owns what is asked over HTTP only (acks), and the answers; the intake that all doors share does the rest. A 2xx for what
is durable means that it is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import asdict

from rtserver.errors import Conflict, NotFound
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import OkResponse
from rtserver.ingest.commands import EmitRequest, MessageRequest, NotifyRequest, Request
from rtserver.ingest.intake import IngestResult
from rtserver.store.messages.records import Message, Notification


class CommandIntake(Protocol):
    """Carries requests out, or puts them off."""

    async def take(self, request: Request) -> IngestResult:
        """Raises an `EventError`: `Conflict` for a key that was used with another body."""
        ...


class AckEmitter(Protocol):
    """Broadcasts that wait for the clients' answers, cluster-wide."""

    async def emit_with_ack(
        self,
        namespace: str,
        event: str,
        args: Sequence[Any],
        rooms: Sequence[str],
        except_: Sequence[str],
        timeout: float,
    ) -> tuple[list[Any], int | None]:
        """The answers that came, and how many clients were asked; None where a server did not tell."""
        ...


class EmitBody(EmitRequest, forbid_unknown_fields=True):
    """`rooms` and `users` add up; without either everybody is addressed. `data` is short for one argument."""

    ack: Annotated[bool, Meta(description="Wait until the clients have acknowledged it")] = False
    timeout: Annotated[float, Meta(gt=0, le=60, description="Seconds to wait for that")] = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ack and (self.volatile or self.key is not None or self.at is not None):
            raise ValueError("`ack` goes with none of `volatile`, `key` and `at`")

    def request(self) -> EmitRequest:
        """Without what only goes over HTTP."""
        values = {name: value for name, value in asdict(self).items() if name not in ("ack", "timeout")}
        return EmitRequest(**values)


class Scheduled(msgspec.Struct):
    """What was put off until its time `at`."""

    id: str
    at: str


class Told(OkResponse, kw_only=True, rename="camel"):
    """`new` is false where the key was known: nothing was done again. `scheduled` stands in place of what becomes of
    it at its time."""

    new: bool | UnsetType = UNSET
    scheduled: Scheduled | UnsetType = UNSET


class EmitAnswer(Told, kw_only=True, rename="camel"):
    """`new` is there with a key. With `ack`: `answers` has the first argument of each ack, `missing` says how many did
    not come in time; `partial`: a server did not tell how many clients it has, so more may be missing."""

    answers: list[Any] | UnsetType = UNSET
    missing: int | UnsetType = UNSET
    partial: bool | UnsetType = UNSET


class Notified(Notification, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A notification as it is saved, for `user`; `new` is false for the earlier one of the same key."""

    user: str
    new: bool


class NotifyAnswer(Told, kw_only=True, rename="camel"):
    """`notifications` has one a user, in the order asked; for a room or everyone `reached` says how many they were."""

    notifications: list[Notified] | UnsetType = UNSET
    reached: int | UnsetType = UNSET


class MessageAnswer(Told, kw_only=True, rename="camel"):
    """`message` as it is saved."""

    message: Message | UnsetType = UNSET


class EmitApi:
    def __init__(self, taking: CommandIntake, asking: AckEmitter) -> None:
        self._taking = taking
        self._asking = asking

    @operation(
        "POST", "/api/emit", summary="Emit an event to connected clients", tag="live", errors=[Conflict, NotFound]
    )
    async def emit(self, body: EmitBody) -> EmitAnswer:
        """Without `rooms` and `users` everybody in the namespace is addressed. Sent once to whoever is connected."""
        if not body.ack:
            return emit_answer(body, await self._taking.take(body.request()))
        answers, asked = await self._asking.emit_with_ack(
            body.namespace, body.event, body.arguments, body.addressed, body.except_ or (), body.timeout
        )
        missing = 0 if asked is None else max(0, asked - len(answers))
        return EmitAnswer(answers=answers, missing=missing, partial=asked is None)


class NotifyApi:
    def __init__(self, taking: CommandIntake) -> None:
        self._taking = taking

    @operation("POST", "/api/notifications", summary="Notify users", tag="notifications", errors=[Conflict])
    async def notify(self, body: NotifyRequest) -> NotifyAnswer:
        """2xx means saved: who is offline finds it later."""
        return notify_answer(await self._taking.take(body))


class MessageApi:
    def __init__(self, taking: CommandIntake) -> None:
        self._taking = taking

    @operation("POST", "/api/messages", summary="Post a chat message", tag="chat", errors=[Conflict, NotFound])
    async def post_message(self, body: MessageRequest) -> MessageAnswer:
        """Into `room`, or to the user `to`, in the name of `from`, who need not be a member. 2xx means saved."""
        return message_answer(await self._taking.take(body))


def emit_answer(request: EmitRequest, taken: IngestResult) -> EmitAnswer:
    return EmitAnswer(new=UNSET if request.key is None else taken.new, scheduled=_scheduled(taken))


def notify_answer(taken: IngestResult) -> NotifyAnswer:
    answer = NotifyAnswer(new=taken.new, scheduled=_scheduled(taken))
    if taken.notified is not None:
        answer.notifications = [
            Notified(**asdict(notification), user=user, new=new) for user, notification, new in taken.notified
        ]
    if taken.reached is not None:
        answer.reached = taken.reached
    return answer


def message_answer(taken: IngestResult) -> MessageAnswer:
    message = UNSET if taken.message is None else taken.message
    return MessageAnswer(new=taken.new, scheduled=_scheduled(taken), message=message)


def _scheduled(taken: IngestResult) -> Scheduled | UnsetType:
    return UNSET if taken.scheduled is None else Scheduled(*taken.scheduled)
