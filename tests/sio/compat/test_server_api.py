"""Code written for python-socketio runs unchanged on `rtserver.Server`, without python-socketio's security gaps."""

from __future__ import annotations

import asyncio
import builtins
import functools

import pytest
import socketio
from socketio.exceptions import ConnectionRefusedError, TimeoutError

from rtserver.errors import Forbidden
from rtserver.sio.server import Server
from tests.engine.wire import Wire, client_frame, upgrade
from tests.sio.conftest import Tokens, eventually


@pytest.fixture
def sio():
    return Server()


@pytest.fixture
async def served(serve, sio):
    return await serve(server=sio)


def record(sio, *names, namespace=None):
    """Record every argument of these handlers."""
    seen = []
    for name in names:
        sio.on(name, lambda *args, name=name: seen.append((name, *args)), namespace=namespace)
    return seen


async def test_events_are_handled_and_acknowledged(sio, served, python):
    @sio.event
    async def connect(sid, environ): ...

    @sio.event
    async def echo(sid, data):
        return data

    @sio.event
    def sync(sid, a, b):
        return b, a

    @sio.event
    async def nothing(sid): ...

    @sio.on("with spaces")
    async def spaces(sid, data):
        return data

    client = await python(served.url)
    assert await client.call("echo", {"a": b"x"}) == {"a": b"x"}
    assert await client.call("sync", (1, 2)) == (2, 1)
    assert await client.call("nothing") is None
    assert await client.call("with spaces", 5) == 5


async def test_surplus_nulls_are_ignored(sio, served, raw):
    """A callback that was left undefined in JavaScript arrives as null."""
    entered = []

    @sio.event
    async def one(sid, data):
        return data

    @sio.event
    def none(sid):
        return "none"

    @sio.event
    async def several(sid, *data):
        return data

    @sio.event
    async def faulty(sid, data):
        entered.append(data)
        raise TypeError("a bug")

    @functools.wraps(one)
    async def wrapper(*args):
        entered.append("wrapper")
        return await one(*args)

    class Classed(socketio.AsyncNamespace):
        async def on_one(self, sid, data):
            return data

        def on_none(self, sid):
            return "none"

        async def on_faulty(self, sid, data):
            entered.append(data)
            raise TypeError("a bug")

    sio.on("wrapped", wrapper)
    sio.register_namespace(Classed("/classed"))
    client = await raw(served.url)
    for namespace in ("/", "/classed"):
        await client.connect(namespace)
        assert await client.call(namespace, "one", 1, None) == [1]
        assert await client.call(namespace, "none", None, None) == ["none"]
        for surplus in ([2], [None, 2], [2, None]):
            [answer] = await client.call(namespace, "one", 1, *surplus)
            assert answer["error"]["code"] == "internal"
        assert await client.call(namespace, "none", None) == ["none"]
        for arguments in ([], [1], [1, None]):
            [answer] = await client.call(namespace, "faulty", *arguments)
            assert answer["error"]["code"] == "internal"
        assert entered == [1, 1], "a handler that was entered is not called again"
        entered.clear()
    assert await client.call("/", "several", 1, None) == [1, None]
    [answer] = await client.call("/", "wrapped", 1, None)
    assert (answer["error"]["code"], entered) == ("internal", ["wrapper"])


@pytest.mark.parametrize("auth", [None, {"token": "t"}])
async def test_a_connect_handler_with_auth(sio, served, python, auth):
    seen = record(sio, "connect")
    client = await python(served.url, auth=auth)
    ((_, sid, environ, given),) = seen
    assert (sid, given) == (client.get_sid(), auth or {})
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["aiohttp.request"].path == "/socket.io/"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"


async def test_cookie_lines_are_one_cookie_in_the_environ(sio, served):
    seen = record(sio, "connect")
    wire = await Wire.open(int(served.url.rpartition(":")[2]))
    opening = upgrade("EIO=4&transport=websocket", path="/socket.io/", Cookie="a=1\r\nCookie: b=2")
    await wire.send(opening + client_frame("40"))
    await eventually(lambda: seen)
    ((_, _, environ, _),) = seen
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    await wire.close()


