"""Visits are the shop's, whatever door opened them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
VISIT = "key, customer_id, device, opened_at, ended_at"


def upgrade() -> None:
    _move_visits()


def downgrade() -> None:
    _move_visits_back()


def _move_visits() -> None:
    _create_visits("visit")
    op.execute(f"INSERT INTO visit ({VISIT}) SELECT {VISIT} FROM start")  # noqa: S608  # our own words
    op.drop_table("start")
    op.create_table(
        "start",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("opened_at", MOMENT, nullable=False, index=True),
    )
    op.execute("INSERT INTO start (key, opened_at) SELECT key, opened_at FROM visit")


def _move_visits_back() -> None:
    op.drop_table("start")
    _create_visits("start")
    own = "customer_id IN (SELECT id FROM customer WHERE channel = 'mixi')"
    op.execute(f"INSERT INTO start ({VISIT}) SELECT {VISIT} FROM visit WHERE {own}")  # noqa: S608  # our own words
    op.drop_table("visit")


def _create_visits(table: str) -> None:
    devices = ("mobile", "smartphone", "pc")
    device = sa.Enum(*devices, name="device", native_enum=False, create_constraint=True, length=16)
    op.create_table(
        table,
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("device", device, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False, index=True),
        sa.Column("ended_at", MOMENT),
    )
