"""What a person has seen to at Color Me, and need not be told of any more."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
additive = True


def upgrade() -> None:
    op.create_table(
        "colorme_seen",
        sa.Column("code", sa.String(64), primary_key=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("colorme_seen")
