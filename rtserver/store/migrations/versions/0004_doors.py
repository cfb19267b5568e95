"""Scheduled commands, and the idempotency keys of backends."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "scheduled",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("held_until", sa.BigInteger),
        sa.Column("failed_at", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_scheduled"),
    )
    _index_where("ix_scheduled_waiting", ["due_at", "id"], "failed_at IS NULL")
    _index_where("ix_scheduled_failed", ["failed_at"], "failed_at IS NOT NULL")
    _index_where("ix_scheduled_owner", ["owner"], "owner IS NOT NULL")
    _index_where("ix_scheduled_key", ["kind", "key"], "key IS NOT NULL")
    op.create_table(
        "requests",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name="pk_requests"),
    )
    op.create_index("ix_requests_created_at", "requests", ["created_at"])


def _index_where(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "scheduled", columns, sqlite_where=where, postgresql_where=where)
