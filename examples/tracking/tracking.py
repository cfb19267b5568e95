"""Order tracking for customers: a complete namespace of an application. README.md says how to run it.

client → server   joinOrder "1042"                                → {ok, status}
                  leaveOrder "1042"                               → {ok}
                  report {orderId, status?, position?: [lat, lon]} → {ok}          role courier
server → client   orderUpdate {orderId, status}     position {orderId, position}
"""

from typing import Literal

import msgspec

from rtserver import Client, Namespace, event
from rtserver.errors import Forbidden, InvalidPayload, NotFound

Status = Literal["accepted", "in the kitchen", "on its way", "delivered"]


class Report(msgspec.Struct, rename="camel"):
    """The payload of a courier's report, checked before the handler is called."""

    order_id: str
    status: Status | None = None
    position: tuple[float, float] | None = None


class Order(msgspec.Struct):
    customer: str
    status: Status = "accepted"


class Tracking(Namespace, path="/tracking"):
    def __init__(self) -> None:
        # In a real application they come from a database, which `async def on_start(self)` opens.
        self.orders = {"1042": Order("alice"), "1043": Order("bob")}

    @event("joinOrder", rate="10/s")
    async def join_order(self, client: Client, order_id: str) -> dict[str, object]:
        order = self._order_of(client, order_id)
        await client.join(f"order:{order_id}")
        return {"ok": True, "status": order.status}

    @event("leaveOrder")
    async def leave_order(self, client: Client, order_id: str) -> dict[str, object]:
        await client.leave(f"order:{order_id}")
        return {"ok": True}

    @event("report", rate="5/s")
    async def report(self, client: Client, report: Report) -> dict[str, object]:
        if not _is_courier(client):
            raise Forbidden("Only couriers report")
        if report.status is None and report.position is None:
            raise InvalidPayload("Give a status or a position")
        order = self._order_of(client, report.order_id)
        watchers = self.to(f"order:{report.order_id}")
        if report.status is not None:
            order.status = report.status
            await watchers.emit("orderUpdate", {"orderId": report.order_id, "status": report.status})
        if report.position is not None:
            # A slow phone may miss a position: the next one replaces it.
            await watchers.volatile.emit("position", {"orderId": report.order_id, "position": report.position})
        return {"ok": True}

    def _order_of(self, client: Client, order_id: str) -> Order:
        order = self.orders.get(order_id)
        # One error for "does not exist" and "is not yours", so that order numbers cannot be probed.
        if order is None or not (_is_courier(client) or order.customer == client.user):
            raise NotFound("There is no such order")
        return order


def _is_courier(client: Client) -> bool:
    return client.identity is not None and "courier" in client.identity.roles
