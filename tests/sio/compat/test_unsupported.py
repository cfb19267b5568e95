"""Every argument and method of python-socketio works here, or raises with a sentence; nothing is silently ignored."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re

import engineio
import pytest
import socketio
from aiohttp import web

import rtserver
from rtserver.sio.compat.unsupported import CHECKS
from rtserver.sio.namespace.namespace import Namespace
from rtserver.sio.server import Server
from tests.sio.conftest import eventually
from tests.support.repository import ROOT

LOGGER = logging.getLogger("tests.unsupported")


def options(server):
    return server.engine.options


EFFECTS = {
    "async_handlers": (True, lambda s: s.concurrent_handlers),
    "allow_upgrades": (False, lambda s: not options(s).allow_upgrades),
    "async_mode": ("aiohttp", lambda s: s.async_mode == "aiohttp"),
    "client_manager": (socketio.AsyncManager(), lambda s: s.manager.server is s),
    "compression_threshold": (7, lambda s: options(s).compression_threshold == 7),
    "cookie": ("io", lambda s: options(s).cookie == "io"),
    "cors_allowed_origins": ("https://a.example", lambda s: s.engine.cors_allowed_origins == "https://a.example"),
    "cors_credentials": (False, lambda s: s.engine.cors_credentials is False),
    "engineio_logger": (LOGGER, lambda s: s.engine.logger is LOGGER),
    "http_compression": (False, lambda s: not options(s).http_compression),
    "logger": (LOGGER, lambda s: s.logger is LOGGER and s.logs_calls),
    "max_http_buffer_size": (99, lambda s: options(s).max_payload == 99),
    "monitor_clients": (True, lambda s: s.engine.wheel is not None),
    "namespaces": (["/x"], lambda s: s.namespaces == ["/x"]),
    "ping_interval": (3, lambda s: options(s).ping_interval == 3),
    "ping_timeout": (2, lambda s: options(s).ping_timeout == 2),
    "serializer": ("msgpack", lambda s: s.client_class.__name__ == "MsgpackClient"),
    "transports": (["polling"], lambda s: options(s).transports == ["polling"]),
}
"""A value of each argument that works, and where it is seen. Its effect on clients is tested where it belongs."""

REFUSED = [
    ("async_mode", "asgi"), ("async_mode", "tornado"), ("async_mode", "sanic"), ("async_mode", "threading"),
    ("always_connect", True), ("json", json), ("monitor_clients", False), ("ping_interval", (25, 5)),
    ("transports", ["websocket", "webtransport"]), ("transports", "flash"), ("serializer", "pickle"),
    ("serializer", object), ("client_manager", socketio.AsyncRedisManager("redis://127.0.0.1:1", write_only=True)),
    ("client_manager", socketio.AsyncRedisManager("redis://127.0.0.1:1", redis_options={"db": 1})),
    ("client_manager", socketio.AsyncRedisManager("redis://127.0.0.1:1", json=object())),
    ("client_manager", socketio.AsyncRedisManager("redis://127.0.0.1:1", logger=LOGGER)),
    ("client_manager", socketio.AsyncAioPikaManager("amqp://127.0.0.1:1")),
    ("client_manager", socketio.Manager()), ("compat_auth", "requierd"),
    ("compat_auth", True), ("ping_intervall", 5), ("max_room", 5), ("asyncmode", "aiohttp"),
    ("resources", []), ("path", "/x"),
]  # fmt: skip
IGNORED_BY_PYTHON_SOCKETIO_TOO = {"kwargs", "self"}


def arguments_of_python_socketio():
    constructors = [kind.__init__ for kind in (*socketio.AsyncServer.__mro__, *engineio.AsyncServer.__mro__)]
    found = {name for constructor in constructors[:-1] for name in inspect.signature(constructor).parameters}
    return found - IGNORED_BY_PYTHON_SOCKETIO_TOO - {"args"}


def test_every_argument_of_python_socketio_has_an_effect_or_raises():
    refused = {"always_connect", "json"}
    assert refused < {name for name, _ in REFUSED}
    assert arguments_of_python_socketio() | {"engineio_logger"} == EFFECTS.keys() | refused


@pytest.mark.parametrize("name", EFFECTS)
async def test_an_argument_has_an_effect(name):
    value, seen = EFFECTS[name]
    assert seen(Server(**{name: value}))


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_an_argument_without_effect_raises_a_sentence(name, value):
    with pytest.raises((TypeError, ValueError)) as error:
        rtserver.Server(**{name: value})
    assert len(str(error.value)) > 25


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("ping_intervall", "ping_interval"), ("max_room", "max_rooms"), ("trusted_proxy", "trusted_proxies")],
)
def test_an_unknown_argument_names_the_nearest_one(typo, meant):
    with pytest.raises(TypeError, match=f"has no argument '{typo}', but '{meant}'"):
        Server(**{typo: 5})


def test_defaults_of_python_socketio_are_accepted():
    for signature in (inspect.signature(socketio.AsyncServer), inspect.signature(engineio.AsyncServer.__mro__[1])):
        for parameter in signature.parameters.values():
            if parameter.default is not inspect.Parameter.empty:
                Server(**{parameter.name: parameter.default})
    assert rtserver.Server(client_manager=socketio.AsyncRedisManager("redis://127.0.0.1:1", "channel"))
    assert Server(ping_interval=(25, 0)).engine.ping_interval == 25


# Methods.

REFUSING = {"instrument"}
WORKING = {
    "attach", "call", "close_room", "disconnect", "emit", "enter_room", "event", "get_environ", "get_session",
    "handle_request", "is_asyncio_based", "leave_room", "on", "register_namespace", "rooms", "save_session", "send",
    "session", "shutdown", "sleep", "start_background_task", "transport",
}  # fmt: skip
ENGINE_REFUSING = {"get_session", "on", "save_session", "send_packet", "session"}
ENGINE_WORKING = {
    "async_modes", "attach", "create_event", "create_queue", "disconnect", "generate_id", "get_queue_empty_exception",
    "handle_request", "is_asyncio_based", "send", "shutdown", "sleep", "start_background_task", "transport",
}  # fmt: skip
MANAGER_REFUSING = {
    "basic_close_room", "basic_disconnect", "basic_enter_room", "basic_leave_room", "connect", "is_pre_connected",
    "pre_connect", "pre_disconnect", "trigger_callback",
}  # fmt: skip
MANAGER_WORKING = {
    "can_disconnect", "close_room", "disconnect", "eio_sid_from_sid", "emit", "enter_room", "get_namespaces",
    "get_participants", "get_rooms", "initialize", "is_connected", "is_sid_room", "leave_room", "set_server",
    "sid_from_eio_sid",
}  # fmt: skip


def methods(kind):
    return {
        name
        for name, member in inspect.getmembers(kind, callable)
        if not name.startswith("_") and not inspect.isclass(member)
    }


def test_every_method_of_python_socketio_is_known():
    assert methods(socketio.AsyncServer) == WORKING | REFUSING
    assert methods(engineio.AsyncServer) == ENGINE_WORKING | ENGINE_REFUSING
    assert methods(socketio.AsyncManager) == MANAGER_WORKING | MANAGER_REFUSING


async def test_a_method_that_cannot_work_raises_a_sentence():
    server = Server()
    calls = [
        lambda: server.instrument(auth=False), lambda: server.eio.on("connect", print),
        lambda: server.eio.on("message"),
        lambda: server.eio.send_packet("x", None), lambda: server.eio.get_session("x"),
        lambda: server.eio.save_session("x", {}), lambda: server.eio.session("x").__aenter__(),
        *(lambda name=name: getattr(server.manager, name)("x", "/") for name in MANAGER_REFUSING),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(NotImplementedError) as error:
            await _awaited(call)
        assert len(str(error.value)) > 25


async def _awaited(call):
    result = call()
    return await result if inspect.isawaitable(result) else result


async def test_applications_of_other_frameworks_are_refused_with_a_sentence():
    server = Server()
    for app in (lambda environ, start_response: None, object(), None):
        with pytest.raises(TypeError, match=r"an aiohttp\.web\.Application is needed"):
            server.attach(app)
    scope = {"type": "http", "path": "/socket.io/", "method": "GET", "query_string": b"", "headers": []}
    asgi = socketio.ASGIApp(server)
    with pytest.raises(TypeError, match=r"call sio\.attach\(app\)"):
        await asgi(scope, None, None)


async def test_the_handler_of_requests_can_be_added_as_a_route(serve, raw):
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/socket.io/", server.handle_request)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client = await raw(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await client.connect()
    await client.close()
    await server.start()
    await server.stop()
    await runner.cleanup()


async def test_the_manager_acts_on_the_rooms_of_the_server(serve, raw):
    served = await serve()
    server, client = served.server, await raw(served.url)
    sid = await client.connect()
    manager = server.manager
    await manager.enter_room(sid, "/", 42)
    assert sorted(server.rooms(sid)) == sorted([sid, "42"])
    assert manager.is_sid_room("/", sid)
    assert not manager.is_sid_room("/", "42")
    await manager.leave_room(sid, "/", 42)
    await manager.enter_room(sid, "/", "b")
    await manager.close_room("b", "/")
    assert server.rooms(sid) == [sid]
    assert await manager.can_disconnect(sid, "/")
    await manager.disconnect(sid, "/")
    assert await client.receive() == "1"
    assert not await manager.can_disconnect(sid, "/")


async def test_a_callback_and_a_call_with_ignore_queue_stay_on_this_server(serve, raw):
    served = await serve()
    server, client = served.server, await raw(served.url)
    sid = await client.connect()
    await server.enter_room(sid, "room")
    targets = []

    async def broadcast_with_ack(nsp, args, target, timeout):
        targets.append(target)
        return ["answer"]

    server.adapter.broadcast_with_ack = broadcast_with_ack
    answers = asyncio.Queue()
    await server.emit("ask", room="room", callback=answers.put_nowait, ignore_queue=True)
    assert await answers.get() == "answer"
    assert await server.call("ask", to="elsewhere", ignore_queue=True) == "answer"
    await server.emit("ask", to=sid, skip_sid=sid, callback=answers.put_nowait)
    await answers.get()
    assert [(target.flags.local, target.except_) for target in targets] == [(True, ()), (True, ()), (False, (sid,))]


def test_the_page_lists_what_raises():
    page = (ROOT / "docs" / "own-namespace.md").read_text().split("## Code for python-socketio")[1]
    for name in (*CHECKS, "instrument()", "client_manager", "basic_enter_room()", "ASGIApp"):
        assert name in page
    for name in ENGINE_REFUSING:
        assert f"{name}()" in page


# Handlers that a `Namespace` class hides.


class Hiding(Namespace, path="/hidden"):
    auth = "none"


class HidingPattern(Namespace, path=re.compile("/hid.*")):
    auth = "none"


def function(server):
    server.on("news", lambda sid: None, namespace="/hidden")


def classed(server):
    server.register_namespace(socketio.AsyncNamespace("/hidden"))


@pytest.mark.parametrize("register", [function, classed])
@pytest.mark.parametrize("namespace", [Hiding, HidingPattern])
async def test_handlers_of_a_namespace_that_a_class_serves_are_rejected_at_the_start(namespace, register):
    server = Server()
    server.add_namespace(namespace())
    register(server)
    with pytest.raises(ValueError, match=f"the namespace /hidden, which the class {namespace.__name__} serves"):
        await server.start()


async def test_catch_all_handlers_serve_the_namespaces_that_no_class_serves(serve, raw):
    server = Server()
    server.on("*", lambda *args: "caught", namespace="*")
    served = await serve(Hiding(), server=server)
    client = await raw(served.url)
    await client.connect("/other")
    assert await client.call("/other", "news") == ["caught"]


# Logging.


async def test_logger_logs_calls_and_events_and_engineio_logger_sessions(serve, raw, caplog):
    caplog.set_level(logging.INFO, LOGGER.name)
    server = Server(logger=LOGGER, engineio_logger=LOGGER)
    server.on("hello\n", lambda sid: None)
    served = await serve(server=server)
    client = await raw(served.url)
    sid = await client.connect()
    await client.call("/", "hello\n")
    await server.enter_room(sid, 42)
    await server.emit("news", 1, room=42)
    await server.send("all", namespace="/x")
    await server.leave_room(sid, 42)
    await server.close_room("r")
    await server.disconnect(sid)
    await client.close()
    await served.deserted()
    public = client.engine_id[: len(client.engine_id) // 2]
    lines = [record.getMessage().replace(sid, "SID").replace(public, "EIO") for record in caplog.records]
    assert sorted(lines) == sorted(
        [
            "Server initialized for aiohttp.", "EIO: session opened by 127.0.0.1", "SID is entering room 42 [/]",
            'emitting event "news" to 42 [/]', 'emitting event "message" to all [/x]', "SID is leaving room 42 [/]",
            "room r is closing [/]", "disconnecting SID [/]", "received event 'hello\\n' from SID ['/']",
            "EIO: session closed (transport close)",
        ]
    )  # fmt: skip


# call() in a connect handler.


@pytest.mark.parametrize("ask", ["call", "emit_with_ack", "flags"])
async def test_a_connect_handler_that_asks_its_own_client_fails_at_once(serve, raw, ask):
    class Asking(Namespace, path="/"):
        auth = "none"

        async def on_connect(self, client):
            if ask == "call":
                await self.server.call("question", to=client.id)
            else:
                await (client if ask == "emit_with_ack" else client.timeout(60)).emit_with_ack("question")

    served = await serve(Asking())
    client = await raw(served.url)
    assert (await client.refused())["data"] == {"code": "internal"}
    assert set(served.traces()) == {"connections"}


async def test_a_connect_handler_may_start_a_task_that_asks_the_client_and_may_ask_another(serve, raw):
    sio = Server()
    answers = []

    async def ask(sid):
        answers.append(await sio.call("question", to=sid))

    @sio.event
    async def connect(sid, environ):
        sio.start_background_task(ask, sid)
        await sio.sleep(0)
        if others := [other for other, _ in sio.manager.get_participants("/", None)]:
            answers.append(await sio.call("other", to=others[0]))

    served = await serve(server=sio)
    client, second = await raw(served.url), await raw(served.url)
    await client.connect()
    assert await client.receive() == '20["question"]'
    await client.send('30["mine"]')
    await eventually(lambda: answers == ["mine"])
    await second.send("0")
    assert await client.receive() == '21["other"]'
    await client.send('31["the other\'s"]')
    await eventually(lambda: len(answers) == 2)
    assert answers[1] == "the other's"
