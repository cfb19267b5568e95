"""Identity of a user: the result of checking a token, independent of how it was checked."""

from __future__ import annotations

from dataclasses import dataclass, field

API_KEY = "api key"
"""The name of the holder of an API key in the audit and in logs. No user has it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A checked user. `user` is the user id. Times are in seconds since the epoch; None where the token has none."""

    user: str
    name: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)
    token_id: str | None = None
    issued_at: float | None = None
    expires_at: float | None = None

    @property
    def room(self) -> str:
        """The room of all connected devices of this user, in every namespace."""
        return user_room(self.user)

    @property
    def display_name(self) -> str:
        """The name, or the user id where there is none."""
        return self.name or self.user

    def has_any_role(self, roles: frozenset[str]) -> bool:
        """Whether the user has one of `roles`; True when `roles` is empty."""
        return not roles or not roles.isdisjoint(self.roles)


def user_room(user: str) -> str:
    """The name of a user's private room."""
    return f"user:{user}"
