"""What the operator sets about an item beside what its file says; an item may be paused."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
FIELDS = ("paused", "stock", "per_customer", "on_sale_from", "on_sale_until")
BEFORE = (
    "sold_out", "limit_reached", "not_yet", "over", "stopped", "elsewhere", "age_unknown", "age_limit",
    "withdrawn", "expired",
)  # fmt: skip
REFUSED = ("payment", "external_payment")
ITEM = sa.table(
    "item",
    sa.column("id", sa.String),
    sa.column("written", sa.JSON),
    sa.column("stock", sa.Integer),
    sa.column("per_customer", sa.Integer),
    sa.column("on_sale_from", MOMENT),
    sa.column("on_sale_until", MOMENT),
)


def upgrade() -> None:
    op.create_table(
        "adjustment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id"), nullable=False, index=True),
        sa.Column(
            "field",
            sa.Enum(*FIELDS, name="field", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("wins", sa.Boolean, nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("remark", sa.String(200), nullable=False),
        sa.Column("set_at", MOMENT, nullable=False),
    )
    with op.batch_alter_table("item") as item:
        item.add_column(sa.Column("written", sa.JSON))
        item.add_column(sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()))
    _write_down_what_the_file_says()
    with op.batch_alter_table("item") as item:
        item.alter_column("written", nullable=False)
        item.alter_column("paused", server_default=None)
    _reasons((*BEFORE, "paused"))


def downgrade() -> None:
    """What the operator has set stays until the file is loaded."""
    for table in REFUSED:
        op.execute(f"UPDATE {table} SET refusal = NULL WHERE refusal = 'paused'")  # noqa: S608  # our own words
    _reasons(BEFORE)
    with op.batch_alter_table("item") as item:
        item.drop_column("paused")
        item.drop_column("written")
    op.drop_table("adjustment")


def _write_down_what_the_file_says() -> None:
    """Nothing else has set what stands there."""
    connection = op.get_bind()
    for item_id, _, *values in connection.execute(sa.select(ITEM)).all():
        written = dict(zip(FIELDS[1:], map(_plain, values), strict=True))
        connection.execute(sa.update(ITEM).where(ITEM.c.id == item_id).values(written=written))


def _plain(value: int | datetime | None) -> int | str | None:
    if not isinstance(value, datetime):
        return value
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return moment.isoformat()


def _reasons(words: tuple[str, ...]) -> None:
    for table in REFUSED:
        with op.batch_alter_table(table) as payment:
            payment.drop_constraint("reason", type_="check")
            payment.create_check_constraint("reason", f"refusal IN {words}")
