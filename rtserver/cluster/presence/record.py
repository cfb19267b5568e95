"""What an instance tells the others of itself with each heartbeat."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from rtserver.protocol import json

log = structlog.get_logger("rtserver.presence")


class Record:
    """`describe` gives it; a mark of our own tells it from that of a second server by the same name."""

    def __init__(self, instance: str, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._instance, self._describe = instance, describe
        self._mark = secrets.token_hex(8)
        self._written = self._warned = False

    def write(self) -> bytes:
        return json.dumps({**self._describe(), "id": self._instance, "mark": self._mark})

    def check(self, before: bytes) -> None:
        """`before` stood there until we wrote. At first it may be that of the process before us."""
        stranger = self._written and before and self._mark.encode() not in before
        if stranger and not self._warned:
            self._warned = True
            log.error("instance_id_taken", instance=self._instance, hint="Two servers have the same RTSERVER_INSTANCE")
        self._written = True
