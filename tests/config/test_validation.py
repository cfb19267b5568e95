"""rtserver/config/validation.py: the table of rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtserver.config import validation
from rtserver.config.settings import Settings


class Reads:
    """Settings that record which of their fields are read."""

    def __init__(self, settings: Settings, names: set[str]) -> None:
        self._settings = settings
        self._names = names

    def __getattr__(self, name: str) -> Any:
        if name in Settings.model_fields:
            self._names.add(name)
        return getattr(self._settings, name)


RULES = [pytest.param(rule, id=f"{rule.severity}-{rule.check.__name__}") for rule in validation._RULES]


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_names_settings_that_exist(rule: validation.Rule) -> None:
    assert rule.reads
    assert rule.reads <= Settings.model_fields.keys()
    assert rule.mode is None or "mode" in rule.reads


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_declares_every_setting_that_it_reads(rule: validation.Rule) -> None:
    """Otherwise it would report a second fault for a setting whose value is wrong already."""
    names: set[str] = set()
    settings: Any = Reads(Settings(_env_file=None, redis_url="redis://h", webhook_url="https://h/x", workers=2), names)
    list(rule.check(settings))
    assert names <= rule.reads
