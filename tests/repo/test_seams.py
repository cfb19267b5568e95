"""Every private hook of python-socketio, python-engineio and aiohttp that rtserver is built on.

These libraries do not promise to keep them; pyproject.toml pins the versions known to have them. When an upgrade moves
one, this file fails and says which, before anything else fails in a way that is harder to read.
"""

from __future__ import annotations

import inspect

import engineio
import pytest
import socketio
from aiohttp import http_parser, web, web_protocol, web_runner
from aiohttp._websocket.helpers import websocket_mask
from aiohttp.base_protocol import BaseProtocol
from engineio import packet
from engineio.async_drivers import aiohttp as driver
from socketio import async_manager, base_server

from rtserver.engine.server import Engine
from rtserver.sio.server import Server


def parameters(function):
    return list(inspect.signature(function).parameters)


def source(function):
    return inspect.getsource(function)


def test_the_engine_class_is_asked_for_and_ours_is_taken():
    assert "self._engineio_server_class()(**engineio_options)" in source(base_server.BaseServer.__init__)
    server = Server()
    assert isinstance(server.eio, Engine)
    assert server.eio.async_handlers is False
    assert server.eio.generate_id().startswith(server.instance_id + "-")


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


def test_the_engine_keeps_the_options_and_methods_of_python_engineio():
    server = Server(ping_interval=3, ping_timeout=2, max_http_buffer_size=77, cookie="io", transports=["polling"])
    engine = server.engine
    assert (engine.ping_interval, engine.ping_timeout, engine.max_http_buffer_size) == (3, 2, 77)
    assert (engine.cookie, engine.transports, engine.allow_upgrades) == ("io", ["polling"], True)
    assert engine.cors_allowed_origins is None
    assert engine.cors_credentials is True
    for method in ("attach", "handle_request", "send", "disconnect", "transport", "shutdown", "generate_id"):
        ours, original = getattr(Engine, method), getattr(engineio.AsyncServer, method)
        assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(original)


def test_the_environ_of_a_request_contains_the_request():
    assert parameters(driver.translate_request) == ["request"]
    assert "'aiohttp.request': request" in source(driver.translate_request)


# aiohttp: connection takeover (`rtserver.engine.http.takeover`, `rtserver.engine.transports.polling_fastpath`).


def test_a_connection_can_be_detached_from_its_request_handler():
    handler = web_protocol.RequestHandler
    assert {"_message_tail", "_current_request", "_payload_parser"} <= set(handler.__slots__)
    assert {"_reading_paused", "_buffer_paused", "transport"} <= set(BaseProtocol.__slots__)
    lost = source(handler.connection_lost)
    assert "self._manager.connection_lost(self, exc)" in lost
    assert "self._current_request._cancel(exc)" in lost
    assert "if self.transport is not None:\n            self.transport.close()" in source(handler.force_close)
    assert "while not self._force_close" in source(handler.start)


def test_a_connection_can_be_taken_over_and_handed_back():
    assert {"_messages", "_logging_enabled", "_close", "_force_close", "_manager"} <= set(
        web_protocol.RequestHandler.__slots__
    )
    assert {"_paused", "_parser"} <= set(BaseProtocol.__slots__)
    # The manager creates the handlers of its server, and `data_received` of a new one accepts earlier bytes.
    assert "return RequestHandler(self, loop=self._loop, **self._kwargs)" in source(web.Server.__call__)
    assert parameters(web_protocol.RequestHandler.data_received) == ["self", "data"]
    assert isinstance(web.Response().compression, bool)


def test_a_request_can_be_detached_with_its_connection():
    """`rtserver.engine.http.detach`: what has been read of the request and behind it, and whether it is alone."""
    handler = web_protocol.RequestHandler
    assert {"_messages", "_message_tail", "_close", "_force_close"} <= set(handler.__slots__)
    assert {"_reading_paused", "_upgraded"} <= set(BaseProtocol.__slots__)
    taken = source(handler.data_received)
    assert "self._messages.append((msg, payload))" in taken
    assert "self._upgraded = upgraded" in taken
    assert "self._message_tail = tail" in taken
    assert "self._message_tail += data" in taken
    assert "if self._force_close or self._close:\n            return" in taken
    assert "self._messages.popleft()" in source(handler.start)
    assert "self._reading_paused = True" in source(BaseProtocol.pause_reading)
    assert "self._message = message" in source(web.BaseRequest.__init__)
    message = {"method", "path", "version", "raw_headers", "should_close"}
    assert message <= set(dir(http_parser.RawRequestMessage))


def test_a_lost_connection_is_reported_to_the_body_of_its_request():
    assert "set_exception(self._payload, exc)" in source(web.BaseRequest._cancel)
    assert "_payload" in inspect.getsource(web.BaseRequest.__init__)


def test_payloads_are_unmasked_in_place():
    data = bytearray(b"abcdef")
    websocket_mask(b"\x01\x02\x03\x04", data)
    assert data == bytearray(byte ^ (at % 4 + 1) for at, byte in enumerate(b"abcdef"))


async def test_a_runner_gets_its_server_from_one_method_and_calls_it_for_each_connection():
    assert "self._server = await self._make_server()" in source(web_runner.BaseRunner.setup)
    assert "server = self._runner.server" in source(web_runner.TCPSite.start)
    assert "loop.create_server(\n            server," in source(web_runner.TCPSite.start)
    runner = web.AppRunner(web.Application(), access_log=None)
    assert runner._kwargs["access_log"] is None
    server = await runner._make_server()
    assert isinstance(server(), web_protocol.RequestHandler)
    await runner._cleanup_server()
