"""Settings of log lines."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from rtserver.config import field_types


class LogSettings(BaseModel):
    """The group "Logs"."""

    GROUP: ClassVar[str] = "Logs"
    model_config = ConfigDict(use_attribute_docstrings=True)

    log_level: field_types.LogLevel = "info"
    """The least important level that is logged."""
    log_format: field_types.LogFormat = "console"
    """`console` for people, `json` for log collectors. Both go to standard error."""