async def test_a_connect_handler_without_auth_or_with_a_default(sio, served, python):
    seen = []

    @sio.event
    def connect(sid, environ):
        seen.append(sid)

    @sio.on("connect", namespace="/default")
    async def connect_default(sid, environ, auth="none"):
        seen.append(auth)

    client = await python(served.url, auth={"a": 1})
    await python(served.url, "/default", auth={"a": 1})
    assert seen == [client.get_sid(), {"a": 1}]


@pytest.mark.parametrize(
    ("refuse", "answer"),
    [
        (lambda: False, {"message": "Connection rejected by server"}),
        (ConnectionRefusedError(), {"message": "Connection rejected by server"}),
        (ConnectionRefusedError("full"), {"message": "full"}),
        (ConnectionRefusedError("full", {"retry": 5}), {"message": "full", "data": {"retry": 5}}),
        (ConnectionRefusedError("full", 1, 2), {"message": "full", "data": [1, 2]}),
        (OSError("x"), {"message": "Internal error", "data": {"code": "internal"}}),
        (TypeError("a bug"), {"message": "Internal error", "data": {"code": "internal"}}),
        (Forbidden("not you"), {"message": "not you", "data": {"code": "forbidden"}}),
    ],
)
async def test_a_connect_handler_refuses(sio, served, raw, refuse, answer):
    @sio.event
    async def connect(sid, environ, auth):
        await sio.enter_room(sid, "room")
        await sio.save_session(sid, {"a": 1})
        if isinstance(refuse, Exception):
            raise refuse
        return refuse()

    gone = record(sio, "disconnect")
    client = await raw(served.url)
    assert await client.refused() == answer
    assert set(served.traces()) == {"connections", "environ"}
    await client.close()
    await served.deserted()
    assert gone == []


async def test_the_built_in_connection_refused_error_refuses_too(sio, served, raw):
    @sio.event
    def connect(sid, environ):
        raise builtins.ConnectionRefusedError

    assert await (await raw(served.url)).refused() == {"message": "Connection refused by server"}


async def test_disconnect_with_and_without_a_reason(sio, served, raw):
    seen = record(sio, "disconnect")

    @sio.on("disconnect", namespace="/old")
    def old(sid):
        seen.append(sid)

    record(sio, "connect")
    client = await raw(served.url)
    first, second = await client.connect(), await client.connect("/old")
    await client.send("1", "1/old,")
    await eventually(lambda: len(seen) == 2)
    assert seen == [("disconnect", first, sio.reason.CLIENT_DISCONNECT), second]


async def test_a_disconnect_handler_can_still_use_the_client(sio, served, raw):
    seen = []

    @sio.event
    async def connect(sid, environ):
        await sio.enter_room(sid, "room")
        await sio.save_session(sid, "session")

    @sio.event
    async def slow(sid):
        await asyncio.sleep(0.01)

    @sio.event
    async def disconnect(sid, reason):
        seen.extend([sorted(sio.rooms(sid)), await sio.get_session(sid), sio.get_environ(sid)["REQUEST_METHOD"]])

    client = await raw(served.url)
    sid = await client.connect()
    await client.send('2["slow"]')
    await client.close()
    await served.deserted()
    assert seen == [sorted([sid, "room"]), "session", "GET"]


async def test_catch_all_handlers(sio, served, python):
    event = record(sio, "*")
    namespace = record(sio, "known", namespace="*")
    both = record(sio, "*", namespace="*")
    record(sio, "known")
    first, second = await python(served.url), await python(served.url, "/any")
    await first.call("anything", (1, 2))
    await second.call("known", 3, namespace="/any")
    await second.call("anything", 4, namespace="/any")
    assert event == [("*", "anything", first.get_sid(), 1, 2)]
    assert namespace == [("known", "/any", second.get_sid("/any"), 3)]
    assert both == [("*", "anything", "/any", second.get_sid("/any"), 4)]
    # A catch-all handler serves all namespaces, which share one label in the metrics.
    assert dict(sio.metrics.connections) == {"/": 1, "*": 1}


