"""Publishing over HTTP: `POST /api/emit`, `/api/notifications` and `/api/messages`.

Owns what exists over HTTP only (acks), and the responses; the intake that all sources share does the rest. A 2xx for a
durable request means that it is saved.
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
from rtserver.ingest.commands import EmitRequest, EmitTarget, MessageRequest, NotifyRequest, Request
from rtserver.ingest.intake import IngestResult
from rtserver.store.messages.records import Message, Notification


class CommandIntake(Protocol):
    """Executes requests, or schedules them."""

    async def submit(self, request: Request) -> IngestResult:
        """Raises an `EventError`: `Conflict` for a key that was used with another body."""
        ...


class AckEmitter(Protocol):
    """Broadcasts that wait for the acks of the clients, cluster-wide."""

    async def emit_with_ack(
        self, target: EmitTarget, event: str, args: Sequence[Any], timeout: float
    ) -> tuple[list[Any], int | None]:
        """Return the acks that came within `timeout` seconds, and the number of clients asked.

        The number is None where a server did not report it. Raises `NotFound` for an unknown namespace.
        """
        ...


class EmitBody(EmitRequest, forbid_unknown_fields=True):
    """`rooms` and `users` add up; without either everybody is addressed. `data` is short for one argument."""

    ack: Annotated[bool, Meta(description="Wait until the clients have acknowledged it")] = False
    timeout: Annotated[float, Meta(gt=0, le=60, description="Seconds to wait for that")] = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ack and (self.volatile or self.key is not None or self.at is not None):
            raise ValueError("`ack` cannot be combined with `volatile`, `key` or `at`")

    def request(self) -> EmitRequest:
        """The request without the fields that exist over HTTP only."""
        values = {name: value for name, value in asdict(self).items() if name not in ("ack", "timeout")}
        return EmitRequest(**values)


class Scheduled(msgspec.Struct):
    """A request that is saved for its time `at`."""

    id: str
    at: str


class PublishAnswer(OkResponse, kw_only=True, rename="camel"):
    """`new`: false where the key was known and nothing was executed. `scheduled`: instead of a result, where `at` is in
    the future."""

    new: bool | UnsetType = UNSET
    scheduled: Scheduled | UnsetType = UNSET


class EmitAnswer(PublishAnswer, kw_only=True, rename="camel"):
    """`new` is present with a key. With `ack`: `answers` has the first argument of each ack, `missing` is the number of
    acks that did not arrive in time; `partial`: a server did not report its clients, so more may be missing."""

    answers: list[Any] | UnsetType = UNSET
    missing: int | UnsetType = UNSET
    partial: bool | UnsetType = UNSET


class Notified(Notification, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A notification as it is saved, for `user`; `new` is false for an earlier one with the same key."""

    user: str
    new: bool


class NotifyAnswer(PublishAnswer, kw_only=True, rename="camel"):
    """`notifications` has one item per user, in the order given. For a room or everyone, `reached` is the number of
    users."""

    notifications: list[Notified] | UnsetType = UNSET
    reached: int | UnsetType = UNSET


class MessageAnswer(PublishAnswer, kw_only=True, rename="camel"):
    """`message` as it is saved."""

    message: Message | UnsetType = UNSET


class EmitApi:
    def __init__(self, intake: CommandIntake, ack_emitter: AckEmitter) -> None:
        self._intake = intake
        self._ack_emitter = ack_emitter

    @operation(
        "POST", "/api/emit", summary="Emit an event to connected clients", tag="live", errors=[Conflict, NotFound]
    )
    async def emit(self, body: EmitBody) -> EmitAnswer:
        """Without `rooms` and `users` it goes to all clients of the namespace. Sent once, to connected clients only."""
        if not body.ack:
            return emit_answer(body, await self._intake.submit(body.request()))
        answers, asked = await self._ack_emitter.emit_with_ack(body.target, body.event, body.arguments, body.timeout)
        missing = 0 if asked is None else max(0, asked - len(answers))
        return EmitAnswer(answers=answers, missing=missing, partial=asked is None)


class NotifyApi:
    def __init__(self, intake: CommandIntake) -> None:
        self._intake = intake

    @operation("POST", "/api/notifications", summary="Notify users", tag="notifications", errors=[Conflict])
    async def notify(self, body: NotifyRequest) -> NotifyAnswer:
        """2xx means saved: users who are offline find it later."""
        return notify_answer(await self._intake.submit(body))


class MessageApi:
    def __init__(self, intake: CommandIntake) -> None:
        self._intake = intake

    @operation("POST", "/api/messages", summary="Post a chat message", tag="chat", errors=[Conflict, NotFound])
    async def post_message(self, body: MessageRequest) -> MessageAnswer:
        """To `room`, or to the user `to`, in the name of `from`, who need not be a member. 2xx means saved."""
        return message_answer(await self._intake.submit(body))


def emit_answer(request: EmitRequest, result: IngestResult) -> EmitAnswer:
    """Return the response body for an emit without acks."""
    return EmitAnswer(new=UNSET if request.key is None else result.new, scheduled=_scheduled(result))


def notify_answer(result: IngestResult) -> NotifyAnswer:
    """Return the response body for a notification."""
    answer = NotifyAnswer(new=result.new, scheduled=_scheduled(result))
    if result.notified is not None:
        answer.notifications = [
            Notified(**asdict(notification), user=user, new=new) for user, notification, new in result.notified
        ]
    if result.reached is not None:
        answer.reached = result.reached
    return answer


def message_answer(result: IngestResult) -> MessageAnswer:
    """Return the response body for a chat message."""
    message = UNSET if result.message is None else result.message
    return MessageAnswer(new=result.new, scheduled=_scheduled(result), message=message)


def _scheduled(result: IngestResult) -> Scheduled | UnsetType:
    return UNSET if result.scheduled is None else Scheduled(*result.scheduled)
