"""Log lines: one for each event, libraries included, without secrets and without forged lines."""

import io
import json
import logging
import time
import timeit
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from rtserver.telemetry import log_config
from rtserver.telemetry.redaction import redact, redact_text

TOKEN = jwt.encode({"sub": "alice", "exp": 4_000_000_000}, "k" * 32, algorithm="HS256")
PARTS = TOKEN.split(".")
Configure = Callable[..., io.StringIO]


@pytest.fixture
def configure() -> Iterator[Configure]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, structlog.get_config()

    def start(format: str = "console", level: str = "debug", **options: Any) -> io.StringIO:
        stream = io.StringIO()
        log_config.configure(level, format, stream=stream, **options)
        return stream

    yield start
    root.handlers[:], root.level = before[0], before[1]
    logging.captureWarnings(False)
    structlog.configure(**before[2])


@pytest.fixture(params=["console", "json"])
def written(request: pytest.FixtureRequest, configure: Configure) -> io.StringIO:
    return configure(request.param)


def log() -> Any:
    return structlog.get_logger("rtserver.test")


def assert_no_token(text: str) -> None:
    for part in PARTS[1:]:
        assert part not in text
    assert "[redacted]" in text


class TestSecrets:
    def test_a_token_in_the_text_of_an_event(self, written: io.StringIO) -> None:
        log().info(f"refused {TOKEN} at the door")
        assert_no_token(written.getvalue())
        assert "at the door" in written.getvalue()

    def test_a_token_in_a_query(self, written: io.StringIO) -> None:
        log().info("request", url=f"/socket.io/?EIO=4&token={TOKEN}&t=abc", referer=f"https://x.test/#jwt={TOKEN}")
        assert_no_token(written.getvalue())
        assert "EIO=4" in written.getvalue()

    def test_a_token_deep_in_a_value(self, written: io.StringIO) -> None:
        log().info("connect", handshake={"auth": {"deep": [{"x": TOKEN}]}, "raw": (TOKEN.encode(),)})
        assert_no_token(written.getvalue())

    def test_a_token_in_an_exception_and_its_cause(self, written: io.StringIO) -> None:
        try:
            try:
                raise KeyError(TOKEN)
            except KeyError as cause:
                raise ValueError(f"bad token {TOKEN}") from cause
        except ValueError:
            log().exception("handler_failed")
        assert_no_token(written.getvalue())
        assert "KeyError" in written.getvalue()

    def test_a_token_in_an_object_that_is_only_its_repr(self, written: io.StringIO) -> None:
        class Packet:
            def __repr__(self) -> str:
                return f"<Packet {TOKEN}>"

        log().info("packet", packet=Packet())
        assert_no_token(written.getvalue())

    def test_a_token_that_a_library_logs(self, written: io.StringIO) -> None:
        logging.getLogger("engineio.server").warning("Received packet MESSAGE data %s", '0{"token":"' + TOKEN + '"}')
        try:
            raise RuntimeError(TOKEN)
        except RuntimeError:
            logging.getLogger("aiohttp.server").exception("Error handling request from %s", "127.0.0.1")
        assert_no_token(written.getvalue())
        assert "Error handling request" in written.getvalue()

    def test_secrets_are_recognised_by_their_key(self, written: io.StringIO) -> None:
        secret = "tHe-VaLuE"
        log().info(
            "event", token=secret, api_key=secret, apiKey=secret, JWT_SECRET=secret, db_password=secret, password=4711,
            headers=[("Authorization", secret), ("Cookie", f"a=b; sid={secret}"), ("Host", "x.test")],
            nested={"access_token": {"is": secret}, "Set-Cookie": secret},
        )  # fmt: skip
        assert secret not in written.getvalue()
        assert "4711" not in written.getvalue()
        assert "x.test" in written.getvalue()

    def test_the_password_of_a_url(self, written: io.StringIO) -> None:
        log().warning("redis_down", url="rediss://user:p@ss-word@cache:6379/0", error="at redis://:pa55@h:1 failed")
        text = written.getvalue()
        assert "ss-word" not in text
        assert "pa55" not in text
        assert "cache:6379" in text

    @pytest.mark.parametrize("stream_fails_with", [BrokenPipeError, ValueError])
    def test_a_line_that_cannot_be_written_is_not_shown_raw(
        self, configure: Configure, capfd: pytest.CaptureFixture[str], stream_fails_with: type[Exception]
    ) -> None:
        class Broken(io.StringIO):
            def write(self, _: str) -> int:
                raise stream_fails_with

        configure()
        log_config.configure("info", "console", stream=Broken())
        log().info("connect", token_text=TOKEN)
        logging.getLogger("x").warning("%s", TOKEN)
        assert PARTS[1] not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        TOKEN[:60],
        f"{PARTS[0]}.{PARTS[1]}",
        f"Authorization: Bearer {PARTS[1]}",
        f"authorization={PARTS[1]}",
        f"Bearer%20{PARTS[1]}",
        f"{{'token': '{PARTS[1]}', 'x': 1}}",
        f'{{"accessToken":"{PARTS[1]}"}}',
        f"('Authorization', '{PARTS[1]}')",
        f"token%3D{PARTS[1]}",
        f"Cookie: theme=dark; session={PARTS[1]}",
        f"[('cookie', 'session={PARTS[1]}')]",
        f"-----BEGIN PRIVATE KEY-----\n{PARTS[1]}\n-----END PRIVATE KEY-----",
        f"GET /socket.io/?EIO=4&transport=polling&sid={PARTS[1]}&t=x HTTP/1.1",
        f"https://rt.example.com/socket.io/?sid={PARTS[1]}",
    ],
)
def test_nothing_of_a_secret_is_left(text: str) -> None:
    assert PARTS[1][:20] not in redact_text(text)