async def test_a_client_cannot_impersonate_another_by_sending_the_event_star(sio, served, raw):
    event = record(sio, "*")
    client = await raw(served.url)
    await client.connect()
    await client.send('21["*","someone else\'s sid"]', '22["other"]')
    assert await client.receive() == "32[]"
    assert [args[1] for args in event] == ["other"]


class Classic(socketio.AsyncNamespace):
    def __init__(self, namespace):
        super().__init__(namespace)
        self.seen = []

    async def on_connect(self, sid, environ):
        self.seen.append("connect")
        await self.enter_room(sid, "room")

    def on_disconnect(self, sid, reason):
        self.seen.append(f"disconnect {reason}")

    async def on_message(self, sid, data):
        await self.emit("answer", data, room="room")
        async with self.session(sid) as session:
            session["count"] = session.get("count", 0) + 1
        return (await self.get_session(sid))["count"]

    def helper(self):
        self.seen.append("helper")


async def test_a_class_based_namespace(sio, served, python):
    namespace = Classic("/classic")
    sio.register_namespace(namespace)
    answers = []
    client = await python(
        served.url, "/classic", prepare=lambda c: c.on("answer", answers.append, namespace="/classic")
    )
    assert await client.call("message", {"a": 1}, namespace="/classic") == 1
    assert await client.call("message", 2, namespace="/classic") == 2
    assert answers == [{"a": 1}, 2]
    await client.disconnect()
    await served.deserted()
    # On newer Pythons the client sends DISCONNECT before it closes the connection.
    assert namespace.seen in (["connect", "disconnect transport close"], ["connect", "disconnect client disconnect"])


async def test_lifecycle_names_do_not_reach_a_class_based_namespace(sio, served, raw):
    namespace = Classic("/")
    sio.register_namespace(namespace)
    client = await raw(served.url)
    await client.connect()
    await client.send('2["helper"]', '21["unknown"]', '2["connect",{},{}]')
    assert await client.closed() == []
    await served.deserted()
    assert namespace.seen == ["connect", "disconnect parse error"]


async def test_a_namespace_with_its_own_trigger_event(sio, served, raw):
    class Custom(socketio.AsyncNamespace):
        async def trigger_event(self, event, *args):
            return event if event not in ("connect", "disconnect") else None

    sio.register_namespace(Custom("/"))
    client = await raw(served.url)
    await client.connect()
    assert await client.call("/", "anything") == ["anything"]


async def test_an_event_without_a_handler_is_not_acknowledged(sio, served, raw):
    sio.on("known", lambda sid: "known")
    client = await raw(served.url)
    await client.connect()
    await client.send('21["unknown"]', '22["known"]', "23[5]")
    assert await client.receive() == '32["known"]'


async def test_a_failing_handler_is_answered_and_the_client_stays_connected(sio, served, raw):
    @sio.event
    async def fail(sid):
        raise RuntimeError("a secret")

    @sio.event
    async def ping(sid):
        return "pong"

    client = await raw(served.url)
    await client.connect()
    (answer,) = await client.call("/", "fail")
    assert answer["error"] == {"code": "internal", "message": "Something went wrong on the server"}
    (answer,) = await client.call("/", "ping", "too", "many")
    assert answer["error"]["code"] == "internal"
    assert await client.call("/", "ping") == ["pong"]


@pytest.fixture
async def three(sio, served, raw):
    """Clients a (room x), b (rooms x and y), c."""
    record(sio, "connect")
    clients = {}
    for name, rooms in {"a": ["x"], "b": ["x", "y"], "c": []}.items():
        clients[name] = await raw(served.url)
        clients[name].sid = await clients[name].connect()
        for room in rooms:
            await sio.enter_room(clients[name].sid, room)
    return clients


