"""Quiet hours: the time of day without sounds, in the user's time zone. Knows nothing of notifications.

1. Quiet hours begin and end at points in time, not at clock readings. An hour that a clock change repeats is quiet
   once; a beginning or end in an hour that it skips moves by the size of the change.
2. In a time zone unknown to this machine, no hour is quiet.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct, field

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}\Z")
_LONGEST_ZONE = 64


class QuietHours(Struct, frozen=True, rename="camel"):
    """From one time of day to another, past midnight where `to` is earlier than `from`."""

    from_: str = field(name="from")
    to: str
    time_zone: str

    def fault(self) -> str | None:
        """A description of what is invalid, or None."""
        if not _CLOCK.match(self.from_) or not _CLOCK.match(self.to):
            return "Times are written HH:MM, from 00:00 to 23:59"
        if self.from_ == self.to:
            return "`from` and `to` must differ"
        return None if _zone(self.time_zone) else "`timeZone` must be a name such as Europe/Paris"

    def until(self, moment: datetime) -> datetime | None:
        """The end of the quiet hours that contain `moment`, or None. Both in UTC."""
        zone = _zone(self.time_zone)
        if zone is None:
            return None
        today = moment.astimezone(zone).date()
        for day in (today - timedelta(days=1), today):
            begin, end = self._of(day, zone)
            if begin <= moment < end:
                return end
        return None

    def _of(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The beginning and end, in UTC, of the quiet hours that begin on that day."""
        last = day if self.from_ < self.to else day + timedelta(days=1)
        return _moment(day, self.from_, zone), _moment(last, self.to, zone)


def _moment(day: date, clock: str, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), zone).astimezone(UTC)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    # The name is used as a path, so its form is checked.
    if len(name) > _LONGEST_ZONE or not _ZONE.match(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
