"""Callbacks at an address of each payment's own; questions to mixi with a pause; paces of taps."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
UNKNOWN = sa.text("unknown_at IS NOT NULL")
BEFORE = "sold_out limit_reached not_yet over stopped elsewhere age_unknown age_limit"
REASONS = (*BEFORE.split(), "withdrawn", "expired")
SINCE_REMOVAL = """
UPDATE payment SET removed_at = (SELECT removed_at FROM customer WHERE customer.id = payment.customer_id)
WHERE status = 'complete' AND confirmed_at IS NULL
"""


def _refusals(table: Any, reasons: Sequence[str]) -> None:
    table.drop_constraint("reason", type_="check")
    table.create_check_constraint("reason", f"refusal IN {tuple(reasons)}")


def upgrade() -> None:
    # What was begun before has no word, and so no address at which it could be completed.
    with op.batch_alter_table("payment") as payment:
        payment.add_column(sa.Column("word", sa.String(32)))
        payment.add_column(sa.Column("unknown_at", MOMENT))
        payment.add_column(sa.Column("reason", sa.String(200)))
        payment.create_index(
            "ix_payment_unknown", ["unknown_at"], sqlite_where=UNKNOWN, postgresql_where=UNKNOWN
        )
        payment.drop_column("removed_at")  # the customer's own row says so
        _refusals(payment, REASONS)
    with op.batch_alter_table("external_payment") as payment:
        _refusals(payment, REASONS)
    with op.batch_alter_table("intent") as intent:
        intent.add_column(sa.Column("word", sa.String(32)))
        intent.drop_index("ix_intent_started_at")
    op.create_table(
        "turn",
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), primary_key=True),
        sa.Column("action", sa.String(32), primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True),
        sa.Column("taken_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    for table in ("payment", "external_payment"):
        op.execute(f"UPDATE {table} SET refusal = NULL WHERE refusal IN ('withdrawn', 'expired')")  # noqa: S608  # our own words
    op.drop_table("turn")
    with op.batch_alter_table("intent") as intent:
        intent.create_index("ix_intent_started_at", ["customer_id", "started_at"])
        intent.drop_column("word")
    with op.batch_alter_table("payment") as payment:
        payment.add_column(sa.Column("removed_at", MOMENT))
        payment.drop_index("ix_payment_unknown")
        for column in ("word", "unknown_at", "reason"):
            payment.drop_column(column)
        _refusals(payment, BEFORE.split())
    with op.batch_alter_table("external_payment") as payment:
        _refusals(payment, BEFORE.split())
    op.execute(SINCE_REMOVAL)
