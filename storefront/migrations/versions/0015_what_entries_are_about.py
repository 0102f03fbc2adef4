"""An entry says of which item it is, bought on which device, and when the platform says it happened."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
additive = True

MOMENT = sa.DateTime(timezone=True)
DEVICES = ("mobile", "smartphone", "pc")
# Grant and sale have the same key; what was entered on it since names that sale.
ITEMS = """
UPDATE entry SET item_id = (SELECT item_id FROM "grant" WHERE "grant".key = coalesce(entry."of", entry.key))
"""


def upgrade() -> None:
    with op.batch_alter_table("entry") as entry:
        entry.add_column(sa.Column("item_id", sa.String(64), nullable=True))
        entry.add_column(_device())
        entry.add_column(sa.Column("platform_at", MOMENT, nullable=True))
        entry.create_foreign_key("fk_entry_item_id", "item", ["item_id"], ["id"])
    op.execute(ITEMS)
    op.create_index("ix_entry_platform_at", "entry", ["platform_at"])
    with op.batch_alter_table("payment") as payment:
        payment.add_column(_device())
        payment.add_column(sa.Column("updated_at", MOMENT, nullable=True))
    with op.batch_alter_table("external_payment") as payment:
        payment.add_column(_device())


def downgrade() -> None:
    with op.batch_alter_table("external_payment") as payment:
        payment.drop_constraint("device", type_="check")
        payment.drop_column("device")
    with op.batch_alter_table("payment") as payment:
        payment.drop_column("updated_at")
        payment.drop_constraint("device", type_="check")
        payment.drop_column("device")
    op.drop_index("ix_entry_platform_at", "entry")
    with op.batch_alter_table("entry") as entry:
        entry.drop_constraint("fk_entry_item_id", type_="foreignkey")
        for column in ("platform_at", "item_id"):
            entry.drop_column(column)
        entry.drop_constraint("device", type_="check")
        entry.drop_column("device")


def _device() -> sa.Column[str]:
    kind = sa.Enum(*DEVICES, name="device", native_enum=False, create_constraint=True, length=16)
    return sa.Column("device", kind, nullable=True)
