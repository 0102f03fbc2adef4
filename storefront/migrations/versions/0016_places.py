"""What is held changes in an order that a game can follow, and the game uses some of it."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
additive = True

MOMENT = sa.DateTime(timezone=True)
NEW, PLACED = sa.text("place IS NULL"), sa.text("place IS NOT NULL")
# What was entered on a taking back names its sale; what a plan brought is named in the key itself.
OF_ENTRIES = """
UPDATE "grant" SET "of" = (
  SELECT max(entry."of") FROM entry
  WHERE entry.kind IN ('refund', 'void', 'test') AND entry.key = {key}
) WHERE kind = '{kind}'
"""
OF_PARCELS = """
UPDATE "grant" SET "of" = substr(key, 8) WHERE kind = 'taken_back' AND key LIKE 'undone:%'
"""


def upgrade() -> None:
    op.add_column("grant", sa.Column("of", sa.String(80), nullable=True))
    op.add_column("grant", sa.Column("place", sa.Integer, nullable=True))
    op.execute(OF_ENTRIES.format(kind="taken_back", key='"grant".key'))
    op.execute(OF_ENTRIES.format(kind="recounted", key='substr("grant".key, 1, length("grant".key) - 5)'))
    op.execute(OF_PARCELS)
    op.create_index(
        "ix_grant_place", "grant", ["place"], unique=True, sqlite_where=PLACED, postgresql_where=PLACED
    )
    op.create_index("ix_grant_new", "grant", ["id"], sqlite_where=NEW, postgresql_where=NEW)
    placing = op.create_table(
        "placing",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.bulk_insert(placing, [{"id": 1, "last": 0}])
    op.create_table(
        "game_use",
        sa.Column("key", sa.String(80), sa.ForeignKey("grant.key"), primary_key=True),
        sa.Column("left", sa.Integer, nullable=False),
    )
    op.create_table(
        "game_poll",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("polled_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    for table in ("game_poll", "game_use", "placing"):
        op.drop_table(table)
    for index in ("ix_grant_new", "ix_grant_place"):
        op.drop_index(index, "grant")
    with op.batch_alter_table("grant") as grant:
        grant.drop_column("place")
        grant.drop_column("of")
