"""What has become of one notification, and taking it back. Must not know how devices are reached."""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta, Struct

from rtserver.errors import NotFound
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import OkResponse
from rtserver.store.notifications.records import Notification, Receipt


class NotificationFinder(Protocol):
    async def find(self, id_: str) -> tuple[str, Notification, tuple[Receipt, ...]]:
        """Whose it is, what it says now, and which devices have it; raises `NotFound`."""
        ...


class NotificationWithdrawer(Protocol):
    async def withdraw(self, id_: str) -> None:
        """Delete it, and tell the user's devices; raises `NotFound`."""
        ...


class NotificationPath(Struct, forbid_unknown_fields=True):
    id: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00]+$", description="As it was answered")]


class NotificationAnswer(OkResponse, kw_only=True, rename="camel"):
    """`deliveries`: the devices that have acked it as it is now; those that gave no name never ack."""

    user: str
    notification: Notification
    deliveries: list[Receipt]


class NotificationsApi:
    def __init__(self, finding: NotificationFinder, withdrawing: NotificationWithdrawer) -> None:
        self._finding = finding
        self._withdrawing = withdrawing

    @operation(
        "GET", "/api/notifications/{id}", summary="See what has become of a notification", tag="notifications",
        errors=[NotFound],
    )  # fmt: skip
    async def notification(self, path: NotificationPath) -> NotificationAnswer:
        """Whether it was seen or read, and which devices have it."""
        user, notification, receipts = await self._finding.find(path.id)
        return NotificationAnswer(user=user, notification=notification, deliveries=list(receipts))

    @operation(
        "DELETE", "/api/notifications/{id}", summary="Take a notification back", tag="notifications",
        errors=[NotFound],
    )  # fmt: skip
    async def withdraw(self, path: NotificationPath) -> OkResponse:
        """It disappears from the inbox, on all devices that are connected too."""
        await self._withdrawing.withdraw(path.id)
        return OkResponse()
