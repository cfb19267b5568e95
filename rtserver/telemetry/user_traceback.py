"""Traceback of a user's own code, cut down to the one line that raised. No state.

1. Of the frames, the deepest in neither rtserver, the standard library nor an installed package counts: the line that
   the user can change. A plugin that is an installed package has no such frame, so its own deepest frame counts.
2. A syntax error has no frame; it names its place itself.
3. The text is redacted and escaped like a line of the log: messages of exceptions may contain a password.
"""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path

from rtserver.telemetry.log_config import escape
from rtserver.telemetry.redaction import redact_text

_LONGEST = 300
_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_PATHS = sysconfig.get_paths()
_INSTALLED = tuple(_PATHS[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def explain(error: BaseException, module: str = "") -> str:
    """Return `KeyError: 'DB'.` and, on a line of its own, the place; `module` is the plugin that was loaded."""
    text = str(error.msg if isinstance(error, SyntaxError) else error)
    sentence = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return _clean(sentence).rstrip(".") + "." + _place(error, module.partition(".")[0])


def _place(error: BaseException, package: str) -> str:
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return _line(error.filename, error.lineno, error.text)
    frames = [
        (summary, frame.f_globals.get("__name__", ""))
        for summary, (frame, _) in zip(
            traceback.extract_tb(error.__traceback__), traceback.walk_tb(error.__traceback__), strict=True
        )
    ]
    own = [summary for summary, _ in frames if not _is_foreign(summary.filename)]
    named = [summary for summary, name in frames if package and name.partition(".")[0] == package]
    for found in (own, named):
        if found:
            return _line(found[-1].filename, found[-1].lineno or 0, found[-1].line)
    return ""


def _is_foreign(filename: str) -> bool:
    return filename.startswith(("<", _PACKAGE, *_INSTALLED))


def _line(filename: str, number: int, code: str | None) -> str:
    text = f": {_clean(code)}" if code and code.strip() else ""
    return f'\n    File "{escape(filename)}", line {number}{text}'


def _clean(text: str) -> str:
    one_line = " ".join(redact_text(text).split())
    return escape(one_line if len(one_line) <= _LONGEST else one_line[:_LONGEST] + "…")
