"""What was sold of a stock and what is below zero is kept; a grant says whether it was a test."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# What the keys of a test payment's grants begin with.
TESTS = """
UPDATE "grant" SET is_test = true WHERE key IN (
    SELECT 'mixi:' || point_code FROM payment WHERE is_test
    UNION ALL SELECT 'void:' || point_code FROM payment WHERE is_test
    UNION ALL SELECT 'pay_back:' || point_code FROM payment WHERE is_test
)
"""
TALLIES = """
INSERT INTO tally (item_id, sold, tested)
SELECT
    item.id,
    coalesce(sum(CASE WHEN "grant".is_test THEN 0 ELSE "grant".quantity END), 0),
    coalesce(sum(CASE WHEN "grant".is_test THEN "grant".quantity ELSE 0 END), 0)
FROM item
LEFT JOIN "grant" ON "grant".item_id = item.id AND "grant".key NOT LIKE 'use:%'
WHERE item.stock IS NOT NULL
GROUP BY item.id
"""
OVERDRAWN = """
INSERT INTO overdrawn (customer_id, item_id)
SELECT customer_id, item_id FROM "grant" GROUP BY customer_id, item_id HAVING sum(quantity) < 0
"""


def upgrade() -> None:
    with op.batch_alter_table("grant") as grant:
        grant.add_column(sa.Column("is_test", sa.Boolean, nullable=False, server_default=sa.false()))
        grant.drop_index("ix_grant_customer_id")
        grant.drop_index("ix_grant_item_id")
    op.execute(TESTS)
    with op.batch_alter_table("grant") as grant:
        grant.alter_column("is_test", server_default=None)
        grant.create_index("ix_grant_holding", ["customer_id", "item_id", "quantity"])
    op.create_table(
        "tally",
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id"), primary_key=True),
        sa.Column("sold", sa.Integer, nullable=False),
        sa.Column("tested", sa.Integer, nullable=False),
    )
    op.create_table(
        "overdrawn",
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), primary_key=True),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id"), primary_key=True),
    )
    op.execute(TALLIES)
    op.execute(OVERDRAWN)


def downgrade() -> None:
    op.drop_table("overdrawn")
    op.drop_table("tally")
    with op.batch_alter_table("grant") as grant:
        grant.drop_index("ix_grant_holding")
        grant.drop_column("is_test")
        grant.create_index("ix_grant_customer_id", ["customer_id"])
        grant.create_index("ix_grant_item_id", ["item_id"])
