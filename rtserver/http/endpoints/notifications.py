"""`/api/notifications/{id}`: state and withdrawal of one notification. Must not know how devices are reached."""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta, Struct

from rtserver.errors import NotFound
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import OkResponse
from rtserver.store.notifications.records import Notification, Receipt


class NotificationFinder(Protocol):
    """Looks up saved notifications."""

    async def find(self, id_: str) -> tuple[str, Notification, tuple[Receipt, ...]]:
        """Return its user, its present content and its delivery receipts; raises `NotFound`."""
        ...


class NotificationWithdrawer(Protocol):
    """Withdraws notifications."""

    async def withdraw(self, id_: str) -> None:
        """Delete it and report that to the user's devices; raises `NotFound`."""
        ...


class NotificationPath(Struct, forbid_unknown_fields=True):
    id: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00]+$", description="The id that was returned")]


class NotificationAnswer(OkResponse, kw_only=True, rename="camel"):
    """`deliveries`: the devices that have acked its present version; devices without a name never ack."""

    user: str
    notification: Notification
    deliveries: list[Receipt]


class NotificationsApi:
    """The operations; both arguments are usually of one store."""

    def __init__(self, finder: NotificationFinder, withdrawer: NotificationWithdrawer) -> None:
        self._finder = finder
        self._withdrawer = withdrawer

    @operation(
        "GET", "/api/notifications/{id}", summary="Read the state of a notification", tag="notifications",
        errors=[NotFound],
    )  # fmt: skip
    async def notification(self, path: NotificationPath) -> NotificationAnswer:
        """Whether it was seen or read, and which devices have it."""
        user, notification, receipts = await self._finder.find(path.id)
        return NotificationAnswer(user=user, notification=notification, deliveries=list(receipts))

    @operation(
        "DELETE", "/api/notifications/{id}", summary="Withdraw a notification", tag="notifications",
        errors=[NotFound],
    )  # fmt: skip
    async def withdraw(self, path: NotificationPath) -> OkResponse:
        """It disappears from the inbox, and from all connected devices."""
        await self._withdrawer.withdraw(path.id)
        return OkResponse()
