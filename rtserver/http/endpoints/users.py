"""`DELETE /api/users/{user}`: erase a user."""

from __future__ import annotations

from typing import Protocol

from rtserver.http.api.credentials import Caller
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import OkResponse, UserPath


class ErasureOutcome(Protocol):
    """`done`: whether nothing is left; `counts`: rows by kind."""

    @property
    def done(self) -> bool: ...

    @property
    def counts(self) -> dict[str, int]: ...


class UserEraser(Protocol):
    """Erases users. `by` is for the audit."""

    async def erase(self, user: str, by: str) -> ErasureOutcome:
        """Remove or anonymise some of the user's data, and announce it to the clients concerned."""
        ...


class ForgottenAnswer(OkResponse, kw_only=True):
    """`done` is false when there is more: repeat the request. `counts`: rows that this one removed or anonymised."""

    done: bool
    counts: dict[str, int]


class UsersApi:
    """The erasure of users."""

    def __init__(self, eraser: UserEraser) -> None:
        self._eraser = eraser

    @operation("DELETE", "/api/users/{user}", summary="Erase a user", tag="users")
    async def forget_user(self, path: UserPath, caller: Caller) -> ForgottenAnswer:
        """Closes the user's connections, replaces messages by anonymous tombstones and removes everything else.

        A request takes about 20 seconds at most; repeat it until `done`. Repeating it later does no harm.
        """
        outcome = await self._eraser.erase(path.user, caller.name)
        return ForgottenAnswer(done=outcome.done, counts=outcome.counts)
