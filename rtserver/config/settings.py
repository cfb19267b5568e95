"""`Settings`: reads and checks every setting. What there is to set stands in the modules of the groups beside it.

The names are promises, and docs/settings.md is generated from them. Other parts take values, never `Settings`: only
`app` and what is above it sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtserver.config import sources, validation
from rtserver.config.settings_fields import SettingsFields
from rtserver.errors import ConfigError


class Settings(SettingsFields):
    """Read from arguments (the flags), the environment, `.env` and defaults, in this order.

    Raises `ConfigError` with *all* faults. `Settings(_env_file=None)` leaves the `.env` file out.
    """

    def __init__(self, *, _env_file: str | Path | None = ".env", **flags: Any) -> None:
        file = Path(_env_file) if _env_file is not None else None
        rules = self.rules()
        read = sources.read(rules, flags, os.environ, file)
        values = {name: found.value for name, found in read.found.items()}
        wrong: dict[str, str] = {}
        try:
            super().__init__(**values)
        except ValidationError as error:
            # Again with defaults in place of wrong values, so that the rules between settings are checked as well.
            wrong = validation.value_faults(error, rules, read.found)
            super().__init__(**{name: value for name, value in values.items() if name not in wrong})
        self._found = read.found
        faults = [*validation.source_faults(rules, read), *wrong.values(), *validation.faults(self, wrong)]
        if faults:
            raise ConfigError(faults)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Leave out secrets and URLs, wherever the settings are printed."""
        rules = self.rules()
        yield from (
            (name, value) for name, value in super().__repr_args__() if name in rules and not rules[name].secret
        )

    def warnings(self) -> list[str]:
        """Return a sentence for each setting that is allowed and risky or without effect."""
        return list(validation.warnings(self))
