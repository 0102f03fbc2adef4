"""Visits are the shop's; what grants and entries are about stands in columns, not in their keys."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
KINDS = ("sold", "taken_back", "used", "recounted")
WHY = """
UPDATE "grant" SET kind = CASE
    WHEN key LIKE 'use:%' THEN 'used'
    WHEN key LIKE 'test:%' THEN 'recounted'
    WHEN quantity < 0 THEN 'taken_back'
    ELSE 'sold'
END
"""
# A key that begins otherwise is of a counter which only its clone knows: the entry's channel is the one by
# whose name it begins, if anything has a price there, else its customer's, and what it undoes stays unsaid.
WHERE = """
UPDATE entry SET channel = CASE
    WHEN key LIKE 'external:%' OR key LIKE 'refunded:%' OR key LIKE 'chargeback:%' THEN 'external'
    WHEN key LIKE 'mixi:%' OR key LIKE 'void:%' OR key LIKE 'pay_back:%' OR key LIKE 'test:%' THEN 'mixi'
    ELSE COALESCE(
        (SELECT min(price.channel) FROM price WHERE entry.key LIKE price.channel || ':%'),
        (SELECT customer.channel FROM customer WHERE customer.id = entry.customer_id)
    )
END
"""
# How the keys of entries begin that undo a sale, or say what it really was; behind it is the payment's code.
UNDOES = ("void:", "pay_back:", "test:", "refunded:", "chargeback:")
VISIT = "key, customer_id, device, opened_at, ended_at"


def upgrade() -> None:
    _move_visits()
    with op.batch_alter_table("grant") as grant:
        grant.add_column(sa.Column("kind", sa.String(16)))
    with op.batch_alter_table("entry") as entry:
        entry.add_column(sa.Column("channel", sa.String(16)))
        entry.add_column(sa.Column("of", sa.String(80)))
    op.execute(WHY)
    op.execute(WHERE)
    for begin in UNDOES:
        sale = f"channel || ':' || substr(key, {len(begin) + 1})"
        op.execute(f"""UPDATE entry SET "of" = {sale} WHERE key LIKE '{begin}%'""")  # noqa: S608  # our own words
    with op.batch_alter_table("grant") as grant:
        grant.alter_column("kind", nullable=False)
        grant.create_check_constraint("kind", f"kind IN {KINDS}")
    with op.batch_alter_table("entry") as entry:
        entry.alter_column("channel", nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("entry") as entry:
        entry.drop_column("of")
        entry.drop_column("channel")
    with op.batch_alter_table("grant") as grant:
        grant.drop_constraint("kind", type_="check")
        grant.drop_column("kind")
    _move_visits_back()


def _move_visits() -> None:
    _create_visits("visit")
    op.execute(f"INSERT INTO visit ({VISIT}) SELECT {VISIT} FROM start")  # noqa: S608  # our own words
    op.drop_table("start")
    op.create_table(
        "start",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("opened_at", MOMENT, nullable=False, index=True),
    )
    op.execute("INSERT INTO start (key, opened_at) SELECT key, opened_at FROM visit")


def _move_visits_back() -> None:
    op.drop_table("start")
    _create_visits("start")
    own = "customer_id IN (SELECT id FROM customer WHERE channel = 'mixi')"
    op.execute(f"INSERT INTO start ({VISIT}) SELECT {VISIT} FROM visit WHERE {own}")  # noqa: S608  # our own words
    op.drop_table("visit")


def _create_visits(table: str) -> None:
    devices = ("mobile", "smartphone", "pc")
    device = sa.Enum(*devices, name="device", native_enum=False, create_constraint=True, length=16)
    op.create_table(
        table,
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("device", device, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False, index=True),
        sa.Column("ended_at", MOMENT),
    )
