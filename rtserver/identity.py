"""Who a connection belongs to: the outcome of checking a token, free of how it was checked."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """A known user. Times are seconds since the epoch."""

    user: str
    name: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)
    token_id: str | None = None
    issued_at: float | None = None
    expires_at: float | None = None

    @property
    def room(self) -> str:
        """The room that every connected device of this user is in, in every namespace."""
        return user_room(self.user)

    @property
    def display_name(self) -> str:
        return self.name or self.user

    def has_any_role(self, roles: frozenset[str]) -> bool:
        """Whether one of `roles` is held; no roles asked for means everybody."""
        return not roles or not roles.isdisjoint(self.roles)


def user_room(user: str) -> str:
    return f"user:{user}"
