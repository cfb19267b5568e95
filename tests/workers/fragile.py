"""Namespace whose module ends the process while a file `broken` exists; each attempt adds a line to `tries`."""

import os
from pathlib import Path

from rtserver import Namespace

if Path("broken").exists():
    with Path("tries").open("a") as tries:
        tries.write("once more\n")
    os._exit(3)  # `sys.exit` of a plugin is a fault of the settings, with its own exit code


class Fragile(Namespace, path="/fragile"):
    auth = "none"
