"""Namespace whose module ends the process while a file `broken` exists; each attempt adds a line to `tries`."""

from pathlib import Path

from rtserver import Namespace

if Path("broken").exists():
    with Path("tries").open("a") as tries:
        tries.write("once more\n")
    raise SystemExit(3)


class Fragile(Namespace, path="/fragile"):
    auth = "none"
