"""A RabbitMQ node, with its own port mapper of Erlang."""

import shutil
from pathlib import Path

from tests.support.ports import accepts_connections, free_port
from tests.support.process import Process, Processes

_FOLDERS = (Path("/usr/lib/rabbitmq/bin"), Path("/usr/sbin"), Path("/opt/homebrew/sbin"), Path("/usr/local/sbin"))


def _program() -> str:
    found = shutil.which("rabbitmq-server", path=":".join(map(str, _FOLDERS))) or shutil.which("rabbitmq-server")
    assert found, "RabbitMQ is not installed: `make test` installs it"
    return found


def _port_mapper() -> str:
    found = shutil.which("epmd") or next(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), None)
    assert found, "Erlang's epmd is not installed"
    return found


class RabbitServer:
    """`url`, `stop`, `start`; durable queues survive a stop."""

    def __init__(self, processes: Processes) -> None:
        folder = processes.new_folder("rabbitmq")
        self.port, mapper, between = free_port(), free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        env = {
            "PATH": "/usr/lib/rabbitmq/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(between),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        command = [_port_mapper(), "-address", "127.0.0.1", "-port", str(mapper)]
        self._mapper = processes.add(Process(f"epmd {mapper}", command, log=folder / "epmd.log"))
        self._mapper.start(lambda: accepts_connections(mapper))
        node = Process(f"rabbitmq {self.port}", [_program()], log=folder / "log", env=env)
        self._node = processes.add(node)

    def start(self) -> None:
        self._node.start(lambda: accepts_connections(self.port))

    def stop(self) -> None:
        self._node.stop()

    def kill(self) -> None:
        self._node.kill()
