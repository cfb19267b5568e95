"""Rights in Redis: which command a refusal is about, what needs it, and what works without it.

A Redis user may lack a command, a key or a channel (ACL), and a managed Redis may not have a command at all (`rename-
command`). That is no outage, so a refusal names the command and the ACL rule that allows it. Rules:
1. Newer versions of Redis name the command in the error. Where they do not, the command is the one that was sent.
2. No argument of a command is repeated but the name of a channel, which is ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from redis.exceptions import NoPermissionError, ResponseError


class Need(NamedTuple):
    """`category`: an ACL category that holds the command; `use`: what needs it, and what works without it."""

    category: str
    use: str


_PRESENCE = "Presence, the list of instances and the durable inbox need it"
_SERVERS = "Without it the number of servers is unknown, and answers of the cluster are partial"
_INBOX = "The durable inbox needs it; RTSERVER_INBOX=false works without it"

NEEDS: Mapping[str, Need] = {
    "PSUBSCRIBE": Need("@pubsub", "The classic adapter needs it; RTSERVER_REDIS_ADAPTER=sharded works without it"),
    "SUBSCRIBE": Need(
        "@pubsub",
        "The classic adapter and the input from python-socketio need it; RTSERVER_REDIS_ADAPTER=sharded with "
        "RTSERVER_PYTHON_SOCKETIO_CHANNEL=off works without it",
    ),
    "SSUBSCRIBE": Need("@pubsub", "The sharded adapter needs it; RTSERVER_REDIS_ADAPTER=classic works without it"),
    "PUBLISH": Need("@pubsub", "The classic adapter and emitters need it"),
    "SPUBLISH": Need("@pubsub", "The sharded adapter and its emitters need it"),
    "PUBSUB": Need("@pubsub", _SERVERS),
    "EVAL": Need("@scripting", _PRESENCE),
    "TIME": Need("@fast", _PRESENCE),
    **dict.fromkeys(("ZMSCORE", "ZRANGE", "ZADD", "ZSCORE", "ZREM"), Need("@sortedset", _PRESENCE)),
    **dict.fromkeys(("HKEYS", "HDEL", "HSET", "HMGET", "HLEN"), Need("@hash", _PRESENCE)),
    **dict.fromkeys(("GET", "SET"), Need("@string", _PRESENCE)),
    **dict.fromkeys(("DEL", "UNLINK", "TYPE", "PEXPIRE", "RENAME"), Need("@keyspace", _PRESENCE)),
    **dict.fromkeys(
        ("XREADGROUP", "XGROUP", "XAUTOCLAIM", "XCLAIM", "XPENDING", "XACK", "XDEL", "XADD", "XLEN", "XRANGE", "XINFO"),
        Need("@stream", _INBOX),
    ),
    **dict.fromkeys(("PING", "SELECT", "AUTH", "CLIENT"), Need("@connection", "Every connection needs it")),
}

_NAMED = re.compile(r"the '([a-zA-Z|-]{1,40})' command")
_UNKNOWN = re.compile(r"unknown (?:sub)?command\b(?: ['`]([A-Za-z.]{1,40})['`])?", re.IGNORECASE)
_LACKS_CHANNEL = re.compile(r"access (?:a|one of the) channels?")
_LACKS_KEY = re.compile(r"access (?:a key|(?:at least )?one of the keys)")
_IN_SCRIPT = re.compile(r"user executing the script can't|ACL failure in script")


class Refusal(NamedTuple):
    """`command` is in capitals; `reason` is one sentence or two that say what is missing; `code` is Redis's word."""

    command: str
    reason: str
    code: str = "NOPERM"


class RefusedCommand(ResponseError):
    """Redis does not let us do something: `refusal` says what, and why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def refusal_of(error: BaseException, sent: str = "", channel: str = "") -> Refusal | None:
    """Return what a refusal is about; None for an error that has nothing to do with rights.

    `sent` is the command that was sent; `channel` is the channel that it named.
    """
    if isinstance(error, RefusedCommand):
        return error.refusal
    text = str(error)
    if not isinstance(error, ResponseError):
        return None
    unknown = _UNKNOWN.match(text)
    in_script = bool(_IN_SCRIPT.search(text))
    if not (unknown or in_script or isinstance(error, NoPermissionError)):
        return None
    command = _command(text, unknown, sent)
    if unknown:
        return Refusal(
            command, f"This Redis has no {command}: too old, or disabled by its operator{_use(command)}.", "ERR"
        )
    if _LACKS_CHANNEL.search(text):
        return Refusal(command, f"The Redis user may not {command} on the channel{_channel_rule(command, channel)}.")
    if _LACKS_KEY.search(text):
        return Refusal(command, f"The Redis user may not use a key of {command} (ACL rule ~…, see docs/deploy.md).")
    if in_script and command == sent:
        return Refusal(command, "The Redis user may run scripts, but not every command in them (ACL rules +@read "
                                "+@write +time).")  # fmt: skip
    return Refusal(command, f"The Redis user may not run {command} ({_rule(command)}){_use(command)}.")


def _command(text: str, unknown: re.Match[str] | None, sent: str) -> str:
    named = _NAMED.search(text)
    found = named[1] if named else unknown[1] if unknown and unknown[1] else sent
    return (found or sent or "a command").upper().replace("|", " ")


def _channel_rule(command: str, channel: str) -> str:
    """For a pattern, Redis compares the rule with the text of the pattern."""
    if not channel:
        return " (ACL rule &…)"
    if command == "PSUBSCRIBE":
        return f"s {channel} (ACL rule &{channel}, exactly, or &*)"
    return f": {channel} (ACL rule such as &{channel.partition('#')[0]}*)"


def _rule(command: str) -> str:
    need = NEEDS.get(command.partition(" ")[0])
    rule = f"ACL rule +{command.lower().replace(' ', '|')}"
    return rule if need is None else f"{rule}, in the category {need.category}"


def _use(command: str) -> str:
    need = NEEDS.get(command.partition(" ")[0])
    return "" if need is None else f". {need.use}"
