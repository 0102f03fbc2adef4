"""Visits from PC and smartphone, the operator's pages, limits by age, and payments made outside."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
REASONS = (
    "sold_out",
    "limit_reached",
    "not_yet",
    "over",
    "stopped",
    "elsewhere",
    "age_unknown",
    "age_limit",
)


def words(name: str, *members: str) -> sa.Enum:
    return sa.Enum(*members, name=name, native_enum=False, create_constraint=True, length=16)


def upgrade() -> None:
    with op.batch_alter_table("customer") as customer:
        customer.add_column(sa.Column("born", sa.Date))
    with op.batch_alter_table("payment") as payment:
        payment.drop_constraint("reason", type_="check")
        payment.create_check_constraint("reason", f"refusal IN {REASONS}")
    op.create_table(
        "start",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("device", words("device", "mobile", "smartphone", "pc"), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False, index=True),
        sa.Column("ended_at", MOMENT),
    )
    op.create_table(
        "operator_login",
        sa.Column("nonce", sa.String(40), primary_key=True),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
    )
    op.create_table(
        "registration",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
    )
    op.create_table(
        "malfunction",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("malfunction", sa.JSON, nullable=False),
        sa.Column("reported_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
    )
    op.create_table(
        "external_payment",
        sa.Column("code", sa.String(40), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id"), nullable=False),
        sa.Column("item_name", sa.String(128), nullable=False),
        sa.Column("yen", sa.Integer, nullable=False),
        sa.Column("status", words("status", "create", "complete", "cancel", "refund"), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT),
        sa.Column("reference", sa.String(64)),
        sa.Column("refusal", words("reason", *REASONS)),
    )


def downgrade() -> None:
    for table in ("external_payment", "malfunction", "registration", "operator_login", "start"):
        op.drop_table(table)
    with op.batch_alter_table("payment") as payment:
        payment.drop_constraint("reason", type_="check")
        payment.create_check_constraint("reason", f"refusal IN {REASONS[:4]}")
    with op.batch_alter_table("customer") as customer:
        customer.drop_column("born")
