"""What each day came to by the platforms' moments is kept, too; an index knows both moments of an entry."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
additive = True

KINDS = ("sale", "test", "refund", "void", "given", "taken", "struck")


def upgrade() -> None:
    op.create_table(
        "platform_day_sum",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("channel", sa.String(16), primary_key=True),
        sa.Column("unit", sa.String(8), primary_key=True),
        sa.Column("kind", _kind(), primary_key=True),
        sa.Column("item_id", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(16), primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_entry_moments", "entry", ["entered_at", "platform_at"])
    op.create_index("ix_entry_platforms_moments", "entry", ["platform_at", "entered_at"])
    op.drop_index("ix_entry_entered_at", "entry")
    op.drop_index("ix_entry_platform_at", "entry")


def downgrade() -> None:
    op.create_index("ix_entry_platform_at", "entry", ["platform_at"])
    op.create_index("ix_entry_entered_at", "entry", ["entered_at"])
    op.drop_index("ix_entry_platforms_moments", "entry")
    op.drop_index("ix_entry_moments", "entry")
    op.drop_table("platform_day_sum")


def _kind() -> sa.Enum:
    return sa.Enum(*KINDS, name="kind", native_enum=False, create_constraint=True, length=16)
