"""Copies the browser builds of socket.io-client out of node_modules into the package, with their licences.

`make setup` runs it, and so does the build of a wheel or sdist (scripts/build_hook.py).
"""

import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "rtserver" / "web" / "vendor"
BUILDS = ("socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js")
# What those builds contain: the packages that their source maps name.
PACKED = (
    "socket.io-client",
    "engine.io-client",
    "engine.io-parser",
    "socket.io-parser",
    "@socket.io/component-emitter",
    "debug",
    "ms",
    "socket.io-msgpack-parser",
    "component-emitter",
    "notepack.io",
)


def main() -> None:
    client = VENDOR / "socket.io"
    shutil.rmtree(VENDOR, ignore_errors=True)
    client.mkdir(parents=True)
    for build in BUILDS:
        for name in (build, f"{build}.map"):
            shutil.copyfile(MODULES / "socket.io-client" / "dist" / name, client / name)
    shutil.copyfile(licence_of("socket.io-client"), client / "LICENSE")
    (VENDOR / "THIRD_PARTY_LICENSES.txt").write_text("\n".join(map(notice, PACKED)), encoding="utf-8")


def missing(root: Path = ROOT) -> list[str]:
    """The files of the client that the package must have and does not have."""
    wanted = [f"socket.io/{name}" for build in BUILDS for name in (build, f"{build}.map")]
    vendor = root / "rtserver" / "web" / "vendor"
    return [
        name for name in (*wanted, "socket.io/LICENSE", "THIRD_PARTY_LICENSES.txt") if not (vendor / name).is_file()
    ]


def notice(package: str) -> str:
    """The package, its version and its licence, in full."""
    about = json.loads((MODULES / package / "package.json").read_text(encoding="utf-8"))
    text = licence_of(package).read_text(encoding="utf-8").strip()
    title = f"{package} {about['version']} ({about['license']})"
    return f"{title}\n{'=' * len(title)}\n\n{text}\n"


def licence_of(package: str) -> Path:
    """The package's licence file, which has many spellings."""
    found = [path for path in (MODULES / package).iterdir() if path.stem.lower() in ("license", "licence")]
    if not found:
        raise SystemExit(f"{package} ships no licence file")
    return found[0]


if __name__ == "__main__":
    main()
