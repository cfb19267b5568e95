"""Command-line flags of the settings: one for each, in the groups of docs/settings.md. Must not know the commands.

Secrets have no flag: other users of the machine see the arguments of a process.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Collection
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from rtserver.config.reference import GROUPS, default_of, descriptions
from rtserver.config.settings import Settings
from rtserver.config.sources import variable

R = TypeVar("R")
SECRET = frozenset({"jwt_secret", "api_key", "cluster_secret", "webhook_secret"})
ALL = frozenset(Settings.model_fields) - SECRET

_HELP = {"--help", "-h"}
"""Without one of these among the arguments no help is shown, and none is read from the source."""
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def with_flags(command: Callable[..., R], settings: Collection[str] = ALL) -> Callable[..., R]:
    """Turn `command(flags)` into a command with a flag for each of the settings; it gets only those that were given.

    Keyword-only parameters of the command are its own options.
    """
    signature = inspect.signature(command, eval_str=True)
    own = {name: each for name, each in signature.parameters.items() if each.kind is inspect.Parameter.KEYWORD_ONLY}

    @wraps(command)
    def run(**values: Any) -> R:
        flags = {name: value for name, value in values.items() if value is not None and name not in own}
        return command(flags, **{name: values[name] for name in own})

    parameters = list(own.values())
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(name, group))
        for group, names in GROUPS.items()
        for name in names
        if name in settings
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__
    return run


def _option(name: str, group: str) -> Any:
    field = Settings.model_fields[name]
    flag = "--" + name.replace("_", "-")
    help_text = _help(name) if _HELP & set(sys.argv) else None
    if field.annotation is bool:
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=help_text, rich_help_panel=group)]
    metavar = name.rsplit("_", 1)[-1].upper()
    return Annotated[str | None, typer.Option(flag, help=help_text, rich_help_panel=group, metavar=metavar)]


def _help(name: str) -> str:
    text = _LINK.sub(r"docs/\1", descriptions()[name].replace("`", ""))
    text = text.replace("[", "\\[")  # Typer takes it for markup
    return f"{text} [dim]\\[{variable(name)}; default: {default_of(name).replace('`', '')}][/dim]"
