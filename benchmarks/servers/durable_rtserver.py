"""rtserver as a user starts it, on one database: the product with its own /chat."""

from __future__ import annotations

import os
import sys
import tempfile

from rtserver.config.settings import Settings
from rtserver.process.serve import run_standalone

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        settings = Settings(
            port=int(sys.argv[1]),
            database_url=os.environ["BENCH_DATABASE"],
            jwt_secret=(os.environ["BENCH_SECRET"],),
            api_key=os.environ["BENCH_KEY"],
            rate_api="1000000/s",
            rate_events="1000000/s",
            log_level="warning",
        )
        run_standalone(settings)
