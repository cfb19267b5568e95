"""Settings of the process and of its log: mode, address, workers, instance, data folder; level and format."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from rtserver.config import field_types as kind


class ServerSettings(BaseModel):
    """The group "Server". Other groups inherit from it where their defaults depend on mode, port or data folder."""

    GROUP: ClassVar[str] = "Server"
    model_config = ConfigDict(defer_build=True)

    mode: kind.Mode = "development"
    """`development` makes its own secret, serves the demo pages and prints ready-made tokens to a terminal;
    `production` refuses to start with unsafe settings."""
    host: kind.HostName = "127.0.0.1"
    """The address to listen on; `0.0.0.0` is every interface, as in a container, `::` the same over IPv6 and IPv4, and
    `unix:/run/rtserver/socket` a Unix socket for a proxy on this machine
    ([deploy.md](deploy.md#a-unix-socket))."""
    port: kind.Port = 8000
    """The port to listen on; 0 lets the system choose a free one. A Unix socket has none."""
    workers: kind.WorkerCount = 1
    """Processes that share the port, under a supervisor ([deploy.md](deploy.md#several-processes-on-one-machine)). More
    than one needs Redis."""
    instance: kind.InstanceName | None = None
    """The short name of this instance. Session ids begin with it, so that a proxy can route by it."""
    data_dir: kind.Folder = Path("var")
    """The folder of the SQLite file and of the secret that development mode makes."""

    @property
    def development(self) -> bool:
        return self.mode == "development"

    @property
    def production(self) -> bool:
        return self.mode == "production"


class LogSettings(BaseModel):
    """The group "Logs"."""

    GROUP: ClassVar[str] = "Logs"
    model_config = ConfigDict(defer_build=True)

    log_level: kind.LogLevel = "info"
    """The least important level that is logged."""
    log_format: kind.LogFormat = "console"
    """`console` for people, `json` for log collectors. Both go to standard error."""