@pytest.mark.parametrize(
    ("how", "reached"),
    [
        (lambda c: {}, "abc"),
        (lambda c: {"to": "x"}, "ab"),
        (lambda c: {"room": "y"}, "b"),
        (lambda c: {"room": ["x", "y"]}, "ab"),
        (lambda c: {"to": c["c"].sid}, "c"),
        (lambda c: {"to": [c["a"].sid, c["c"].sid]}, "ac"),
        (lambda c: {"room": "x", "skip_sid": c["a"].sid}, "b"),
        (lambda c: {"skip_sid": [c["a"].sid, c["b"].sid]}, "c"),
        (lambda c: {"to": c["a"].sid, "skip_sid": c["a"].sid}, ""),
        (lambda c: {"namespace": "/nowhere"}, ""),
        (lambda c: {"to": "x", "ignore_queue": True}, "ab"),
    ],
)
async def test_emit(sio, three, how, reached):
    await sio.emit("news", (1, b"x"), **how(three))
    await sio.send("end")
    heard = ""
    for name, client in three.items():
        first = await client.receive()
        if first != '2["message","end"]':
            assert first == '51-["news",1,{"_placeholder":true,"num":0}]'
            assert await client.receive() == b"x"
            heard += name
            assert await client.receive() == '2["message","end"]'
    assert heard == reached


async def test_emit_with_a_callback(sio, three):
    answers = asyncio.Queue()

    async def answered(*values):
        await answers.put(values)

    a = three["a"]
    await sio.emit("ask", 1, to=a.sid, callback=answered)
    assert await a.receive() == '20["ask",1]'
    await a.send('30["yes",2]')
    assert await answers.get() == ("yes", 2)
    await sio.emit("ask", to=a.sid, callback=answers.put_nowait)
    assert await a.receive() == '21["ask"]'
    await a.send("31[5]")
    assert await answers.get() == 5
    with pytest.raises(ValueError, match="callback"):
        await sio.emit("ask", callback=answered)


async def test_emit_to_a_room_with_a_callback_calls_it_for_each(sio, three):
    answers = asyncio.Queue()
    await sio.emit("ask", room="x", callback=answers.put_nowait)
    for name in "ab":
        assert await three[name].receive() == '20["ask"]'
        await three[name].send(f'30["{name}"]')
    assert {await answers.get(), await answers.get()} == {"a", "b"}


async def test_call(sio, three):
    async def ask(values, **arguments):
        asked = asyncio.ensure_future(sio.call("ask", 1, to=three["a"].sid, **arguments))
        message = await three["a"].receive()
        await three["a"].send(f"3{message[1 : message.index('[')]}{values}")
        return await asked

    assert await ask("[]") is None
    assert await ask("[1]") == 1
    assert await ask("[1,2]", timeout=5) == (1, 2)
    with pytest.raises(TimeoutError):
        await sio.call("ask", to=three["a"].sid, timeout=0.01)
    with pytest.raises(TimeoutError):
        await sio.call("ask", to="nobody")
    with pytest.raises(ValueError, match="broadcast"):
        await sio.call("ask")


async def test_call_of_a_client_that_leaves_times_out_at_once(sio, three):
    asked = asyncio.ensure_future(sio.call("ask", to=three["a"].sid))
    await three["a"].receive()
    await three["a"].close()
    with pytest.raises(TimeoutError):
        await asked


async def test_sessions(sio, three):
    sid = three["a"].sid
    assert await sio.get_session(sid) == {}
    await sio.save_session(sid, {"user": "ann"})
    async with sio.session(sid) as session:
        assert session == {"user": "ann"}
        session["count"] = 1
    assert await sio.get_session(sid) == {"user": "ann", "count": 1}
    assert await sio.get_session(three["b"].sid) == {}
    with pytest.raises(KeyError):
        await sio.get_session("nobody")
    with pytest.raises(KeyError):
        await sio.get_session(sid, namespace="/other")


