"""Field types of settings: parsing of a setting's text, and the words for what it must be. Knows no setting.

No error here contains the value: `rtserver.config.validation` adds it, as it knows which settings are secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo

from rtserver.auth.keys import ALGORITHMS, Key, looks_like_pem, webhook_key
from rtserver.config.urls import check_database_url, check_redis_url, check_web_url, check_webhook_url
from rtserver.protocol.addresses import TrustedPeer, trusted_peer
from rtserver.protocol.origins import parse_setting
from rtserver.rate_limit import Rate

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What a value must be, as words that follow "must be". `secret`: the value must never be shown."""

    text: str
    secret: bool = False


def rule_of(field: FieldInfo) -> FieldRule:
    """Return the rule of a setting; each has one."""
    return next(part for part in _parts(field.metadata, field.annotation) if isinstance(part, FieldRule))


def _parts(metadata: Sequence[Any], annotation: Any) -> Iterator[Any]:
    yield from metadata
    for choice in get_args(annotation):  # `Pem | None` keeps the rule with the choice
        yield from getattr(choice, "__metadata__", ())


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _each(check: Callable[[S], T]) -> Callable[[tuple[S, ...]], tuple[T, ...]]:
    return lambda values: tuple(check(value) for value in values)


def _matching(pattern: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError("")
        return value

    return check


def _rate(value: Any) -> Any:
    if isinstance(value, str):
        return None if value.strip().lower() == "off" else Rate.parse(value)
    return value


def _origin(value: str) -> str:
    """Return an origin as browsers send it, or `*`."""
    if value == "*":
        return value
    origin = parse_setting(value)
    if origin is None:
        raise ValueError("")
    return str(origin)


_host_shape = _matching(r"unix:/\S+|(?!unix:)[^\s/\[\]]+")


def _host(value: str) -> str:
    """Return the host without the brackets that a URL has around an IPv6 address."""
    return _host_shape(value[1:-1] if value.startswith("[") and value.endswith("]") else value)


_path_shape = _matching(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]{1,100}){1,8}")


def _url_path(value: str) -> str:
    """Return the path with a slash at its beginning and none at its end."""
    return _path_shape("/" + value.strip().removeprefix("/").removesuffix("/"))


def _algorithm(value: str) -> str:
    for known in ALGORITHMS:
        if known.lower() == value.lower():
            return known
    raise ValueError("")


def _secret(check: Callable[[str], str]) -> Callable[[SecretStr], SecretStr]:
    return lambda secret: SecretStr(check(secret.get_secret_value()))


def _no_pem(secret: str) -> str:
    if looks_like_pem(secret):
        raise ValueError("a PEM holds a key of another kind")
    return secret


def _webhook_secret(secret: str) -> str:
    webhook_key(secret)
    return secret


def _pem(value: str) -> str:
    text = value.replace("\\n", "\n") if looks_like_pem(value) else _read(value)
    keys_in(text)
    return text


def keys_in(pem: str) -> list[Key]:
    """The public keys of a setting; raises `ValueError`."""
    from rtserver.auth.public_keys import public_keys  # loads cryptography, which few servers need

    return public_keys(pem)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        raise ValueError("it is neither a PEM nor a readable file") from None


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


Mode = Annotated[Literal["development", "production"], BeforeValidator(_lower), FieldRule("development or production")]
HostName = Annotated[
    str, AfterValidator(_host), FieldRule("an address, a host name or unix:/path, such as 127.0.0.1, :: or 0.0.0.0")
]
Port = Annotated[int, Field(ge=0, le=65535), FieldRule("a whole number from 0 to 65535")]
WorkerCount = Annotated[int, Field(ge=1, le=256), FieldRule("a whole number from 1 to 256")]
Count = Annotated[int, Field(ge=0, le=1_000_000_000), FieldRule("a whole number of 0 or more")]
AtLeastOne = Annotated[int, Field(ge=1, le=1_000_000_000), FieldRule("a whole number of 1 or more")]
DEEPEST = 200
"""Deeper values could not be sent back: encoders refuse them, or run out of stack."""
Depth = Annotated[int, Field(ge=2, le=DEEPEST), FieldRule(f"a whole number from 2 to {DEEPEST}")]
Bytes = Annotated[int, Field(ge=100, le=1 << 30), FieldRule("a whole number of bytes from 100 to 1073741824")]
TextLength = Annotated[int, Field(ge=1, le=1_000_000), FieldRule("a whole number from 1 to 1000000")]
Seconds = Annotated[
    float, Field(gt=0, le=86_400, allow_inf_nan=False), FieldRule("a number of seconds above 0 and up to 86400")
]
Pause = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False), FieldRule("a number of seconds from 0 to 86400")]
Skew = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False), FieldRule("a number of seconds from 0 to 600")]
Duration = Annotated[
    float, Field(ge=0.5, le=600, allow_inf_nan=False), FieldRule("a number of seconds from 0.5 to 600")
]
Switch = Annotated[bool, BeforeValidator(_lower), FieldRule("true or false")]
Folder = Annotated[Path, FieldRule("a folder")]

