"""What the operator puts right by hand has kinds of its own; what they look for is found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ACTS = ("given", "taken", "struck")
GRANTS = ("sold", "taken_back", "used", "recounted")
ENTRIES = ("sale", "test", "refund", "void")


def upgrade() -> None:
    _allow("grant", (*GRANTS, "given", "taken"))
    _allow("entry", (*ENTRIES, *ACTS))
    op.create_table(
        "correction",
        sa.Column("key", sa.String(80), primary_key=True),
        sa.Column(
            "act",
            sa.Enum(*ACTS, name="act", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id")),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("amount", sa.Integer, nullable=False),
        sa.Column("cause", sa.String(80), nullable=False),
        sa.Column("code", sa.String(80)),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_intent_reference", "intent", ["reference"])
    op.create_index("ix_grant_item", "grant", ["item_id", "id"])
    op.create_index("ix_entry_entered_at", "entry", ["entered_at"])
    op.create_index("ix_customer_external_id", "customer", ["external_id"])
    op.add_column("operator_login", sa.Column("name", sa.String(64)))


def downgrade() -> None:
    """What was put right stays in the sums, under kinds that the version before knows."""
    with op.batch_alter_table("operator_login") as login:
        login.drop_column("name")
    op.drop_index("ix_customer_external_id", "customer")
    op.drop_index("ix_entry_entered_at", "entry")
    op.drop_index("ix_grant_item", "grant")
    op.drop_index("ix_intent_reference", "intent")
    op.drop_table("correction")
    op.execute("""UPDATE "grant" SET kind = 'sold' WHERE kind = 'given'""")
    op.execute("""UPDATE "grant" SET kind = 'taken_back' WHERE kind = 'taken'""")
    op.execute("UPDATE entry SET kind = 'sale' WHERE kind = 'given'")
    op.execute("UPDATE entry SET kind = 'void' WHERE kind IN ('taken', 'struck')")
    _allow("entry", ENTRIES)
    _allow("grant", GRANTS)


def _allow(table: str, kinds: tuple[str, ...]) -> None:
    with op.batch_alter_table(table) as altered:
        altered.drop_constraint("kind", type_="check")
        altered.create_check_constraint("kind", f"kind IN {kinds}")
