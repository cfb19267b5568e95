"""Every private hook of python-socketio, python-engineio, aiohttp, redis-py and CPython that rtserver is built on.

They are not part of a promised interface; pyproject.toml pins the versions that are known to have them. When an upgrade
changes one, a test here fails and names it, before other tests fail in ways that are harder to read.
"""

from __future__ import annotations

import asyncio
import dis
import inspect
import sys
from collections.abc import AsyncIterator
from itertools import pairwise

import engineio
import pytest
import redis.exceptions
import socketio
from aiohttp import http_parser, streams, web, web_protocol, web_runner
from aiohttp._websocket.helpers import websocket_mask
from aiohttp.base_protocol import BaseProtocol
from engineio import packet
from engineio.async_drivers import aiohttp as driver
from redis._parsers.base import BaseParser
from redis.asyncio import Connection, ConnectionPool, RedisCluster
from redis.asyncio.cluster import ClusterNode, NodesManager
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.crc import key_slot
from socketio import async_manager, base_server

from rtserver.cluster.redis.connection import connector
from rtserver.cluster.redis.error_replies import code_of
from rtserver.engine.server import Engine
from rtserver.sio.dispatch.eager_coroutines import SUSPENDING_OPCODES, suspending_opcodes
from rtserver.sio.server import Server
from tests.support.eventually import eventually


def parameters(function):
    return list(inspect.signature(function).parameters)


def source(function):
    return inspect.getsource(function)


def test_python_socketio_creates_our_engine_class():
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


def test_the_client_manager_has_the_methods_that_ours_replaces():
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
def test_the_public_methods_that_we_override_keep_their_arguments(method):
    original = inspect.signature(getattr(socketio.AsyncServer, method))
    ours = inspect.signature(getattr(Server, method))
    assert list(ours.parameters) == list(original.parameters)
    for name, parameter in original.parameters.items():
        assert ours.parameters[name].default == parameter.default or name == "timeout"


def test_connection_refused_errors_carry_their_arguments():
    assert socketio.exceptions.ConnectionRefusedError("m", 1).error_args == {"message": "m", "data": 1}
    assert socketio.exceptions.ConnectionRefusedError("m").error_args == {"message": "m"}
    assert "message" in socketio.exceptions.ConnectionRefusedError().error_args


@pytest.mark.parametrize(
    "reason", ["CLIENT_DISCONNECT", "SERVER_DISCONNECT", "PING_TIMEOUT", "TRANSPORT_CLOSE", "TRANSPORT_ERROR"]
)
def test_disconnect_reasons_have_these_names(reason):
    assert getattr(socketio.AsyncServer.reason, reason) == getattr(engineio.AsyncServer.reason, reason)


def test_environ_and_attach_are_where_we_use_them():
    assert Server().environ == {}
    assert parameters(socketio.AsyncServer.attach) == ["self", "app", "socketio_path"]


def test_python_socketio_passes_its_json_module_to_the_engine_packets():
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


def test_a_request_head_can_be_limited_and_refused():
    """`rtserver.engine.http.bounded_handler`: a subclass puts a refusal into the queue, and makes its response."""
    handler = web_protocol.RequestHandler
    assert {"_messages", "_waiter", "_request_count", "max_field_size", "_manager"} <= set(handler.__slots__)
    assert parameters(handler.handle_error) == ["self", "request", "status", "exc", "message"]
    assert "self.handle_error(\n                request, err_info.status, err_info.exc" in source(
        handler._make_error_handler
    )
    assert "_ErrInfo(status=400, exc=exc, message=exc.message), EMPTY_PAYLOAD" in source(handler.data_received)
    assert parameters(web_protocol._ErrInfo) == ["status", "exc", "message"]
    assert {"self._loop", "self._kwargs"} <= set(source(web.Server.__init__).replace(":", " ").split())


def test_a_body_can_be_refused_and_discarded():
    """`rtserver.engine.http.bounded_handler`: no lingering by aiohttp, and a stream that reports what it was fed."""
    handler = web_protocol.RequestHandler
    assert "_lingering_time" in handler.__slots__
    start = source(handler.start)
    assert (
        "lingering_time = self._lingering_time\n                    if not self._force_close and lingering_time"
        in start
    )
    assert "if not payload.is_eof() and not self._force_close:" in start
    assert parameters(handler.finish_response) == ["self", "request", "resp", "start_time"]
    for method in ("_pause_transport_reading", "_resume_transport_reading"):
        assert parameters(getattr(BaseProtocol, method)) == ["self"]
    assert isinstance(streams.StreamReader.total_raw_bytes, property)
    assert "total_compressed_bytes" in streams.StreamReader.__slots__
    assert "out.total_compressed_bytes = self.size" in source(http_parser.DeflateBuffer.__init__)


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


# redis-py: it opens connections, whose transport is then ours (`rtserver.cluster.redis`).


