"""Room delivery: what other servers send is checked, and what is kept of it is bounded."""

from typing import Any

import pytest

from rtserver.namespaces.chat.conversation import backend_conversation
from rtserver.namespaces.delivery import room_delivery
from rtserver.namespaces.delivery.room_delivery import RoomDelivery
from rtserver.sio.broadcast.rooms import Rooms

GARBAGE: list[Any] = [None, True, -1, 2**70, 1.5, "", "x" * 300, [], {}, {"room": []}, [["hall"]], "dm:", "user:ada"]


class Client:
    def __init__(self, name: str, *rooms: str) -> None:
        self.id, self.rooms = name, set(rooms)


class Delivery(RoomDelivery):
    """With two clients; `doubts` are the rooms that it would look up."""

    def __init__(self) -> None:
        super().__init__(None, lambda room: backend_conversation(room).audience)  # type: ignore[arg-type]
        self.doubts: set[str] = set()
        self._rooms = Rooms("/chat")
        for client in (Client("s1", "hall", "user:ada"), Client("s2", "hall")):
            self._rooms.add(client)  # type: ignore[arg-type]

    def _doubt(self, room: str) -> None:
        self.doubts.add(room)

    def _check_soon(self) -> None:
        """Nothing is looked up in these tests."""


@pytest.mark.parametrize("event", ["message", "messageEdited", "messageDeleted", "reaction", "another"])
@pytest.mark.parametrize("wire", GARBAGE)
def test_a_broadcast_that_is_no_message_is_delivered_and_not_noted(event: str, wire: Any) -> None:
    delivery = Delivery()
    for args in ([event], [event, wire], [event, {"room": wire, "seq": 1}], [event, {"room": "hall", "seq": wire}]):
        assert delivery.accepts(args, ("hall",))
    assert "hall" not in delivery.messages or wire in (-1, 2**70)
    assert set(delivery.messages) <= {"hall"}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_another_server_says_of_a_room_is_checked(garbage: Any) -> None:
    delivery = Delivery()
    for args in ((garbage, 1, 1), ("hall", garbage, 0), ("hall", 0, garbage), ("nowhere", 1, 1)):
        delivery.compare(*args)
    assert delivery.doubts <= {"hall"}
    assert len(delivery.messages) == 0


def test_names_that_are_not_addressed_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_delivery, "MAX_DIRECT", 10)
    delivery = Delivery()
    for number in range(100):
        assert delivery.accepts(["message", {"room": f"r{number}", "seq": 1}], ("hall",))
        direct = ("user:ada", f"user:u{number}")
        assert delivery.accepts(["message", {"room": f"dm:ada:u{number}", "seq": 1}], direct)
        assert delivery.accepts(["message", {"room": f"dm:bob:u{number}", "seq": 1}], ("user:bob", "user:nobody"))
    assert len(delivery.messages) == 10
    delivery._rooms.remove(delivery._rooms.clients["s1"])
    delivery._room_changed("user:ada")
    assert (len(delivery.messages), delivery._tracked_direct, delivery._direct) == (0, 0, {})


def test_a_broadcast_that_comes_twice_is_delivered_once() -> None:
    delivery = Delivery()
    told = ["message", {"room": "hall", "seq": 4}]
    assert [delivery.accepts(told, ("hall",)) for _ in range(3)] == [True, False, False]
    changed = ["reaction", {"room": "hall", "seq": 4, "rev": 9}]
    assert [delivery.accepts(changed, ("hall",)) for _ in range(3)] == [True, False, False]
