"""The shop and its first counter: items, customers, grants, the book, payments."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
KINDS = sa.Enum("sale", "test", "refund", name="kind", native_enum=False, create_constraint=True, length=16)
STATUSES = sa.Enum(
    "create",
    "complete",
    "cancel",
    "pay_back",
    "void",
    name="status",
    native_enum=False,
    create_constraint=True,
    length=16,
)


def upgrade() -> None:
    op.create_table(
        "item",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("names", sa.JSON, nullable=False),
        sa.Column("descriptions", sa.JSON, nullable=False),
        sa.Column("art", sa.String, nullable=False),
        sa.Column("consumable", sa.Boolean, nullable=False),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
    )
    op.create_table(
        "price",
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id"), primary_key=True),
        sa.Column("channel", sa.String(16), primary_key=True),
        sa.Column("amount", sa.Integer, nullable=False),
        sa.Column("unit", sa.String(8), nullable=False),
    )
    op.create_table(
        "customer",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("external_id", sa.String(64), nullable=False),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.UniqueConstraint("channel", "external_id"),
    )
    op.create_table(
        "grant",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id"), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("key", sa.String(80), nullable=False, unique=True),
        sa.Column("granted_at", MOMENT, nullable=False),
    )
    op.create_table(
        "entry",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("kind", KINDS, nullable=False),
        sa.Column("amount", sa.Integer, nullable=False),
        sa.Column("unit", sa.String(8), nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("entered_at", MOMENT, nullable=False),
        sa.UniqueConstraint("kind", "key"),
    )
    op.create_table(
        "payment",
        sa.Column("point_code", sa.String(40), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("owner_id", sa.String(64), nullable=False),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id"), nullable=False),
        sa.Column("item_name", sa.String(128), nullable=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("status", STATUSES, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT),
        sa.Column("ok_at", MOMENT),
    )
    op.create_table(
        "intent",
        sa.Column("token", sa.String(40), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("failed_at", MOMENT),
        sa.Column("reference", sa.String(16), nullable=False),
        sa.Column("point_code", sa.String(40), sa.ForeignKey("payment.point_code")),
        sa.Column("redirect", sa.String(2048)),
    )


def downgrade() -> None:
    for table in ("intent", "payment", "entry", "grant", "customer", "price", "item"):
        op.drop_table(table)
