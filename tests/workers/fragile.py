"""A namespace whose module ends the process at once, as long as there is a file `broken`; each try leaves a line."""

from pathlib import Path

from rtserver import Namespace

if Path("broken").exists():
    with Path("tries").open("a") as tries:
        tries.write("once more\n")
    raise SystemExit(3)


class Fragile(Namespace, path="/fragile"):
    auth = "none"
