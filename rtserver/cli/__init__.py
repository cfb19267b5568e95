"""The command `rtserver`.

Loading the server creates a million objects that stay. Without the garbage collector, which would visit them a dozen
times, the start takes a tenth less CPU time; `rtserver.process.serve.calm_collector` turns it on again.

Of structlog's optional parts rich is left out. It renders tracebacks, which rtserver does itself, and is a tenth of the
start.
"""

import gc

from rtserver.lazy_package import without

gc.disable()

with without("rich"):
    import structlog  # noqa: F401  # loaded here, where rich is not found

from rtserver.cli.main import main  # noqa: E402  # after the collector is off

__all__ = ["main"]
