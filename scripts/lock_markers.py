"""Writer of requirements.lock: `pip freeze` (stdin) to stdout, with the markers of pyproject.toml."""

import re
import sys
import tomllib
from pathlib import Path

HEADER = """\
# The exact versions that rtserver is built and tested with, the dev extra included. `make lock` writes this file.
# Use: pip install --constraint requirements.lock rtserver
"""


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def markers() -> dict[str, str]:
    """The environment marker of each direct dependency that has one."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    split = [requirement.partition(";") for requirement in requirements]
    return {normalized(re.split(r"[\[<>=!~ ]", name)[0]): marker.strip() for name, _, marker in split if marker}


def main() -> None:
    known = markers()
    pins = sorted(line.strip() for line in sys.stdin if "==" in line and not line.startswith("#"))
    lines = []
    for pin in sorted(pins, key=str.lower):
        marker = known.get(normalized(pin.partition("==")[0]))
        lines.append(f"{pin}; {marker}" if marker else pin)
    sys.stdout.write(HEADER + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
