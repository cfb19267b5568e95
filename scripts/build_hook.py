"""Build hook of hatchling: every wheel and sdist has the browser client, or the build fails with a sentence.

1. A client that is there already is packed as it is: in a checkout after `make setup`, and in an unpacked sdist.
2. Else it is fetched as `make setup` does it: npm, at the versions of package-lock.json, then scripts/vendor_client.py.
3. An editable install is no package that anybody gets: there `make setup` fetches the client afterwards.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NPM = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


class BrowserClientHook(BuildHookInterface):
    """Runs before each build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root / "scripts"))
        import vendor_client

        if vendor_client.missing(root):
            self.app.display_info("Fetching the Socket.IO browser client, which the package contains")
            _fetch(root)
            vendor_client.main()
        if absent := vendor_client.missing(root):
            _fail(f"after it was fetched, {', '.join(absent)} is not there")


def _fetch(root: Path) -> None:
    if (root / "node_modules" / "socket.io-client" / "dist").is_dir():
        return
    npm = shutil.which("npm")
    if npm is None:
        _fail("npm is not installed")
    done = subprocess.run([npm, *_NPM], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        _fail(f"npm could not fetch it: {done.stderr.strip()[-500:]}")


def _fail(reason: str) -> None:
    sys.exit(
        f"rtserver cannot be packed without the Socket.IO browser client, and {reason}. Install Node.js with npm, or "
        "run `make setup` in the checkout first; an sdist or a wheel of rtserver has the client and needs no npm."
    )
