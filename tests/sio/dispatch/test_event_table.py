"""The event table of a class with `@event` methods."""

import pytest

from rtserver.sio.dispatch.event_table import SERVER_DEFAULT, build_table
from rtserver.sio.namespace.namespace import Namespace, event, server_event


def test_only_marked_methods_handle_events():
    class One(Namespace):
        @event("a")
        async def handle_a(self, client): ...

        async def on_b(self, client): ...

        async def c(self, client): ...

    assert set(build_table(One)) == {"a"}


def test_the_event_has_the_name_of_the_method_by_default():
    class One(Namespace):
        @event()
        async def ping(self, client): ...

    assert set(build_table(One)) == {"ping"}


def test_an_override_needs_no_decorator():
    class Base(Namespace):
        @event("a", rate=None)
        async def handle(self, client, number: int): ...

    class Sub(Base):
        async def handle(self, client, text: str): ...

    entry = build_table(Sub)["a"]
    assert (entry.attribute, entry.rate) == ("handle", None)
    assert entry.arguments.convert(["x"]) == ["x"]
    assert build_table(Base)["a"].rate is None


def test_the_most_derived_handler_of_an_event_wins_whatever_its_name():
    class Base(Namespace):
        @event("a")
        async def z(self, client): ...

    class Sub(Base):
        @event("a")
        async def b(self, client): ...

    assert build_table(Sub)["a"].attribute == "b"


def test_a_subclass_can_remove_and_rename_a_handler():
    class Base(Namespace):
        @event("a")
        async def a(self, client): ...

        @event("b")
        async def b(self, client): ...

    class Sub(Base):
        a = None

        @event("c", rate="1/s")
        async def b(self, client): ...

    assert set(build_table(Sub)) == {"c"}


def test_two_handlers_for_one_event_in_a_class_fail_at_definition():
    with pytest.raises(TypeError, match="two handlers"):

        class Twice(Namespace):
            @event("a")
            async def one(self, client): ...

            @event("a")
            async def two(self, client): ...

    with pytest.raises(TypeError, match="two handlers"):

        class TwiceOnServers(Namespace):
            @server_event("a")
            async def one(self): ...

            @server_event("a")
            async def two(self): ...


@pytest.mark.parametrize(
    "name", ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]
)
def test_reserved_names_cannot_be_events(name):
    with pytest.raises(ValueError, match="reserved"):
        event(name)


def test_a_decorator_without_a_call_fails_at_definition():
    with pytest.raises(TypeError, match="write @event"):

        class Wrong(Namespace):
            @event
            async def a(self, client): ...


@pytest.mark.parametrize("rate", ["10", "10/d", "0/s", "-1/s", "x/s", ""])
def test_an_invalid_rate_fails_at_definition(rate):
    with pytest.raises(ValueError, match="rate"):
        event("a", rate=rate)


def test_without_a_rate_the_server_default_applies():
    class One(Namespace):
        @event("a")
        async def a(self, client): ...

    assert build_table(One)["a"].rate is SERVER_DEFAULT
