"""Validation: rules between settings, and the words for every fault and warning.

1. Each fault is one sentence that names the variable and says what is right.
2. No fault or warning contains a secret or a URL.
3. A rule is skipped when a setting that it reads has a wrong value already.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from rtserver.auth.keys import SECRET_BYTES
from rtserver.cluster.redis.names import RESERVED_ENDINGS
from rtserver.config.field_types import FieldRule
from rtserver.config.settings_fields import SettingsFields
from rtserver.config.sources import Found, Sources, nearest, variable
from rtserver.config.urls import has_password, is_encrypted_or_local
from rtserver.protocol.addresses import UNIX, UNIX_HOST

_LONGEST_SHOWN = 60
_SHORTEST_API_KEY = 16
_FEWEST_CHARACTERS = 8
_WELL_KNOWN = frozenset({
    "secret", "password", "changeme", "a-string-secret-at-least-256-bits-long", "your-256-bit-secret",
})  # fmt: skip
_PLACEHOLDERS = ("changeme", "replaceme", "yoursecret", "yoursupersecret")
_MAKE_ONE = "'openssl rand -hex 32' makes one"


def value_faults(error: ValidationError, rules: Mapping[str, FieldRule], found: Mapping[str, Found]) -> dict[str, str]:
    """Return a fault for each setting whose text is no valid value, by setting."""
    faults: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=True):
        setting = str(problem["loc"][0])
        if setting in found:  # others are defaults computed from a wrong value
            reason = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else ""
            faults.setdefault(setting, _value_fault(rules[setting], found[setting], reason))
    return faults


def _value_fault(rule: FieldRule, found: Found, reason: str) -> str:
    if rule.secret:
        return f"{found.name} must be {rule.text}{': ' + reason if reason else ''}."
    return f"{found.name} must be {rule.text}, not {_shorten(found.value)!r}."


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


def source_faults(settings: Collection[str], sources: Sources) -> Iterator[str]:
    """Yield a fault for each unknown name, and for a `.env` file that cannot be read."""
    yield from sources.faults
    for name in sources.unknown:
        meant = nearest(name, settings)
        hint = f": did you mean {meant}?" if meant else "; 'rtserver config doc' lists them all."
        yield f"{name} is not a setting{hint}"


Check = Callable[[SettingsFields], Iterator[str]]


def _keys_present(settings: SettingsFields) -> Iterator[str]:
    if not (settings.jwt_secret or settings.jwt_public_key or settings.jwt_jwks_url):
        yield (
            f"{variable('jwt_secret')} is missing: production mode needs a secret of 32 bytes or more ({_MAKE_ONE}), "
            f"or {variable('jwt_public_key')}."
        )


def _strong_secrets(settings: SettingsFields) -> Iterator[str]:
    name = variable("jwt_secret")
    algorithm = max((a for a in settings.algorithms if a in SECRET_BYTES), default="HS256")
    for number, secret in enumerate(settings.jwt_secret, start=1):
        which = f"{name} (secret {number} of {len(settings.jwt_secret)})" if len(settings.jwt_secret) > 1 else name
        if reason := _weakness(secret.get_secret_value(), SECRET_BYTES[algorithm], algorithm):
            yield f"{which} is weak, {reason}; {_MAKE_ONE.replace('32', str(SECRET_BYTES[algorithm]))}."


def _weakness(secret: str, shortest: int, user: str) -> str | None:
    letters = "".join(filter(str.isalpha, secret.lower()))
    if secret.lower() in _WELL_KNOWN or any(placeholder in letters for placeholder in _PLACEHOLDERS):
        return "it is known from examples"
    if len(secret.encode()) < shortest:
        return f"it is only {len(secret.encode())} long and {user} needs {shortest} bytes or more"
    return "it repeats a few characters" if len(set(secret)) < _FEWEST_CHARACTERS else None


def _strong_cluster_secrets(settings: SettingsFields) -> Iterator[str]:
    for secret in settings.cluster_secret:
        if reason := _weakness(secret.get_secret_value(), 32, "the cluster"):
            yield f"{variable('cluster_secret')} is weak, {reason}; {_MAKE_ONE}."


def _algorithms_fit(settings: SettingsFields) -> Iterator[str]:
    usable = {algorithm for key in settings.configured_keys for algorithm in key.algorithms}
    if not settings.jwt_algorithms or not usable:
        return
    name = variable("jwt_algorithms")
    if stray := [algorithm for algorithm in settings.jwt_algorithms if algorithm not in usable]:
        yield f"{name} must only hold algorithms of the keys that are set, and {', '.join(stray)} fits none of them."
    elif any(not set(key.algorithms) & set(settings.jwt_algorithms) for key in settings.configured_keys):
        yield f"{name} must hold an algorithm for every key that is set, and one of the keys fits none of them."


def _origins(settings: SettingsFields) -> Iterator[str]:
    if not {"*", "null"}.isdisjoint(settings.cors_origins):
        yield (
            f"{variable('cors_origins')} must name the origins of your pages, such as https://example.com, in "
            "production mode: * and null would let every web site use your visitors' connections."
        )


def _api_key(settings: SettingsFields) -> Iterator[str]:
    key = settings.api_key.get_secret_value() if settings.api_key else None
    if key is not None and (reason := _weakness(key, _SHORTEST_API_KEY, "production mode")):
        yield f"{variable('api_key')} is weak, {reason}; {_MAKE_ONE}."


def _workers(settings: SettingsFields) -> Iterator[str]:
    if settings.workers > 1 and settings.redis_url is None:
        yield (
            f"{variable('redis_url')} is missing: {variable('workers')} above 1 needs Redis. Without it the workers "
            "would not hear of each other, and an event would reach only the clients of the worker that received it."
        )


_PATHS_OF_PAGES = frozenset({
    "admin", "api", "assets", "chat", "client", "dev", "favicon.ico", "favicon.svg", "healthz", "metrics",
    "notifications", "readyz", "uploads",
})  # fmt: skip


def _path(settings: SettingsFields) -> Iterator[str]:
    first = settings.path.split("/")[1]
    if first in _PATHS_OF_PAGES:
        yield f"{variable('path')} must not begin with /{first}: the server has pages of its own there."


def _parser(settings: SettingsFields) -> Iterator[str]:
    if settings.allow_eio3 and settings.parser == "msgpack":
        yield f"{variable('allow_eio3')} needs {variable('parser')} json."


def _webhooks(settings: SettingsFields) -> Iterator[str]:
    if settings.webhook_url is None:
        return
    if not settings.webhook_secret:
        yield (
            f"{variable('webhook_secret')} is missing: without it your backend could not tell our webhooks from others "
            "('echo whsec_$(openssl rand -base64 32)' makes one)."
        )
    if not is_encrypted_or_local(settings.webhook_url.get_secret_value()):
        yield f"{variable('webhook_url')} must begin with https:// in production mode, except for this machine itself."


def _redis_key(settings: SettingsFields) -> Iterator[str]:
    if settings.redis_key.endswith(RESERVED_ENDINGS):
        yield (
            f"{variable('redis_key')} must not end in {' or '.join(RESERVED_ENDINGS)}: the channels of another "
            "deployment may be called so."
        )


def _later(settings: SettingsFields) -> Iterator[str]:
    """A setting whose feature is not in this release must not be ignored silently."""
    if settings.jwt_jwks_url is not None:
        yield f"{variable('jwt_jwks_url')} comes with a later release: until then set {variable('jwt_public_key')}."
    if settings.redis_adapter == "streams":
        yield f"{variable('redis_adapter')} must be classic or sharded: streams comes with a later release."


def _development_mode(settings: SettingsFields) -> Iterator[str]:
    yield (
        f"{variable('mode')} is development: everyone who can reach {settings.host} gets demo pages, and ready-made "
        "tokens with the link that the server prints to a terminal."
    )


def _made_secret(settings: SettingsFields) -> Iterator[str]:
    if not settings.configured_keys:
        yield f"{variable('jwt_secret')} is not set: the server makes its own and keeps it in {settings.data_dir}."


def _reachable(settings: SettingsFields) -> Iterator[str]:
    if not _is_loopback(settings.host):
        yield f"{variable('host')} is {settings.host}: other machines can reach this development server."


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith(UNIX_HOST)


def _any_origin(settings: SettingsFields) -> Iterator[str]:
    if "*" in settings.cors_origins:
        yield f"{variable('cors_origins')} is *: every web site may connect."


def _cookie_for_everybody(settings: SettingsFields) -> Iterator[str]:
    if settings.jwt_cookie and not {"*", "null"}.isdisjoint(settings.cors_origins):
        yield (
            f"{variable('cors_origins')} must name your pages, and not hold * or null, while "
            f"{variable('jwt_cookie')} is set: browsers add that cookie for every web site, and it could act as its "
            "visitor."
        )


def _token_in_query(settings: SettingsFields) -> Iterator[str]:
    if settings.jwt_query:
        yield f"{variable('jwt_query')} is on: tokens in URLs end up in the logs of proxies."


def _any_proxy(settings: SettingsFields) -> Iterator[str]:
    if any(peer != UNIX and peer.prefixlen == 0 for peer in settings.trusted_proxies):
        yield f"{variable('trusted_proxies')} holds every address: each client can claim to come from any other."


def _unix_peers(settings: SettingsFields) -> Iterator[str]:
    if settings.host.startswith(UNIX_HOST) and UNIX not in settings.trusted_proxies:
        yield (
            f"{variable('trusted_proxies')} does not hold unix: all clients that come through {settings.host} count as "
            "one address."
        )


def _password_in_flag(settings: SettingsFields) -> Iterator[str]:
    for setting in ("redis_url", "database_url"):
        url = getattr(settings, setting)
        if settings.found(setting).source == "flag" and has_password(url.get_secret_value()):
            yield (
                f"{variable(setting)} was given as a flag: other users of this machine see its password in the list of "
                "processes. Set the variable instead."
            )


def _no_recovery(settings: SettingsFields) -> Iterator[str]:
    if settings.recovery_seconds and settings.found("recovery_seconds").source != "default":
        yield f"{variable('recovery_seconds')} has no effect yet: recovery comes with a later release."


def _small_outbox(settings: SettingsFields) -> Iterator[str]:
    if settings.outbox_limit < settings.max_payload:
        yield (
            f"{variable('outbox_limit')} is below {variable('max_payload')}: one large message can disconnect its "
            "receiver."
        )
    if settings.outbox_total < settings.outbox_limit:
        yield (
            f"{variable('outbox_total')} is below {variable('outbox_limit')}: what waits for one client can disconnect "
            "others."
        )


class Rule(NamedTuple):
    """`reads`: the settings that `check` looks at; `mode`: the only mode that it applies in."""

    severity: Literal["fault", "warning"]
    check: Check
    reads: frozenset[str]
    mode: Literal["development", "production"] | None = None


def _rule(
    severity: Literal["fault", "warning"],
    check: Check,
    *reads: str,
    mode: Literal["development", "production"] | None = None,
) -> Rule:
    return Rule(severity, check, frozenset(reads) | ({"mode"} if mode else frozenset()), mode)


_RULES = (
    _rule("fault", _keys_present, "jwt_secret", "jwt_public_key", "jwt_jwks_url", mode="production"),
    _rule("fault", _strong_secrets, "jwt_secret", "jwt_algorithms", mode="production"),
    _rule("fault", _algorithms_fit, "jwt_secret", "jwt_public_key", "jwt_algorithms"),
    _rule("fault", _origins, "cors_origins", mode="production"),
    _rule("fault", _cookie_for_everybody, "cors_origins", "jwt_cookie", mode="development"),
    _rule("fault", _api_key, "api_key", mode="production"),
    _rule("fault", _workers, "workers", "redis_url"),
    _rule("fault", _path, "path"),
    _rule("fault", _parser, "allow_eio3", "parser"),
    _rule("fault", _strong_cluster_secrets, "cluster_secret"),
    _rule("fault", _webhooks, "webhook_url", "webhook_secret", mode="production"),
    _rule("fault", _redis_key, "redis_key"),
    _rule("fault", _later, "jwt_jwks_url", "redis_adapter"),
    _rule("warning", _development_mode, "host", mode="development"),
    _rule("warning", _strong_secrets, "jwt_secret", "jwt_algorithms", mode="development"),
    _rule("warning", _made_secret, "jwt_secret", "jwt_public_key", "data_dir", mode="development"),
    _rule("warning", _reachable, "host", mode="development"),
    _rule("warning", _any_origin, "cors_origins", mode="development"),
    _rule("warning", _token_in_query, "jwt_query"),
    _rule("warning", _any_proxy, "trusted_proxies"),
    _rule("warning", _unix_peers, "host", "trusted_proxies"),
    _rule("warning", _password_in_flag, "redis_url", "database_url"),
    _rule("warning", _no_recovery, "recovery_seconds"),
    _rule("warning", _small_outbox, "outbox_limit", "outbox_total", "max_payload"),
)


def faults(settings: SettingsFields, wrong: Collection[str]) -> Iterator[str]:
    """Yield each fault between settings; `wrong` are the settings whose own value is a fault already."""
    return _broken("fault", settings, wrong)


def warnings(settings: SettingsFields) -> Iterator[str]:
    """Yield each warning: what is allowed and risky, or without effect."""
    return _broken("warning", settings, ())


def _broken(severity: str, settings: SettingsFields, wrong: Collection[str]) -> Iterator[str]:
    for rule in _RULES:
        applies = rule.mode in (None, settings.mode)
        if rule.severity == severity and applies and rule.reads.isdisjoint(wrong):
            yield from rule.check(settings)
