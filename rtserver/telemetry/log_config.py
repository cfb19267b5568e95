"""Log configuration: format, redaction, escaping and rate limit of every line of the process, libraries included.

1. No secrets: `rtserver.telemetry.redaction` processes each value, key and traceback last, after all has become text.
2. No forged lines: control characters from clients are escaped and tracebacks are indented, so that each line that
   starts at the margin, and each `key=value` on it, was written by the server.
3. Invalid requests are no errors of the server: aiohttp's tracebacks for unreadable requests become one line.
4. Clients cannot fill the disk: of each event in `_CLIENT_TRIGGERED`, and of each kind of request by rule 3, at most
   `MAX_PER_SECOND` lines are written.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from rtserver.telemetry.redaction import redact, redact_text

_QUIET = {
    # python-engineio and python-socketio give a logger whose level is unset a handler of their own.
    "engineio": logging.WARNING,
    "engineio.server": logging.WARNING,
    "engineio.client": logging.WARNING,
    "socketio": logging.WARNING,
    "socketio.server": logging.WARNING,
    "socketio.client": logging.WARNING,
    "alembic": logging.WARNING,
    "aiosqlite": logging.INFO,
    "asyncio": logging.INFO,
}
_ACCESS = "aiohttp.access"
_SERVER = "aiohttp.server"
_CLIENT_TRIGGERED = frozenset({
    "packet_rejected", "payload_rejected", "event_rejected", "connect_refused", "session_of_another_instance",
    "handover_failed", "cluster_handler_failed", "cluster_request_failed", "cluster_answer_partial",
    "cluster_message_refused", "cluster_signature_refused", "cluster_request_refused",
})  # fmt: skip
"""Events that any client, or any publisher on Redis, can cause at any rate. The metrics count all of them."""
MAX_PER_SECOND = 20
_MULTILINE = frozenset({"exception", "stack"})
_OWN = frozenset({"event", "level", "logger", "timestamp"})
_QUOTED = re.compile(r"""[ \t=\r\n"']""")  # the renderer writes the repr of these, which escapes


def configure(
    level: str = "info",
    format: Literal["console", "json"] = "console",
    *,
    stream: TextIO | None = None,
    access_log: bool = False,
) -> None:
    """Send every log line of the process to `stream` (default: standard error). A second call replaces the first."""
    target = sys.stderr if stream is None else stream
    handler = _Handler(target)
    handler.setFormatter(_formatter(format, colors=_wants_colors(target)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    for name, lowest in _QUIET.items():
        logging.getLogger(name).setLevel(max(lowest, root.level))
    logging.getLogger(_ACCESS).setLevel(logging.INFO if access_log else logging.WARNING)
    logging.getLogger(_SERVER).filters[:] = [_shorten_unreadable]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            _FloodLimit(),
            *_FIRST,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _wants_colors(target: TextIO) -> bool:
    """NO_COLOR and FORCE_COLOR, if they are not empty, override what is known of the terminal (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or target.isatty()


def _shorten_unreadable(record: logging.LogRecord) -> bool:
    """Rule 3. The exception's text would quote the request, or the last part of it."""
    from aiohttp.http_exceptions import HttpProcessingError  # `rtserver token` does not need aiohttp
    from aiohttp.web import RequestPayloadError

    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | RequestPayloadError):
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.exc_info = None
        left_out = _unreadable.left_out(type(error).__name__)
        if left_out is None:
            return False
        record.msg = f"{record.msg}: {type(error).__name__}" + (f" ({left_out} like it left out)" if left_out else "")
    return record.levelno >= logging.getLogger().level


class _FloodLimit:
    """Rule 4. The first line after a flood says how many were left out."""

    def __init__(self) -> None:
        self._second = 0
        self._seen: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        name = event["event"]
        if not isinstance(name, str) or name not in _CLIENT_TRIGGERED:
            return event
        left_out = self.left_out(name)
        if left_out is None:
            raise structlog.DropEvent
        if left_out:
            event["left_out"] = left_out
        return event

    def left_out(self, name: str) -> int | None:
        """Count an event; return how many were left out before it, or None when it is one too many itself."""
        if (second := int(time.monotonic())) != self._second:
            self._second = second
            self._seen.clear()
        self._seen[name] += 1
        if self._seen[name] > MAX_PER_SECOND:
            self._left_out[name] += 1
            return None
        return self._left_out.pop(name, 0)


_unreadable = _FloodLimit()


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:
        """Report only that a line was lost: logging's own report shows the arguments unredacted."""
        error = sys.exc_info()[0]
        if sys.__stderr__ is not None and error is not None:
            with suppress(OSError, ValueError):
                sys.__stderr__.write(f"a log line was lost: {error.__name__}\n")


_FIRST: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


def _formatter(format: str, *, colors: bool) -> logging.Formatter:
    last: list[Processor] = [_one_line, _console(colors)] if format == "console" else [_json]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_FIRST,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redacted,
            *last,
        ],
    )


def _console(colors: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _redacted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {redact_text(key): redact(value, key) for key, value in event.items()}


def _one_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape keys and values for the console; JSON escapes by itself."""
    return {escape(key): _on_console(key, value) for key, value in event.items()}


def _on_console(key: str, value: Any) -> Any:
    if key in _MULTILINE:
        return "\n".join("    " + escape(line) for line in str(value).split("\n"))
    if not isinstance(value, str):
        return value
    return value if key not in _OWN and _QUOTED.search(value) else escape(value)


def escape(text: str) -> str:
    """Return `text` with every unprintable character escaped: line breaks, terminal codes, text direction."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event).decode()
    except orjson.JSONEncodeError:  # numbers past 64 bits, text that is not UTF-8
        return orjson.dumps({key: escape(str(value)) for key, value in event.items()}).decode()
