"""`DELETE /api/users/{user}`: forget a person."""

from __future__ import annotations

from typing import Protocol

from rtserver.http.api.credentials import Caller
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import OkResponse, UserPath


class ErasureOutcome(Protocol):
    @property
    def done(self) -> bool: ...

    @property
    def counts(self) -> dict[str, int]: ...


class UserEraser(Protocol):
    """Removes what is kept of a person, and tells whom it concerns. `by` is for the audit."""

    async def erase(self, user: str, by: str) -> ErasureOutcome: ...


class ForgottenAnswer(OkResponse, kw_only=True):
    """`done` is false when there is more: ask again. `counts`: what was removed or made anonymous by this call."""

    done: bool
    counts: dict[str, int]


class UsersApi:
    def __init__(self, forgetting: UserEraser) -> None:
        self._forgetting = forgetting

    @operation("DELETE", "/api/users/{user}", summary="Forget a person", tag="users")
    async def forget_user(self, path: UserPath, caller: Caller) -> ForgottenAnswer:
        """Closes the person's connections; messages become tombstones of nobody, everything else goes.

        Takes about 20 seconds at the most; ask again until `done`. Asking once more later is harmless.
        """
        outcome = await self._forgetting.erase(path.user, caller.name)
        return ForgottenAnswer(done=outcome.done, counts=outcome.counts)
