"""Lua scripts: read once, at import, from the `lua` folder of a package.

Scripts are sent with EVAL, whole each time, so comment lines are removed first. EVALSHA would save bytes, but a
restarted Redis knows no script, and the user of Redis would need the right to load one.
"""

from __future__ import annotations

from importlib.resources import files


def load_script(package: str, *names: str) -> str:
    """Return the concatenation of `lua/NAME.lua` of that package, without comment lines and empty lines."""
    folder = files(package) / "lua"
    text = "".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)
    return "".join(f"{line}\n" for line in text.splitlines() if line.strip() and not line.lstrip().startswith("--"))
