"""Worker process: the whole server on a port that it shares. Started by the supervisor, never by hand.

`python -m rtserver.workers.worker <json>` is a contract between versions, see `rtserver.workers.worker_args`.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from rtserver.lazy_package import without

with without("rich"):  # see `rtserver.cli`
    import structlog
import typer

from rtserver.app.composition import SERVER, create_app
from rtserver.errors import ConfigError, Unavailable
from rtserver.http.metrics import MERGE
from rtserver.process.serve import run, serve
from rtserver.process.startup import FAILED, load_settings, stop_start
from rtserver.telemetry import log_config
from rtserver.workers.handoff import HandoffSender
from rtserver.workers.metrics_merge import MetricsMerger
from rtserver.workers.shared_load import SharedLoad
from rtserver.workers.shared_port import SharedPort
from rtserver.workers.worker_args import WorkerArgs


def run_worker(args: WorkerArgs) -> None:
    """Serve until the supervisor asks to stop or is gone. Raises `typer.Exit` when the server cannot start."""
    # The supervisor handles SIGHUP; a terminal sends it to the whole process group.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = load_settings({**args.flags, "instance": args.instance}, exit_code=FAILED)
    log_config.configure(settings.log_level, settings.log_format)
    structlog.contextvars.bind_contextvars(instance=args.instance)
    try:
        app = create_app(settings)
        server, folder = app[SERVER], Path(args.folder)
        load = SharedLoad(folder, args.instance, lambda: len(server.engine.sockets))
        handoff = HandoffSender(folder, args.instance, settings.max_payload, server.metrics.handoff, load)
        server.engine.peer_workers = handoff
        server.engine.share_handshakes(load.crowded)
        app[MERGE] = MetricsMerger(handoff, args.instance).merge_all
        run(serve(app, settings, SharedPort(args, settings.max_payload, handoff, load, server.engine)))
    except (ConfigError, Unavailable) as error:
        stop_start(error)


def main(arguments: list[str]) -> int:
    """Run one worker; return its exit code."""
    try:
        run_worker(WorkerArgs.read(arguments[0]))
    except typer.Exit as end:
        return end.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
