"""The command `rtserver`.

Loading the server creates a million objects that stay. Without the garbage collector, which would visit them a dozen
times, the start takes a tenth less CPU time; `rtserver.process.serve.calm_collector` turns it on again.
"""

import gc

gc.disable()

from rtserver.cli.main import main  # noqa: E402  # after the collector is off

__all__ = ["main"]
