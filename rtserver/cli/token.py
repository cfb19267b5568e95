"""`rtserver token`: prints a signed token. Must not know other commands.

A token is worth something only if a server has the same secret, so the command never makes one:

1. RTSERVER_JWT_SECRET signs without a word, as it was given on purpose.
2. Else the secret that a development server keeps in its data folder signs, and its place is reported.
3. Else the command fails, and says where it looked.
4. If a development server answers at the address of the settings and has another secret, the command fails too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from rtserver.auth.claims import identity_of
from rtserver.auth.issuer import issue
from rtserver.cli.dev_server import accepts_secret
from rtserver.cli.flags import with_flags
from rtserver.config.dev_secret import FILE_NAME, existing_dev_secret
from rtserver.config.settings import Settings
from rtserver.errors import ConfigError
from rtserver.process.startup import USAGE, load_settings, stop

_TTL = re.compile(r"([1-9][0-9]{0,8})([smhdw]?)")
_TTL_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SETTINGS = frozenset({"data_dir", "host", "port"})
_HELP = (
    "Run this in the folder where the server was started, name its data folder with --data-dir (the server prints it "
    "when it starts), or set RTSERVER_JWT_SECRET as for the server."
)


def _token(
    flags: Mapping[str, Any],
    *,
    sub: Annotated[str, typer.Option(help="The user's id.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="The name that others see.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="A role, such as admin; may be given several times.")] = None,
    ttl: Annotated[str, typer.Option(help="How long it is valid: 90s, 15m, 1h, 7d, 2w.")] = "1h",
) -> None:
    """Print a token, signed with the first secret of RTSERVER_JWT_SECRET.

    In development mode the server makes a secret where there is none, and keeps it in RTSERVER_DATA_DIR: run the
    command in the folder where the server was started, or name that folder.

    Standard output has nothing else: [bold]TOKEN=$(rtserver token --sub alice --role admin)[/bold].
    """
    seconds = _seconds(ttl)
    _check_claims(sub, name, role or [], seconds)
    settings = load_settings(flags, exit_code=USAGE)
    typer.echo(
        issue(
            _secret(settings),
            sub=sub,
            name=name,
            roles=role or [],
            ttl=seconds,
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            algorithm=settings.signing_algorithm,
        )
    )


token = with_flags(_token, _SETTINGS)


def _seconds(ttl: str) -> int:
    match = _TTL.fullmatch(ttl.strip().lower())
    if match is None:
        stop(f"--ttl must be a number and a unit, such as 90s, 15m, 1h, 7d or 2w, not {ttl!r}.", exit_code=USAGE)
    return int(match[1]) * _TTL_SECONDS[match[2]]


def _check_claims(sub: str, name: str | None, roles: list[str], seconds: int) -> None:
    """End the command where every server would reject the token, or ignore a part of it."""

    def ignored(claim: str, reason: str) -> None:
        raise ValueError(f"of {claim}, {reason}" if claim == "exp" else reason)

    try:
        identity_of({"sub": sub, "name": name, "roles": roles, "exp": time.time() + seconds}, ignored)
    except ValueError as error:
        stop(f"The server would not take this token as it is: {error}.", exit_code=USAGE)


def _secret(settings: Settings) -> str:
    """Return the secret that the server has, or end the command."""
    file = (settings.data_dir / FILE_NAME).absolute()
    try:
        if settings.production or settings.configured_keys:
            return settings.signing_secret()
        secret = existing_dev_secret(settings.data_dir)
    except ConfigError as error:
        stop(*error.faults, exit_code=USAGE)
    if secret is None:
        where = f"RTSERVER_JWT_SECRET is not set, and there is no {file}"
        stop(f"There is no secret to sign with: {where}.", _HELP, exit_code=USAGE)
    if accepts_secret(settings, secret) is False:
        where = f"{settings.host}:{settings.port}"
        reason = f"The server at {where} would reject this token: it has another secret than {file}."
        stop(reason, _HELP, "For a server at another port, give --port.", exit_code=USAGE)
    typer.echo(f"Signed with the secret in {file}.", err=True)
    return secret
