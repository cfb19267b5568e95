"""The settings of the doors for backends that are not HTTP. `Settings` has them among its own."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from rtserver import settings_values as kind


class DoorSettings(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    inbox: kind.Switch | None = None
    """Whether this server carries out what backends leave in the durable inbox
    ([backends.md](backends.md#the-durable-inbox)). Whoever can write to Redis can then post in anybody's name, so with
    a cluster secret it has to be turned on by hand."""
    inbox_stream: kind.RedisKey = "rtserver:inbox"
    """The stream of Redis that is the durable inbox; what cannot be carried out goes to the same name with `:dead`."""

    @property
    def reads_inbox(self) -> bool:
        """Whether there is an inbox, and this server serves it."""
        mine: Any = self
        return mine.redis_url is not None and (self.inbox if self.inbox is not None else not mine.cluster_secret)
