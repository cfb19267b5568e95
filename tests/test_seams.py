"""Every private hook of python-socketio, python-engineio and aiohttp that rtserver is built on.

These libraries do not promise to keep them; pyproject.toml pins the versions known to have them. When an upgrade moves
one, this file fails and says which, before anything else fails in a way that is harder to read.
"""

from __future__ import annotations

import asyncio
import inspect

import engineio
import pytest
import socketio
from aiohttp import web
from engineio import async_socket, base_socket, packet
from engineio.async_drivers import aiohttp as driver
from socketio import async_manager, base_server

from rtserver.engine.server import Engine
from rtserver.sio.server import Server


def parameters(function):
    return list(inspect.signature(function).parameters)


def source(function):
    return inspect.getsource(function)


# python-socketio: what the engine reports arrives in these three methods.


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("_handle_eio_connect", ["self", "eio_sid", "environ"]),
        ("_handle_eio_message", ["self", "eio_sid", "data"]),
        ("_handle_eio_disconnect", ["self", "eio_sid", "reason"]),
    ],
)
def test_the_engine_reports_to_hooks_that_we_override(hook, expected):
    original = getattr(socketio.AsyncServer, hook)
    assert parameters(original) == expected == parameters(getattr(Server, hook))
    assert inspect.iscoroutinefunction(original)
    event = hook.rsplit("_", 1)[1]
    assert f"self.eio.on('{event}', self.{hook})" in source(base_server.BaseServer.__init__)


def test_the_engine_class_is_asked_for_and_ours_is_taken():
    assert "self._engineio_server_class()(**engineio_options)" in source(base_server.BaseServer.__init__)
    server = Server()
    assert isinstance(server.eio, Engine)
    assert server.eio.async_handlers is False
    assert server.eio.instance_id == server.instance_id


def test_python_socketio_looks_handlers_up_by_name():
    server = Server()
    assert parameters(base_server.BaseServer._get_event_handler) == ["self", "event", "namespace", "args"]
    assert parameters(base_server.BaseServer._get_namespace_handler) == ["self", "namespace", "args"]
    handler = object
    server.on("known", handler)
    server.on("*", handler, namespace="/all")
    assert server._get_event_handler("known", "/", ("sid", 1)) == (handler, ("sid", 1))
    assert server._get_event_handler("other", "/all", ("sid", 1)) == (handler, ("other", "sid", 1))
    assert server._get_event_handler("connect", "/all", ("sid",)) == (None, ("sid",))
    assert server._get_event_handler("other", "/", ("sid",)) == (None, ("sid",))
    namespace = socketio.AsyncNamespace("*")
    server.register_namespace(namespace)
    assert server._get_namespace_handler("/any", ("sid",)) == (namespace, ("/any", "sid"))
    assert set(server.handlers) == {"/", "/all"}
    assert set(server.namespace_handlers) == {"*"}


def test_a_class_based_namespace_triggers_its_own_methods():
    assert parameters(socketio.AsyncNamespace.trigger_event) == ["self", "event", "args"]
    assert "'on_' + (event or '')" in source(socketio.AsyncNamespace.trigger_event)


def test_the_manager_that_we_replace_has_these_methods():
    manager = async_manager.AsyncManager
    for method, expected in {
        "get_namespaces": ["self"],
        "get_participants": ["self", "namespace", "room"],
        "is_connected": ["self", "sid", "namespace"],
        "eio_sid_from_sid": ["self", "sid", "namespace"],
        "sid_from_eio_sid": ["self", "eio_sid", "namespace"],
        "get_rooms": ["self", "sid", "namespace"],
    }.items():
        assert parameters(getattr(manager, method)) == expected, method
    assert parameters(manager.emit)[:7] == ["self", "event", "data", "namespace", "room", "skip_sid", "callback"]
    assert "self.manager.set_server(self)" in source(base_server.BaseServer.__init__)


@pytest.mark.parametrize(
    "method",
    ["emit", "call", "enter_room", "leave_room", "close_room", "get_session", "save_session", "disconnect", "rooms"],
)
def test_the_public_methods_that_we_carry_out_keep_their_arguments(method):
    original = inspect.signature(getattr(socketio.AsyncServer, method))
    ours = inspect.signature(getattr(Server, method))
    assert list(ours.parameters) == list(original.parameters)
    for name, parameter in original.parameters.items():
        assert ours.parameters[name].default == parameter.default or name == "timeout"