@pytest.mark.parametrize(
    "text", ["client_connected", "token_refused", "The secret is out", "http://h:8000/path", "10.0.0.1:5000", "a=b"]
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert redact_text(text) == text


def test_hostile_values_neither_hang_nor_break_the_log() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop

    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    assert "…" in str(redact(loop))
    assert "Rude" in redact(Rude())
    assert len(redact("x" * 1_000_000)) < 30_000
    for hostile in (
        "token" * 20_000,
        "://a:" * 20_000,
        "eyJ" * 30_000,
        "cookie:" * 20_000,
        "-----BEGIN PRIVATE KEY" * 5_000,
    ):
        redact_text(hostile)


@pytest.mark.parametrize("piece", ["ewo", "eyA", "ew0", "eyJ.", "ewoAAAAAA", "Bearer ", "token=", "cookie"])
def test_redaction_takes_linear_time(piece: str) -> None:
    """Any client can have 8 kB of a request quoted in a log line, and redaction blocks the event loop."""

    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        return min(timeit.repeat(lambda: redact_text(text), timer=time.process_time, number=3, repeat=3))

    assert seconds(16_000) < 60 * seconds(1_000) + 0.01


@pytest.mark.parametrize("before", ["", "x", "20", "a.b.", "framework_handlers.", "token_of="])
def test_a_token_is_found_at_every_position(before: str) -> None:
    assert PARTS[1][:20] not in redact_text(before + TOKEN)
    assert PARTS[1][:20] not in redact_text(f"{before}ewogImFsZyI6.{PARTS[1]}")


class TestForgery:
    def test_a_client_cannot_forge_a_line(self, configure: Configure) -> None:
        stream = configure("console")
        forged = "x\n2026-01-01T00:00:00Z [info     ] admin_login user=root\r\x1b[2K\u2028\x85"
        log().info("connect", name=forged, nested={forged: [forged]}, **{forged: 1})
        log().info(f"hello {forged}")
        logging.getLogger("aiohttp.server").warning("Bad request %s", forged)
        assert len(stream.getvalue().splitlines()) == 3
        assert not {"\x1b", "\r", "\u2028", "\x85"} & set(stream.getvalue())

    def test_an_exception_cannot_forge_a_line(self, configure: Configure) -> None:
        stream = configure("console")
        try:
            raise ValueError("x\n2026-01-01T00:00:00Z [info     ] admin_login\x1b[0m")
        except ValueError:
            log().exception("failed")
        first, *rest = stream.getvalue().splitlines()
        assert "failed" in first
        assert all(line.startswith("    ") for line in rest)
        assert "\x1b" not in stream.getvalue()

    def test_a_client_cannot_forge_a_field(self, configure: Configure) -> None:
        stream = configure("console")
        log().info("connect", name="bob role=admin")
        assert "name='bob role=admin'" in stream.getvalue()

    def test_every_line_is_valid_json(self, configure: Configure) -> None:
        stream = configure("json")
        log().info("connect", name="x\ny\u2028\ud800", big=1 << 80, nan=float("nan"), odd=object(), **{"a\nb": 1})
        log().info("plain", n=1)
        lines = [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
        assert [line["event"] for line in lines] == ["connect", "plain"]
        assert lines[1]["n"] == 1


class TestLibraries:
    @pytest.mark.parametrize("mistake", [BadHttpMessage(f"it was {TOKEN}"), web.RequestPayloadError("gzip")])
    def test_an_unreadable_request_is_logged_as_one_line_and_no_error(
        self, configure: Configure, mistake: Exception
    ) -> None:
        stream = configure("json")
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "1.2.3.4", exc_info=mistake)
        [line] = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert line["event"] == f"Error handling request from 1.2.3.4: {type(mistake).__name__}"
        assert line["level"] == "info"
        assert "exception" not in line
        stream = configure(level="warning")
        logging.getLogger("aiohttp.server").exception("Error handling request", exc_info=mistake)
        assert stream.getvalue() == ""

    def test_unreadable_requests_do_not_flood_the_log(self, configure: Configure, monkeypatch: Any) -> None:
        now = [500.0]
        monkeypatch.setattr(log_config.time, "monotonic", lambda: now[0])
        stream, server = configure("json"), logging.getLogger("aiohttp.server")
        for _ in range(100):
            server.exception("Error handling request from %s", "1.2.3.4", exc_info=BadHttpMessage("it"))
        server.exception("Error handling request", exc_info=ValueError("ours"))
        now[0] += 1
        server.exception("Error handling request", exc_info=BadHttpMessage("it"))
        events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
        assert len(events) == log_config.MAX_PER_SECOND + 2
        assert (
            events[-1] == f"Error handling request: BadHttpMessage ({100 - log_config.MAX_PER_SECOND} like it left out)"
        )

    def test_a_fault_of_the_server_is_an_error_with_a_traceback(self, configure: Configure) -> None:
        stream = configure("json")
        logging.getLogger("aiohttp.server").exception("Error handling request", exc_info=ValueError("ours"))
        line = json.loads(stream.getvalue())
        assert line["level"] == "error"
        assert "ours" in line["exception"]

    def test_lines_of_libraries_have_the_same_format(self, configure: Configure) -> None:
        stream = configure("json")
        logging.getLogger("some.library").warning("it is %s", "late")
        log().info("ours")
        theirs, ours = (json.loads(line) for line in stream.getvalue().splitlines())
        assert (theirs["event"], theirs["level"], theirs["logger"]) == ("it is late", "warning", "some.library")
        assert theirs.keys() == ours.keys()

    def test_requests_are_logged_only_on_demand(self, configure: Configure) -> None:
        stream = configure()
        logging.getLogger("aiohttp.access").info("GET /")
        assert stream.getvalue() == ""
        stream = configure(access_log=True)
        logging.getLogger("aiohttp.access").info("GET /")
        assert "GET /" in stream.getvalue()

    def test_socketio_adds_no_output_of_its_own(self, configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
        """python-socketio adds a handler to loggers without a level; each line would appear twice, unredacted."""
        import socketio

        stream = configure()
        server = socketio.AsyncServer(async_mode="aiohttp")
        server.logger.error("trouble %s", TOKEN)
        server.eio.logger.error("trouble")
        assert stream.getvalue().count("trouble") == 2
        assert "".join(capfd.readouterr()) == ""

    def test_the_level_applies_to_every_logger(self, configure: Configure) -> None:
        stream = configure(level="warning")
        log().info("quiet")
        logging.getLogger("x").info("quiet")
        log().warning("loud")
        assert "quiet" not in stream.getvalue()
        assert "loud" in stream.getvalue()


def test_events_that_clients_trigger_do_not_flood_the_log(configure: Configure, monkeypatch: Any) -> None:
    now = [100.0]
    monkeypatch.setattr(log_config.time, "monotonic", lambda: now[0])
    stream = configure("json")
    log = structlog.get_logger("rtserver.sio")
    for number in range(1000):
        log.info("packet_rejected", number=number)
    log.info("connect_refused", code="token_missing")
    for _ in range(100):
        log.info("server_started")
        log.error("cluster_request_failed")
    now[0] += 1
    log.info("packet_rejected", number=1000)
    log.info("packet_rejected", number=1001)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    rejected = [(line["number"], line.get("left_out")) for line in lines if line["event"] == "packet_rejected"]
    assert rejected == [
        *((number, None) for number in range(log_config.MAX_PER_SECOND)),
        (1000, 1000 - log_config.MAX_PER_SECOND),
        (1001, None),
    ]
    assert [line["event"] for line in lines].count("connect_refused") == 1
    assert [line["event"] for line in lines].count("server_started") == 100
    assert [line["event"] for line in lines].count("cluster_request_failed") == log_config.MAX_PER_SECOND


class Terminal(io.StringIO):
    def __init__(self, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(
    ("environment", "tty", "colored"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colors_follow_the_terminal_and_no_color(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], tty: bool, colored: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = Terminal(tty)
    configure()  # what it changes is restored after the test
    log_config.configure("info", stream=stream)
    structlog.get_logger("rtserver").info("hello")
    assert ("\x1b[" in stream.getvalue()) is colored