async def test_rooms(sio, three):
    a, b = three["a"].sid, three["b"].sid
    assert sorted(sio.rooms(a)) == sorted([a, "x"])
    assert {sid for sid, _ in sio.manager.get_participants("/", "x")} == {a, b}
    assert {sid for sid, _ in sio.manager.get_participants("/", None)} == {client.sid for client in three.values()}
    assert sio.manager.is_connected(a, "/")
    assert not sio.manager.is_connected("nobody", "/")
    assert list(sio.manager.get_namespaces()) == ["/"]
    await sio.leave_room(a, "x")
    assert sio.rooms(a) == [a]
    await sio.close_room("x")
    assert sorted(sio.rooms(b)) == sorted([b, "y"])
    assert sio.rooms("nobody") == []


async def test_environ_and_transport(sio, three):
    sid = three["a"].sid
    assert sio.get_environ(sid)["PATH_INFO"] == "/socket.io/"
    assert sio.transport(sid) == "websocket"
    eio_sid = sio.manager.eio_sid_from_sid(sid, "/")
    assert sio.manager.sid_from_eio_sid(eio_sid, "/") == sid


async def test_the_server_disconnects_a_client(sio, three):
    gone = record(sio, "disconnect")
    sid = three["a"].sid
    await sio.disconnect(sid)
    assert await three["a"].receive() == "1"
    await eventually(lambda: gone)
    assert gone == [("disconnect", sid, sio.reason.SERVER_DISCONNECT)]
    await sio.disconnect("nobody")


async def test_what_a_connect_handler_emits_arrives_after_connect(sio, served, raw):
    @sio.event
    async def connect(sid, environ):
        await sio.emit("welcome", to=sid)

    client = await raw(served.url)
    await client.connect()
    assert await client.receive() == '2["welcome"]'


async def test_async_handlers_run_concurrently(serve, raw):
    sio = Server(async_handlers=True)
    gate = asyncio.Event()

    @sio.event
    async def first(sid):
        await gate.wait()
        return "first"

    @sio.event
    async def second(sid):
        gate.set()
        return "second"

    served = await serve(server=sio)
    client = await raw(served.url)
    await client.connect()
    await client.send('21["first"]', '22["second"]')
    assert {await client.receive(), await client.receive()} == {'31["first"]', '32["second"]'}


async def test_background_tasks_and_sleep(sio, served):
    done = asyncio.Event()

    async def work():
        await sio.sleep(0)
        done.set()

    sio.start_background_task(work)
    await asyncio.wait_for(done.wait(), 5)


@pytest.mark.parametrize(
    ("namespaces", "accepted", "refused"),
    [
        (None, ["/"], ["/x"]),
        ([], [], ["/", "/x"]),
        (["/x", "/y"], ["/x", "/y"], ["/", "/z"]),
        ("*", ["/", "/anything"], []),
        ("/chat", ["/chat"], ["/", "/c"]),
    ],
)
async def test_the_namespaces_argument_opens_namespaces_without_a_handler(serve, raw, namespaces, accepted, refused):
    served = await serve(namespaces=namespaces)
    client = await raw(served.url)
    for name in accepted:
        await client.connect(name)
    for name in refused:
        assert await client.refused(name) == {"message": "Invalid namespace"}


async def test_with_an_authenticator_these_handlers_need_an_identity_too(serve, raw):
    served = await serve(authenticator=Tokens())
    client = await raw(served.url)
    assert (await client.refused())["data"] == {"code": "token_missing"}
    await client.connect("/", {"token": "alice"})
    open = await serve(authenticator=Tokens(), compat_auth="optional")
    await (await raw(open.url)).connect()


async def test_arguments_that_cannot_be_supported_are_rejected():
    with pytest.raises(TypeError, match="adapter"):
        Server(client_manager=socketio.AsyncRedisManager("redis://127.0.0.1:1"))
    with pytest.raises(ValueError, match="serializer"):
        Server(serializer="pickle")
    assert Server(client_manager=socketio.AsyncManager(), logger=False, cors_allowed_origins="*")