Secrets = Annotated[
    tuple[SecretStr, ...],
    BeforeValidator(_split),
    AfterValidator(_each(_secret(_no_pem))),
    FieldRule("one secret, or several separated by commas", secret=True),
]
Pem = Annotated[
    str,
    AfterValidator(_pem),
    FieldRule("one or several public keys as PEM, or the path of a file that holds them", secret=True),
]
Algorithms = Annotated[
    tuple[str, ...], BeforeValidator(_split), AfterValidator(_each(_algorithm)), AfterValidator(_distinct),
    FieldRule("a list of " + ", ".join(ALGORITHMS)),
]  # fmt: skip
Names = Annotated[tuple[str, ...], BeforeValidator(_split), FieldRule("a text, or several separated by commas")]
InstanceName = Annotated[str, AfterValidator(_matching(r"[A-Za-z0-9]{1,16}")), FieldRule("up to 16 letters and digits")]
_redis_key = _matching(r"[A-Za-z0-9_.:/-]{1,100}")
RedisKey = Annotated[str, AfterValidator(_redis_key), FieldRule("up to 100 letters, digits and _.:/-")]
InputChannel = Annotated[
    str, AfterValidator(lambda value: "" if value.lower() == "off" else _redis_key(value) if value else ""),
    FieldRule("up to 100 letters, digits and _.:/-, or off"),
]  # fmt: skip
CookieName = Annotated[
    str, AfterValidator(_matching(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")), FieldRule("the name of a cookie")
]
ApiKey = Annotated[
    SecretStr, AfterValidator(_secret(_matching(r"[\x21-\x7e]+"))),
    FieldRule("a text of printable ASCII characters without spaces", secret=True),
]  # fmt: skip
WebUrl = Annotated[str, AfterValidator(check_web_url), FieldRule("an https:// address", secret=True)]
RedisUrl = Annotated[
    SecretStr, AfterValidator(_secret(check_redis_url)),
    FieldRule(
        "redis://host:6379/0, rediss://… (TLS), unix:///path/to/socket, redis+sentinel://host:26379,host/service/0 or "
        "redis+cluster://host:6379,host",
        secret=True,
    ),
]  # fmt: skip
DatabaseUrl = Annotated[
    SecretStr, AfterValidator(_secret(check_database_url)),
    FieldRule("sqlite:///path/to/file.db or postgresql://user:password@host/name", secret=True),
]  # fmt: skip
WebhookUrl = Annotated[
    SecretStr,
    AfterValidator(_secret(check_webhook_url)),
    FieldRule("the https:// address of your backend", secret=True),
]
WebhookSecrets = Annotated[
    tuple[SecretStr, ...], BeforeValidator(_split), AfterValidator(_each(_secret(_webhook_secret))),
    FieldRule("whsec_ and 24 to 64 bytes as base64, or several of these separated by commas", secret=True),
]  # fmt: skip
Origins = Annotated[
    tuple[str, ...], BeforeValidator(_split), AfterValidator(_each(_origin)), AfterValidator(_distinct),
    FieldRule("a list of origins such as https://example.com, without a path"),
]  # fmt: skip
TrustedPeers = Annotated[
    tuple[TrustedPeer, ...], BeforeValidator(lambda value: _each(lambda peer: trusted_peer(str(peer)))(_split(value))),
    FieldRule("a list of addresses or networks such as 127.0.0.1, 10.0.0.0/8, or unix"),
]  # fmt: skip
Plugins = Annotated[
    tuple[str, ...], BeforeValidator(_split), AfterValidator(_each(_matching(r"[^\W\d][\w.]*:[^\W\d][\w.]*"))),
    FieldRule("a list of classes written my.module:ClassName"),
]  # fmt: skip
Transports = Annotated[
    tuple[Literal["polling", "websocket"], ...],
    Field(min_length=1), BeforeValidator(_split), AfterValidator(_distinct),
    FieldRule("polling, websocket or both"),
]  # fmt: skip
UrlPath = Annotated[
    str, AfterValidator(_url_path), FieldRule("a path of letters, digits and -._~ such as /socket.io or /app/realtime")
]
Parser = Annotated[Literal["json", "msgpack"], BeforeValidator(_lower), FieldRule("json or msgpack")]
EventRate = Annotated[Rate | None, BeforeValidator(_rate), FieldRule("COUNT/s or COUNT/m, such as 50/s, or off")]
AdapterKind = Annotated[
    Literal["classic", "sharded", "streams"], BeforeValidator(_lower), FieldRule("classic, sharded or streams")
]
RoomPolicy = Annotated[
    str, AfterValidator(_matching(r"open|members|role:[^\s\x00-\x1f]{1,100}")), FieldRule("open, members or role:NAME")
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"], BeforeValidator(_lower), FieldRule("debug, info, warning or error")
]
LogFormat = Annotated[Literal["console", "json"], BeforeValidator(_lower), FieldRule("console or json")]
