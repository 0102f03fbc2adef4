"""What each day that is over came to is kept, so that nobody reads all its entries again."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None
additive = True

KINDS = ("sale", "test", "refund", "void", "given", "taken", "struck")


def upgrade() -> None:
    op.create_table(
        "day_sum",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("channel", sa.String(16), primary_key=True),
        sa.Column("unit", sa.String(8), primary_key=True),
        sa.Column("kind", _kind(), primary_key=True),
        sa.Column("item_id", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(16), primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("day_sum")


def _kind() -> sa.Enum:
    return sa.Enum(*KINDS, name="kind", native_enum=False, create_constraint=True, length=16)
