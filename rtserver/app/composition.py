"""Composition root: makes the whole application from settings, and owns the order of start and stop.

start: database → writers → Redis → presence → notifications, webhooks, ingest → Socket.IO
stop:  not ready → Socket.IO (clients closed, handlers finish) → the rest in reverse
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from rtserver.app import plugins
from rtserver.app.chat import ChatParts
from rtserver.app.cluster import compose_cluster
from rtserver.app.emit_service import EmitService
from rtserver.app.http_api import ApiParts, allows_cors, compose_api
from rtserver.app.ingest import Ingest
from rtserver.app.limits import limits_of
from rtserver.app.notifications import Inboxes
from rtserver.auth import issuer
from rtserver.auth.authenticator import TokenAuthenticator
from rtserver.auth.verifier import TokenVerifier
from rtserver.config.dev_secret import fingerprint, page_key
from rtserver.config.settings import Settings
from rtserver.engine.http.cors import OriginPolicy
from rtserver.errors import ConfigError
from rtserver.http.cors import Cors
from rtserver.http.errors import error_boundary
from rtserver.http.health import Health
from rtserver.http.metrics import MetricsPage
from rtserver.http.pages.client_bundle import ClientBundle, bundle_paths
from rtserver.http.pages.client_modules import ClientModules
from rtserver.http.pages.dev_tokens import DevTokens
from rtserver.http.pages.pages import Pages
from rtserver.ids import new_instance_id
from rtserver.namespaces.admin.namespace import Admin
from rtserver.protocol.addresses import TrustedPeers
from rtserver.sio.namespace.namespace import Namespace
from rtserver.sio.server import Server
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.tasks import cancelled
from rtserver.telemetry.metrics import Metrics

log = structlog.get_logger("rtserver.app")

WEB = Path(__file__).parents[1] / "web"
VERSION = version("rtserver")
LAG_SECONDS = 0.5
DEV_TOKEN_SECONDS = 30 * 24 * 3600.0
NOT_MIGRATED = "The database is not up to date. Run `rtserver db upgrade` first."

SERVER: web.AppKey[Server] = web.AppKey("rtserver.server", Server)
"""`app[SERVER]` is the Socket.IO server of an application made by `create_app`."""

DRAINING: web.AppKey[asyncio.Event] = web.AppKey("rtserver.draining", asyncio.Event)
"""Set it when the process is about to stop: `/readyz` reports it from then on."""


def create_app(settings: Settings | None = None, *, namespaces: Iterable[type[Namespace]] = ()) -> web.Application:
    """Return the whole server as an aiohttp application; `namespaces` are added to those of the settings.

    Raises `ConfigError` with every fault where the settings cannot be used.
    """
    settings = settings or Settings()
    own = [cls() for cls in namespaces]
    return _Composition(settings, [*own, *plugins.load(settings.namespaces)]).app()


class _Composition:
    def __init__(self, settings: Settings, own: list[Namespace]) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.instance = settings.instance or new_instance_id()
        self.verifier = TokenVerifier(
            settings.jwt_keys(), audience=settings.jwt_audience, issuer=settings.jwt_issuer, leeway=settings.jwt_leeway
        )
        self.draining = asyncio.Event()
        cluster = compose_cluster(settings, self.metrics, self.instance, version=VERSION, draining=self.draining.is_set)
        self.bus, self.adapter, self.presence, self.registry, self.buses = cluster
        self._compose_store()
        self._compose_server(own)

    def _compose_store(self) -> None:
        url = self.settings.database_url.get_secret_value()
        self.database = Database(url, timeout=self.settings.database_timeout)
        self.messages = Messages(self.database)
        self.inboxes = Inboxes(self.settings, self.database, self.presence, self.metrics)
        self.notifier = self.inboxes.notifier

    def _compose_server(self, own: list[Namespace]) -> None:
        settings = self.settings
        trusted = [str(network) for network in settings.trusted_proxies]
        self.origins = OriginPolicy(
            settings.cors_origins, own_host=True, loopback=settings.development, log_rejected=True,
            trusted=TrustedPeers(trusted), strict=settings.production,
        )  # fmt: skip
        self.server = Server(
            authenticator=TokenAuthenticator(
                self.verifier, cookie_name=settings.jwt_cookie, allow_query=settings.jwt_query
            ),
            adapter=self.adapter,
            room_presence=self.presence.rooms,
            metrics=self.metrics,
            instance_id=self.instance,
            event_rate=settings.rate_events,
            trusted_proxies=trusted,
            limits=limits_of(settings),
            identity_leeway=settings.jwt_leeway,
            identity_cookie=settings.jwt_cookie,
            namespaces=[],
            allow_eio3=settings.allow_eio3,
            serializer="msgpack" if settings.parser == "msgpack" else "default",
            transports=list(settings.transports),
            per_message_deflate=settings.per_message_deflate,
            compression_threshold=settings.compression_threshold,
            # No middleware of the application looks at polls.
            keep_connections=True,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_timeout,
            max_http_buffer_size=settings.max_payload,
            max_packets=settings.max_packets,
            outbox_limit=settings.outbox_limit,
            outbox_total=settings.outbox_total,
            cors_allowed_origins=self.origins,
        )
        self.chat = ChatParts(
            settings, self.database, self.messages, self.presence, self.notifier, self.metrics,
            self.server.engine.stalls, registry=self.registry,
        )  # fmt: skip
        self.server.use(self.chat.namespace.expulsions.check)
        if self.bus is not None:
            self.bus.on_change(self.chat.redis_changed)
        self._compose_catching_up()
        chat = self.chat.namespace
        admin = Admin(self.metrics.snapshot, self.registry, self.presence, chat.room_admin, version=VERSION)
        chat.room_admin.watchers.append(admin.record)
        plugins.add_all(self.server.add_namespace, (chat, self.inboxes.namespace, admin, *own))
        self.ingest = Ingest(
            settings, self.database, self.metrics, instance=self.instance,
            notifier=self.notifier, poster=chat.poster, emitter=EmitService(self.server),
        )  # fmt: skip

    def _compose_catching_up(self) -> None:
        """Have what is saved delivered after each fault that may have kept it from a client."""
        for reconciler in (self.chat.reconciler, self.inboxes.reconciler):
            self.presence.on_crash(reconciler.fault_over)
            for bus in self.buses:
                bus.on_change(reconciler.redis_changed)
                bus.on_loss(reconciler.publish_lost)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[error_boundary], client_max_size=self.settings.max_payload)
        app[SERVER] = self.server
        app[DRAINING] = self.draining
        covers = partial(allows_cors, bundle=bundle_paths(self.settings.path))
        Cors(self.origins, covers=covers).install(app)
        for part in self._http_parts():
            app.add_routes(part.routes())
        app.cleanup_ctx.extend([
            self._run_store, self.chat.run, self.inboxes.run_store, self._run_cluster, self.inboxes.run,
            self.ingest.run, self._watch_loop,
        ])  # fmt: skip
        self.server.attach(app, self.settings.path)
        return app

    def _http_parts(self) -> Iterable[Any]:
        settings, development = self.settings, self.settings.mode == "development"
        checks: dict[str, Any] = {"database": self.database.check, **self.chat.checks()}
        if self.bus is not None:
            checks["redis"] = self.bus.ping
        yield Health(instance=self.instance, version=VERSION, checks=checks, draining=self.draining.is_set)
        yield MetricsPage(self.metrics)
        parts = ApiParts(
            server=self.server, database=self.database, messages=self.messages, presence=self.presence,
            ingest=self.ingest, inboxes=self.inboxes, chat=self.chat,
        )  # fmt: skip
        yield compose_api(settings, self.verifier, VERSION, parts)
        yield from self.chat.upload_pages()
        yield ClientBundle(WEB / "vendor" / "socket.io", settings.path)
        yield ClientModules(WEB / "client", WEB / "client_types")
        yield Pages(WEB, development=development, socketio_path=settings.path)
        if development and can_sign(settings):
            secret = settings.signing_secret()
            issue = partial(dev_token, settings)
            # A secret that a person chose might be guessed from its fingerprint.
            shown = "" if settings.configured_keys else fingerprint(secret)
            yield DevTokens(issue, page_key(secret), shown)

    # Start and stop.

    async def _run_store(self, _: web.Application) -> AsyncIterator[None]:
        await self.database.connect()
        await _migrate(self.database, automatic=self.settings.mode == "development")
        await self.messages.start()
        yield
        await self.messages.stop()
        await self.database.close()

    async def _run_cluster(self, _: web.Application) -> AsyncIterator[None]:
        if self.bus is not None:
            await self.bus.start()
        await self.presence.start()
        yield
        await self.presence.stop()
        if self.bus is not None:
            await self.bus.stop()

    async def _watch_loop(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(_measure_lag(self.metrics))
        yield
        await cancelled(task)


def own_namespaces(server: Server) -> list[str]:
    """Return `/path (module:Class)` of each namespace that is the user's own, in the order of the settings."""
    known = [(text, type(namespace)) for text, namespace in server.namespaces_by_path.items()]
    return [
        f"{text} ({cls.__module__}:{cls.__qualname__})"
        for text, cls in known
        if cls.__module__.partition(".")[0] != __name__.partition(".")[0]
    ]


def can_sign(settings: Settings) -> bool:
    """Whether this server can make tokens; with a public key alone it can only check them."""
    return bool(settings.jwt_secret) or not settings.configured_keys


def dev_token(settings: Settings, user: str, name: str, roles: Sequence[str] = ()) -> str:
    """Return a token for development mode; it is valid for a month."""
    return issuer.issue(
        settings.signing_secret(), sub=user, name=name, roles=roles, ttl=DEV_TOKEN_SECONDS,
        audience=settings.jwt_audience, issuer=settings.jwt_issuer, algorithm=settings.signing_algorithm,
    )  # fmt: skip


async def _migrate(database: Database, *, automatic: bool) -> None:
    if not await database.needs_migration():
        return
    if not automatic:
        raise ConfigError([NOT_MIGRATED])
    await database.migrate()


async def _measure_lag(metrics: Metrics) -> None:
    """Measure how late the event loop runs its timers."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_SECONDS
        await asyncio.sleep(LAG_SECONDS)
        metrics.loop_lag = max(0.0, loop.time() - due)
