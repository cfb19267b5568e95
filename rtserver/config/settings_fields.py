"""All declared settings in one model. Knows neither where their text comes from nor which combinations are wrong."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict, PrivateAttr

from rtserver.config import field_types
from rtserver.config.backing_services import BackingServiceSettings
from rtserver.config.chat import ChatSettings, UploadSettings
from rtserver.config.connections import BrowserSettings, ConnectionSettings
from rtserver.config.ingest import IngestSettings
from rtserver.config.limits import LimitSettings
from rtserver.config.notifications import NotificationSettings
from rtserver.config.server import LogSettings, ServerSettings
from rtserver.config.sources import Found, variable
from rtserver.config.token_keys import TokenSettings


class SettingsFields(
    LogSettings,
    NotificationSettings,
    UploadSettings,
    ChatSettings,
    LimitSettings,
    ConnectionSettings,
    BrowserSettings,
    IngestSettings,
    BackingServiceSettings,
    TokenSettings,
    ServerSettings,
):
    """The groups of settings as one flat model.

    The last base comes first: pydantic collects and validates fields in that order, so that a default may depend on
    fields of the groups below it, and docs/settings.md lists the groups in it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True, defer_build=True)

    _found: Mapping[str, Found] = PrivateAttr(default_factory=dict)

    def found(self, setting: str) -> Found:
        """Return where the value of a setting came from."""
        return self._found.get(setting, Found(getattr(self, setting), variable(setting), "default"))

    @classmethod
    def rules(cls) -> dict[str, field_types.FieldRule]:
        """Return the rule of each setting, in the order of the groups."""
        return {name: field_types.rule_of(field) for name, field in cls.model_fields.items()}

    @classmethod
    def groups(cls) -> dict[str, tuple[str, ...]]:
        """Return the names of the settings by group, both in the order in which they are declared."""
        declaring = [base for base in reversed(cls.__mro__) if "GROUP" in vars(base)]
        return {
            base.__dict__["GROUP"]: tuple(name for name in base.__annotations__ if name in cls.model_fields)
            for base in declaring
        }
