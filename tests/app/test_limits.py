"""rtserver/app/limits.py: a limit that a setting names is the limit that the server enforces."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from rtserver.app.limits import limits_of
from rtserver.config.settings import Settings
from rtserver.rate_limit import Rate
from rtserver.sio.limits.limits import Limits

SAME = [field.name for field in fields(Limits) if field.name != "connect_rate"]


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_limit_is_a_setting() -> None:
    changed = {name: type(getattr(Limits(), name))(7 + at) for at, name in enumerate(SAME)}
    changed |= {"max_attachment_bytes": 1007, "max_backlog_bytes": 1008}
    assert limits_of(Settings(rate_connects="9/m", **changed)) == Limits(connect_rate=Rate(9, 60.0), **changed)


def test_the_defaults_of_settings_and_server_are_the_same_except_the_handler_timeout() -> None:
    """Handlers written for python-socketio may take longer, so the server alone has no handler timeout."""
    assert limits_of(Settings()) == Limits(handler_timeout=30.0)
