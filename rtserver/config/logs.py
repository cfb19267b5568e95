"""Settings of log lines."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from rtserver.config import field_types as kind


class LogSettings(BaseModel):
    """The group "Logs"."""

    GROUP: ClassVar[str] = "Logs"
    model_config = ConfigDict(use_attribute_docstrings=True)

    log_level: kind.LogLevel = "info"
    """The least important level that is logged."""
    log_format: kind.LogFormat = "console"
    """`console` for people, `json` for log collectors. Both go to standard error."""
