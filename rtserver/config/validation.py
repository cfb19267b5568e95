"""What must hold between settings, and the words for everything that can be wrong with them.

Rules: every fault is one sentence that names the variable and says what is right. No fault holds a secret, or a URL.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rtserver.auth.keys import SECRET_BYTES
from rtserver.config.field_types import FieldRule
from rtserver.config.sources import Found, Sources, nearest, variable
from rtserver.config.urls import has_password, is_private_way

if TYPE_CHECKING:
    from rtserver.config.settings import Settings

_LONGEST_SHOWN = 60
_SHORTEST_API_KEY = 16
_FEWEST_CHARACTERS = 8
_WELL_KNOWN = frozenset({
    "secret", "password", "changeme", "a-string-secret-at-least-256-bits-long", "your-256-bit-secret",
})  # fmt: skip
_PLACEHOLDERS = ("changeme", "replaceme", "yoursecret", "yoursupersecret")
_MAKE_ONE = "'openssl rand -hex 32' makes one"


def value_faults(error: ValidationError, rules: Mapping[str, FieldRule], found: Mapping[str, Found]) -> dict[str, str]:
    """One fault for each setting whose text is no right value."""
    faults: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=True):
        setting = str(problem["loc"][0])
        if setting in found:  # the others are defaults made from a wrong value
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
    """Names that are no setting, and what is wrong with the `.env` file itself."""
    yield from sources.faults
    for name in sources.unknown:
        meant = nearest(name, settings)
        hint = f": did you mean {meant}?" if meant else "; 'rtserver config doc' lists them all."
        yield f"{name} is not a setting{hint}"


def _keys_present(settings: Settings) -> Iterator[str]:
    if settings.production and not (settings.jwt_secret or settings.jwt_public_key or settings.jwt_jwks_url):
        yield (
            f"{variable('jwt_secret')} is missing: production mode needs a secret of 32 bytes or more ({_MAKE_ONE}), "
            f"or {variable('jwt_public_key')}."
        )


def weak_secrets(settings: Settings) -> Iterator[str]:
    """Faults in production, warnings in development."""
    name = variable("jwt_secret")
    algorithm = max((a for a in settings.algorithms if a in SECRET_BYTES), default="HS256")
    for number, secret in enumerate(settings.jwt_secret, start=1):
        which = f"{name} (secret {number} of {len(settings.jwt_secret)})" if len(settings.jwt_secret) > 1 else name
        if reason := _weakness(secret.get_secret_value(), SECRET_BYTES[algorithm], algorithm):
            yield f"{which} is weak, {reason}; {_MAKE_ONE.replace('32', str(SECRET_BYTES[algorithm]))}."


def _weakness(secret: str, shortest: int, user: str) -> str | None:
    letters = "".join(filter(str.isalpha, secret.lower()))
    if secret.lower() in _WELL_KNOWN or any(placeholder in letters for placeholder in _PLACEHOLDERS):
        return "everybody knows it from examples"
    if len(secret.encode()) < shortest:
        return f"it is only {len(secret.encode())} long and {user} needs {shortest} bytes or more"
    return "it repeats a few characters" if len(set(secret)) < _FEWEST_CHARACTERS else None


def _strong_secrets(settings: Settings) -> Iterator[str]:
    if settings.production:
        yield from weak_secrets(settings)


def _strong_cluster_secrets(settings: Settings) -> Iterator[str]:
    for secret in settings.cluster_secret:
        if reason := _weakness(secret.get_secret_value(), 32, "the cluster"):
            yield f"{variable('cluster_secret')} is weak, {reason}; {_MAKE_ONE}."


def _algorithms_fit(settings: Settings) -> Iterator[str]:
    usable = {algorithm for key in settings.configured_keys for algorithm in key.algorithms}
    if not settings.jwt_algorithms or not usable:
        return
    name = variable("jwt_algorithms")
    if stray := [algorithm for algorithm in settings.jwt_algorithms if algorithm not in usable]:
        yield f"{name} must only hold algorithms of the keys that are set, and {', '.join(stray)} fits none of them."
    elif any(not set(key.algorithms) & set(settings.jwt_algorithms) for key in settings.configured_keys):
        yield f"{name} must hold an algorithm for every key that is set, and one of the keys fits none of them."


def _origins(settings: Settings) -> Iterator[str]:
    if settings.production and not {"*", "null"}.isdisjoint(settings.cors_origins):
        yield (
            f"{variable('cors_origins')} must name the origins of your pages, such as https://example.com, in "
            "production mode: * and null would let every web site use your visitors' connections."
        )


def _api_key(settings: Settings) -> Iterator[str]:
    key = settings.api_key.get_secret_value() if settings.api_key else None
    if settings.production and key is not None and (reason := _weakness(key, _SHORTEST_API_KEY, "production mode")):
        yield f"{variable('api_key')} is weak, {reason}; {_MAKE_ONE}."


def _workers(settings: Settings) -> Iterator[str]:
    if settings.workers > 1 and settings.redis_url is None:
        yield (
            f"{variable('redis_url')} is missing: {variable('workers')} above 1 needs Redis. Without it the workers "
            "would not hear of each other, and an event would reach only the clients of the worker that it came to."
        )


def _parser(settings: Settings) -> Iterator[str]:
    if settings.allow_eio3 and settings.parser == "msgpack":
        yield f"{variable('allow_eio3')} goes with {variable('parser')} json only."


def _webhooks(settings: Settings) -> Iterator[str]:
    if settings.webhook_url is None or not settings.production:
        return
    if not settings.webhook_secret:
        yield (
            f"{variable('webhook_secret')} is missing: without it your backend could not tell our webhooks from others "
            "('echo whsec_$(openssl rand -base64 32)' makes one)."
        )
    if not is_private_way(settings.webhook_url.get_secret_value()):
        yield f"{variable('webhook_url')} must begin with https:// in production mode, but for this machine itself."


def _later(settings: Settings) -> Iterator[str]:
    """Settings whose work is not in this release must not be taken in silence."""
    if settings.jwt_jwks_url is not None:
        yield f"{variable('jwt_jwks_url')} comes with a later release: until then set {variable('jwt_public_key')}."
    if settings.redis_adapter == "streams":
        yield f"{variable('redis_adapter')} must be classic or sharded: streams comes with a later release."


_RULES: tuple[tuple[frozenset[str], Callable[[Settings], Iterator[str]]], ...] = (
    (frozenset({"mode", "jwt_secret", "jwt_public_key", "jwt_jwks_url"}), _keys_present),
    (frozenset({"mode", "jwt_secret", "jwt_algorithms"}), _strong_secrets),
    (frozenset({"jwt_secret", "jwt_public_key", "jwt_algorithms"}), _algorithms_fit),
    (frozenset({"mode", "cors_origins"}), _origins),
    (frozenset({"mode", "api_key"}), _api_key),
    (frozenset({"workers", "redis_url"}), _workers),
    (frozenset({"allow_eio3", "parser"}), _parser),
    (frozenset({"cluster_secret"}), _strong_cluster_secrets),
    (frozenset({"mode", "webhook_url", "webhook_secret"}), _webhooks),
    (frozenset({"jwt_jwks_url", "redis_adapter"}), _later),
)


def cross_faults(settings: Settings, wrong: Collection[str]) -> Iterator[str]:
    """Faults between settings; a rule about a setting whose value is wrong already has nothing to say."""
    for reads, rule in _RULES:
        if reads.isdisjoint(wrong):
            yield from rule(settings)


def warnings(settings: Settings) -> Iterator[str]:
    """What is allowed and should still be known to whoever starts the server."""
    if settings.development:
        yield (
            f"{variable('mode')} is development: demo pages and ready-made tokens are for whoever can reach "
            f"{settings.host}."
        )
        yield from weak_secrets(settings)
        if not settings.configured_keys:
            yield f"{variable('jwt_secret')} is not set: the server makes its own and keeps it in {settings.data_dir}."
        if not _is_loopback(settings.host):
            yield f"{variable('host')} is {settings.host}: other machines can reach this development server."
        if "*" in settings.cors_origins:
            yield f"{variable('cors_origins')} is *: every web site may connect."
    if settings.jwt_query:
        yield f"{variable('jwt_query')} is on: tokens in addresses end up in the logs of proxies."
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        yield f"{variable('trusted_proxies')} holds every address: each client can claim to come from any other."
    for setting in ("redis_url", "database_url"):
        url = getattr(settings, setting)
        if settings.found(setting).place == "flag" and has_password(url.get_secret_value()):
            yield (
                f"{variable(setting)} was given as a flag: other users of this machine see its password in the list of "
                "processes. Set the variable instead."
            )
    if settings.recovery_seconds and settings.found("recovery_seconds").place != "default":
        yield f"{variable('recovery_seconds')} has no effect yet: recovery comes with a later release."
    if settings.outbox_limit < settings.max_payload:
        yield (
            f"{variable('outbox_limit')} is below {variable('max_payload')}: one large message can cut off its "
            "receiver."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