class FakeRedis:
    """Replies OK to everything, and keeps what it was sent and the other end of each connection."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while data := await reader.read(10_000):
            self.received.append(data)
            writer.write(b"+OK\r\n")


@pytest.fixture
async def fake_redis() -> AsyncIterator[tuple[FakeRedis, Connection]]:
    """A fake Redis, and a connection to it as the bus makes it, not yet open."""
    fake = FakeRedis()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    connection = connector(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")()
    yield fake, connection
    await connection.disconnect(nowait=True)
    for writer in fake.writers:
        writer.close()
    server.close()


async def test_an_open_redis_connection_has_a_stream_writer_whose_protocol_can_be_replaced(fake_redis):
    _, connection = fake_redis
    assert connection._writer is None
    await connection.connect()
    assert isinstance(connection._writer, asyncio.StreamWriter)
    received = asyncio.get_running_loop().create_future()

    class Ours(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            received.set_result(data)

    connection._writer.transport.set_protocol(Ours())
    connection._writer.transport.resume_reading()
    connection._writer.transport.write(b"*1\r\n$4\r\nPING\r\n")
    assert await received == b"+OK\r\n"
    connection._writer.transport.abort()
    await connection.disconnect(nowait=True)
    assert connection._writer is None


async def test_nothing_but_the_client_name_is_sent_when_a_redis_connection_opens(fake_redis):
    """No HELLO 3, no CLIENT SETINFO, no maintenance notifications: each would cost a round trip or push replies."""
    fake, connection = fake_redis
    await connection.connect()
    assert fake.received == [b"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$8\r\nrtserver\r\n"]


async def test_a_command_is_sent_and_its_reply_read_in_two_steps(fake_redis):
    fake, connection = fake_redis
    await connection.connect()
    await connection.send_command("PING", check_health=False)
    assert await connection.read_response() == b"OK"
    assert not await connection.can_read()
    fake.writers[0].close()
    await eventually(connection.can_read)  # which is how an emitter notices that it was disconnected


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", redis.exceptions.OutOfMemoryError, "OOM"),
        ("READONLY You can't write against a read only replica.", redis.exceptions.ReadOnlyError, "READONLY"),
        ("NOPERM this user has no permissions", redis.exceptions.NoPermissionError, "NOPERM"),
        ("NOSCRIPT No matching script.", redis.exceptions.NoScriptError, "NOSCRIPT"),
        ("MOVED 3999 127.0.0.1:6381", redis.exceptions.MovedError, "MOVED"),
        ("CLUSTERDOWN The cluster is down", redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
        ("LOADING Redis is loading the dataset in memory", redis.exceptions.BusyLoadingError, "LOADING"),
        ("MISCONF Redis is configured to save", redis.exceptions.ResponseError, "MISCONF"),
        ("BUSYGROUP Consumer Group name already exists", redis.exceptions.ResponseError, "ERR"),
    ],
)
def test_the_parser_makes_exceptions_of_error_replies(reply, kind, code):
    error = BaseParser.parse_error(reply)
    assert isinstance(error, kind)
    assert code_of(error) == code


def test_a_pool_of_redis_is_a_factory_of_connections():
    connection = ConnectionPool(Connection, host="h", port=1).make_connection()
    assert (type(connection), connection.host, connection.port) == (Connection, "h", 1)
    assert connection.is_connected is False
    assert parameters(SentinelConnectionPool.__init__) == ["self", "service_name", "sentinel_manager", "kwargs"]
    pool = SentinelConnectionPool("mymaster", Sentinel([("h", 1)]), ssl=False)
    assert pool.make_connection().connection_pool is not None


def test_a_redis_connection_reads_its_host_and_port_when_it_connects():
    """`ClusterConnection` sets them to the owner of our slot just before."""
    assert '"host": self.host, "port": self.port' in source(Connection._connection_arguments)


def test_the_nodes_of_a_redis_cluster_tell_their_slots():
    assert parameters(NodesManager.get_node_from_slot)[:2] == ["self", "slot"]
    assert parameters(NodesManager.aclose) == ["self", "attr"]
    assert "self.startup_nodes" in source(NodesManager.__init__)
    assert "self.slots_cache" in source(NodesManager.__init__)
    assert inspect.iscoroutinefunction(NodesManager.initialize)
    assert inspect.iscoroutinefunction(ClusterNode.execute_command)
    assert parameters(RedisCluster.keyslot) == ["self", "key"]
    assert "get_nodes" in dir(RedisCluster)


def test_slots_are_those_of_the_specification_of_redis_cluster():
    assert key_slot(b"123456789") == 0x31C3
    slots = [key_slot(name) for name in (b"{user1000}.following", b"{user1000}.followers", b"user1000")]
    assert all(one == other for one, other in pairwise(slots))


# CPython: byte code (`rtserver.sio.dispatch.eager_coroutines`), and coroutines that are driven by hand
# (`rtserver.sio.dispatch.handler_timeout`).


def test_the_opcodes_that_suspend_a_coroutine_are_known_for_this_python():
    assert sys.implementation.name == "cpython"
    assert sys.version_info[:2] in SUSPENDING_OPCODES, "handlers are slower on a Python that is not in the table"
    assert suspending_opcodes() <= dis.opmap.keys()


async def _await(awaitable):
    return await awaitable


async def _async_for(iterable):
    return [item async for item in iterable]


async def _async_with(manager):
    async with manager:
        pass


@pytest.mark.parametrize("function", [_await, _async_for, _async_with])
def test_every_suspension_compiles_to_a_send_and_a_yield(function):
    found = {instruction.opname for instruction in dis.get_instructions(function)}
    assert {"SEND", "YIELD_VALUE"} <= found or "GET_AWAITABLE" in found


async def test_a_coroutine_yields_the_future_that_it_awaits_and_is_resumed_by_send_or_throw():
    future = asyncio.get_running_loop().create_future()
    for resume in (lambda work: work.send(None), lambda work: work.throw(asyncio.CancelledError())):
        work = _await(future)
        assert work.send(None) is future
        # The task that gets the future expects this mark, which `__await__` of the future sets.
        assert future._asyncio_future_blocking is True
        future._asyncio_future_blocking = False
        if not future.done():
            future.set_result(5)
        with pytest.raises((StopIteration, asyncio.CancelledError)) as caught:
            resume(work)
        assert getattr(caught.value, "value", 5) == 5
        future = asyncio.get_running_loop().create_future()


async def test_a_task_counts_its_cancellations_and_takes_them_back():
    task = asyncio.current_task()
    task.cancel()
    task.cancel()
    assert task.cancelling() == 2
    assert task.uncancel() == 1
    assert task.uncancel() == 0
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
