"""Tokens that are no longer good before they expire. This release revokes none; a store of them takes this place."""

from __future__ import annotations

from typing import Protocol

from rtserver.identity import Identity


class Revocations(Protocol):
    """Asked for every connection that shows a token which is good otherwise."""

    async def revoked(self, identity: Identity) -> bool: ...


class NoRevocations:
    """Every token is good until it expires."""

    async def revoked(self, identity: Identity) -> bool:
        return False
