"""Larger Redis set-ups: with TLS, behind Sentinels, as a Cluster."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from tests.support.ports import accepts_connections, free_port
from tests.support.process import Process, Processes
from tests.support.redis_server import RedisServer

SECONDS = 20.0


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def certificates(folder: Path) -> None:
    """Make a CA (`ca.pem`) and a certificate of it for 127.0.0.1 (`redis.pem`, `redis.key`)."""
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc"
    for command in (
        f"{new} -x509 -days 2 -subj /CN=test -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem",
        f"{new} -subj /CN=redis -keyout redis.key -out redis.csr",
        "openssl x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -days 2 -extfile extensions -out redis.pem",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


def secure_redis(processes: Processes, folder: Path) -> tuple[RedisServer, int]:
    """Return a Redis with a TLS port, and that port."""
    certificates(folder)
    port = free_port()
    files = {"cert": "redis.pem", "key": "redis.key", "ca-cert": "ca.pem"}
    options = [word for name, file in files.items() for word in (f"--tls-{name}-file", str(folder / file))]
    server = RedisServer(processes, "--tls-port", str(port), "--tls-auth-clients", "no", *options)
    server.start()
    return server, port


class Sentinels:
    """A primary, a replica and one Sentinel, which alone decides; each has its own password."""

    password = "pri/m@ry:1"
    sentinel_password = "sent?nel#2"

    def __init__(self, processes: Processes) -> None:
        login = ("--requirepass", self.password, "--masterauth", self.password, "--repl-diskless-sync-delay", "0")
        self.primary = RedisServer(processes, *login)
        self.replica = RedisServer(processes, *login, "--replicaof", f"127.0.0.1 {self.primary.port}")
        self.primary.start()
        self.replica.start()
        wait_for(lambda: self.client(self.replica).info("replication")["master_link_status"] == "up")
        self.port = free_port()
        folder = processes.new_folder("sentinel")
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\nrequirepass {self.sentinel_password}\n"
            f"sentinel monitor main 127.0.0.1 {self.primary.port} 1\nsentinel auth-pass main {self.password}\n"
            "sentinel down-after-milliseconds main 400\nsentinel failover-timeout main 2000\n"
        )
        command = ["redis-server", str(config), "--sentinel"]
        sentinel = processes.add(Process(f"sentinel {self.port}", command, log=folder / "log"))
        sentinel.start(lambda: accepts_connections(self.port))
        with redis.Redis(port=self.port, password=self.sentinel_password) as asked:
            wait_for(lambda: len(asked.sentinel_slaves("main")) == 1)

    def client(self, server: RedisServer) -> redis.Redis:
        return redis.Redis(port=server.port, password=self.password)


class Cluster:
    """Three nodes that share the slots."""

    def __init__(self, processes: Processes) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        between = [free_port() for _ in range(3)]  # the usual port + 10000 may be taken by a connection
        self.nodes = [RedisServer(processes, *options, "--cluster-port", str(port)) for port in between]
        for node in self.nodes:
            node.start()
        self.clients = [redis.Redis(port=node.port) for node in self.nodes]
        for client, slots in zip(self.clients, ("0 5460", "5461 10922", "10923 16383"), strict=True):
            client.execute_command("CLUSTER ADDSLOTSRANGE", *slots.split())
        for number, client in enumerate(self.clients):
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node, port in zip(self.nodes[1:], between[1:], strict=True):
            self.clients[0].execute_command("CLUSTER MEET", "127.0.0.1", node.port, port)
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        wait_for(lambda: all(self._agrees(client) for client in self.clients))

    def move_slot(self, slot: int, source: int, target: int) -> None:
        """Move a slot without its keys."""
        self.clients[source].flushall()
        name = self.clients[target].execute_command("CLUSTER MYID").decode()
        for client in (self.clients[target], *self.clients):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", name)

    def _agrees(self, client: redis.Redis) -> bool:
        state = client.execute_command("CLUSTER INFO")
        return state["cluster_state"] == "ok" and state["cluster_known_nodes"] == "3"
