"""Settlement: what the platform confirmed and what it did not charge. Limits of what is sold."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
REASONS = sa.Enum(
    "sold_out",
    "limit_reached",
    "not_yet",
    "over",
    name="reason",
    native_enum=False,
    create_constraint=True,
    length=16,
)


def upgrade() -> None:
    with op.batch_alter_table("item") as item:
        item.add_column(sa.Column("stock", sa.Integer))
        item.add_column(sa.Column("per_customer", sa.Integer))
        item.add_column(sa.Column("on_sale_from", MOMENT))
        item.add_column(sa.Column("on_sale_until", MOMENT))
    with op.batch_alter_table("customer") as customer:
        customer.add_column(sa.Column("removed_at", MOMENT))
        customer.add_column(sa.Column("event_at", MOMENT))
    with op.batch_alter_table("payment") as payment:
        payment.add_column(sa.Column("asked_at", MOMENT))
        payment.add_column(sa.Column("confirmed_at", MOMENT))
        payment.add_column(sa.Column("removed_at", MOMENT))
        payment.add_column(sa.Column("refusal", REASONS))
        # Only the unsettled are looked for, and they are few.
        payment.create_index(
            "ix_payment_unconfirmed",
            ["customer_id"],
            sqlite_where=sa.text("status = 'complete' AND confirmed_at IS NULL"),
            postgresql_where=sa.text("status = 'complete' AND confirmed_at IS NULL"),
        )
    with op.batch_alter_table("entry") as entry:
        entry.drop_constraint("kind", type_="check")
        entry.create_check_constraint("kind", "kind IN ('sale', 'test', 'refund', 'void')")
    with op.batch_alter_table("grant") as grant:
        grant.create_index("ix_grant_item_id", ["item_id"])
    with op.batch_alter_table("intent") as intent:
        intent.create_index("ix_intent_started_at", ["customer_id", "started_at"])


def downgrade() -> None:
    with op.batch_alter_table("intent") as intent:
        intent.drop_index("ix_intent_started_at")
    with op.batch_alter_table("grant") as grant:
        grant.drop_index("ix_grant_item_id")
    with op.batch_alter_table("entry") as entry:
        entry.drop_constraint("kind", type_="check")
        entry.create_check_constraint("kind", "kind IN ('sale', 'test', 'refund')")
    with op.batch_alter_table("payment") as payment:
        payment.drop_index("ix_payment_unconfirmed")
        payment.drop_constraint("reason", type_="check")
        for column in ("asked_at", "confirmed_at", "removed_at", "refusal"):
            payment.drop_column(column)
    with op.batch_alter_table("customer") as customer:
        customer.drop_column("removed_at")
        customer.drop_column("event_at")
    with op.batch_alter_table("item") as item:
        for column in ("stock", "per_customer", "on_sale_from", "on_sale_until"):
            item.drop_column(column)