def test_refusals_of_python_socketio_carry_their_arguments():
    assert socketio.exceptions.ConnectionRefusedError("m", 1).error_args == {"message": "m", "data": 1}
    assert socketio.exceptions.ConnectionRefusedError("m").error_args == {"message": "m"}
    assert "message" in socketio.exceptions.ConnectionRefusedError().error_args


@pytest.mark.parametrize(
    "reason", ["CLIENT_DISCONNECT", "SERVER_DISCONNECT", "PING_TIMEOUT", "TRANSPORT_CLOSE", "TRANSPORT_ERROR"]
)
def test_reasons_of_a_disconnect_have_these_names(reason):
    assert getattr(socketio.AsyncServer.reason, reason) == getattr(engineio.AsyncServer.reason, reason)


def test_environ_and_attach_are_where_we_use_them():
    assert Server().environ == {}
    assert parameters(socketio.AsyncServer.attach) == ["self", "app", "socketio_path"]


def test_python_socketio_hands_its_json_to_the_engine_packets():
    assert "engineio_options['json'] = json" in source(base_server.BaseServer.__init__)
    Server()
    with pytest.raises(ValueError, match="unexpected character"):
        packet.Packet.json.loads("NaN")


# python-engineio.


def test_an_engine_packet_parses_its_data_as_json():
    """Why `Connection.receive` refuses what is neither text nor bytes."""
    assert packet.Packet(encoded_packet='4{"a":1}').data == {"a": 1}
    assert packet.Packet(encoded_packet="4[50]").data == [50]
    assert packet.Packet(encoded_packet='42["a"]').data == '2["a"]'
    assert packet.Packet(encoded_packet=b"x").data == b"x"


async def test_a_session_has_the_queue_and_flags_that_we_push_to():
    engine = Engine(async_mode="aiohttp")
    socket = async_socket.AsyncSocket(engine, "sid")
    assert isinstance(socket.queue, asyncio.Queue)
    assert (socket.closed, socket.closing, socket.upgraded, socket.connected) == (False, False, False, False)
    engine.sockets["sid"] = socket
    engine.push("sid", ["text", b"bytes"])
    sent = await socket.poll()
    assert [(p.packet_type, p.data) for p in sent] == [(packet.MESSAGE, "text"), (packet.MESSAGE, b"bytes")]
    socket.queue.put_nowait(None)
    assert await socket.poll() == []


def test_a_session_is_closed_with_a_reason_and_without_waiting():
    assert parameters(async_socket.AsyncSocket.close) == ["self", "wait", "abort", "reason"]
    assert "await self.server._trigger_event(" in source(async_socket.AsyncSocket.close)
    assert parameters(async_socket.AsyncSocket._websocket_handler) == ["self", "ws"]
    assert "self.server._async['websocket'](" in source(async_socket.AsyncSocket._upgrade_websocket)
    assert "self.sid = sid" in source(base_socket.BaseSocket.__init__)


def test_ids_of_sessions_are_made_by_the_server():
    assert parameters(engineio.AsyncServer.generate_id) == ["self"]
    assert "sid = self.generate_id()" in source(engineio.AsyncServer._handle_connect)
    assert Engine(async_mode="aiohttp", instance_id="abc").generate_id().startswith("abc-")


def test_the_driver_is_a_table_whose_websocket_can_be_replaced():
    engine = Engine(async_mode="aiohttp")
    assert engine._async is not driver._async
    assert set(driver._async) == {"asyncio", "create_route", "translate_request", "make_response", "websocket"}
    assert engine._async["websocket"] is not driver.WebSocket
    assert issubclass(engine._async["websocket"], driver.WebSocket)
    assert parameters(driver.WebSocket.__init__) == ["self", "handler", "server"]
    for method in ("close", "send", "wait"):
        assert "self._sock" in source(getattr(driver.WebSocket, method))
    assert "environ['aiohttp.request']" in source(driver.WebSocket.__call__)
    assert "'aiohttp.request': request" in source(driver.translate_request)


# aiohttp.


def test_a_websocket_of_aiohttp_can_be_bounded_and_left_uncompressed():
    names = parameters(web.WebSocketResponse.__init__)
    assert {"max_msg_size", "compress"} <= set(names)
    assert web.WebSocketResponse(compress=False, max_msg_size=5)
