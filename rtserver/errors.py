"""Error tree: every error that a client, a backend or an operator can receive.

1. Errors are raised anywhere and translated in two places only: the dispatch of events
   (`rtserver.sio.dispatch.dispatcher`, to the ack `{"ok": false, "error": {...}}`) and the HTTP middleware
   (`rtserver.http.errors`, to a JSON body of the same shape).
2. A `code` is a promise to users (docs/events.md). A `message` is for people and may change.

    RtServerError
    ├── ConfigError          the server cannot start; carries every fault
    ├── Refused              a CONNECT is answered with CONNECT_ERROR
    └── EventError           an event or a request is answered with an error
        ├── InvalidPayload   invalid_payload   400
        ├── UnknownEvent     unknown_event     404
        ├── RateLimited      rate_limited      429  + retryAfter (seconds)
        ├── RoomNotJoined    room_not_joined   403
        ├── Forbidden        forbidden         403
        ├── NotFound         not_found         404
        ├── TooLarge         too_large         413
        ├── Conflict         conflict          409
        ├── Unavailable      unavailable       503  retryable
        ├── TimedOut         timeout           504  retryable
        └── Internal         internal          500
"""

from __future__ import annotations

from typing import Any, ClassVar


class RtServerError(Exception):
    """Base class of all errors that rtserver raises on purpose."""


class ConfigError(RtServerError):
    """Invalid settings. `faults` lists all faults, one sentence each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Refused(RtServerError):
    """Raise it in `on_connect` to refuse a client: CONNECT_ERROR `{"message": …, "data": {"code": …, …}}`.

    Source: the official protocol, https://socket.io/docs/v4/socket-io-protocol/#connection-to-a-namespace
    """

    def __init__(self, message: str = "Connection refused", *, code: str | None = None, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data: Any = {"code": code, **data} if code is not None else data

    @property
    def code(self) -> str:
        """The code of the refusal, "refused" where it has none."""
        return str(self.data.get("code", "refused")) if isinstance(self.data, dict) else "refused"

    def payload(self) -> dict[str, Any]:
        """The payload of CONNECT_ERROR."""
        return {"message": self.message, "data": self.data} if self.data else {"message": self.message}


class EventError(RtServerError):
    """Raise it in a handler: the ack is `{"ok": false, "error": {"code": …, "message": …, "details": …}}`."""

    code: str = "internal"
    http_status: int = 500
    retryable: bool = False
    default_message: ClassVar[str] = "The event could not be handled"

    def __init__(self, message: str | None = None, *, code: str | None = None, details: Any = None) -> None:
        super().__init__(message or self.default_message)
        self.message = message or self.default_message
        self.details = details
        if code is not None:
            self.code = code
            known = _BY_CODE.get(code)
            self.http_status = known.http_status if known else 400
            self.retryable = known.retryable if known else False

    def payload(self) -> dict[str, Any]:
        """`{"code": …, "message": …, "details"?: …}`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return error

    def ack(self) -> dict[str, Any]:
        """The value of the error ack."""
        return {"ok": False, "error": self.payload()}


class InvalidPayload(EventError):
    code = "invalid_payload"
    http_status = 400
    default_message = "The payload is not valid"


class UnknownEvent(EventError):
    code = "unknown_event"
    http_status = 404
    default_message = "There is no such event"


class RateLimited(EventError):
    """Too many events or requests. `retry_after`: seconds until the next one is accepted."""

    code = "rate_limited"
    http_status = 429
    retryable = True
    default_message = "Too many events; slow down"

    def __init__(self, retry_after: float, message: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = round(retry_after, 3)

    def payload(self) -> dict[str, Any]:
        return {**super().payload(), "retryAfter": self.retry_after}


class RoomNotJoined(EventError):
    code = "room_not_joined"
    http_status = 403
    default_message = "Join the room first"


class Forbidden(EventError):
    code = "forbidden"
    http_status = 403
    default_message = "This is not allowed"


class NotFound(EventError):
    code = "not_found"
    http_status = 404
    default_message = "Not found"


class TooLarge(EventError):
    code = "too_large"
    http_status = 413
    default_message = "The payload is too large"


class Conflict(EventError):
    code = "conflict"
    http_status = 409
    default_message = "This conflicts with an earlier request"


class Unavailable(EventError):
    code = "unavailable"
    http_status = 503
    retryable = True
    default_message = "The service is not available at the moment; try again"


class TimedOut(EventError):
    code = "timeout"
    http_status = 504
    retryable = True
    default_message = "This took too long"


class Internal(EventError):
    code = "internal"
    http_status = 500
    default_message = "Something went wrong on the server"


_BY_CODE: dict[str, type[EventError]] = {
    kind.code: kind
    for kind in (
        InvalidPayload,
        UnknownEvent,
        RateLimited,
        RoomNotJoined,
        Forbidden,
        NotFound,
        TooLarge,
        Conflict,
        Unavailable,
        TimedOut,
        Internal,
    )
}
