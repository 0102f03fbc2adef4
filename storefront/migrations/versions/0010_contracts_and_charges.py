"""The Color Me counter: contracts, options, usage and its reports, log-ins."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
additive = True

MOMENT = sa.DateTime(timezone=True)
FORMS = ("free", "one_time", "monthly", "monthly_initial", "monthly_usage", "usage")
REASONS = ("by_shop_owner", "by_unpaid", "by_app", "replaced", "not_found", "never_made")
STATES = ("waiting", "intended", "charged", "declined", "unknown")
TABLES = (
    "colorme_ended_first",
    "colorme_start",
    "colorme_report",
    "colorme_usage",
    "colorme_charge",
    "colorme_contract",
)


def upgrade() -> None:
    op.create_table(
        "colorme_contract",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("plan_id", sa.String(32), nullable=False),
        sa.Column("form", _words("form", FORMS), nullable=False),
        sa.Column("price", sa.Integer),
        sa.Column("monthly", sa.Integer),
        sa.Column("initial", sa.Integer),
        sa.Column("shop_name", sa.String(128), nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("arrived_at", MOMENT, nullable=False),
        sa.Column("installed_on", sa.Date, nullable=False),
        sa.Column("trial_first", sa.Date),
        sa.Column("trial_last", sa.Date),
        sa.Column("charged_from", sa.Date, nullable=False),
        sa.Column("in_block", sa.Boolean, nullable=False),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("access_token", sa.String(1024)),
        sa.Column("ended_at", MOMENT),
        sa.Column("reason", _words("reason", REASONS)),
        sa.Column("usage_token", sa.String(1024)),
        sa.Column("closing_at", MOMENT),
        sa.Column("reckon_on", sa.Date, index=True),
        sa.Column("parcels_until", sa.Date),
        sa.Column("asked_to_go_at", MOMENT),
    )
    stands = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_colorme_contract_standing",
        "colorme_contract",
        ["customer_id"],
        unique=True,
        sqlite_where=stands,
        postgresql_where=stands,
    )
    op.create_table(
        "colorme_charge",
        sa.Column("code", sa.String(40), primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False, index=True),
        sa.Column("contract_id", sa.String(32), sa.ForeignKey("colorme_contract.id"), nullable=False),
        sa.Column("option_id", sa.String(32), nullable=False),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id"), nullable=False),
        sa.Column("item_name", sa.String(128), nullable=False),
        sa.Column("yen", sa.Integer, nullable=False),
        sa.Column("paid", sa.Integer, nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        *_intent(),
    )
    op.create_table(
        "colorme_usage",
        sa.Column("code", sa.String(40), primary_key=True),
        _of_contract(index=True),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("item.id"), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("yen", sa.Integer, nullable=False),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.Column("period_first", sa.Date, nullable=False),
        sa.Column("period_last", sa.Date, nullable=False),
        sa.Column("reported", sa.Boolean, nullable=False),
    )
    op.create_index("ix_colorme_usage_open", "colorme_usage", ["reported", "period_last"])
    op.create_table(
        "colorme_report",
        _of_contract(primary_key=True),
        sa.Column("period_first", sa.Date, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("yen", sa.Integer, nullable=False),
        sa.Column("description", sa.String(50), nullable=False),
        sa.Column("counts_to", sa.Date),
        sa.Column("is_late", sa.Boolean, nullable=False),
        sa.Column("is_lost", sa.Boolean, nullable=False),
        *_intent(),
    )
    op.create_table(
        "colorme_start",
        sa.Column("state", sa.String(64), primary_key=True),
        sa.Column("used_at", MOMENT, nullable=False, index=True),
    )
    op.create_table("colorme_ended_first", sa.Column("contract_id", sa.String(32), primary_key=True))


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def _words(name: str, words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=16)


def _of_contract(*, index: bool = False, primary_key: bool = False) -> sa.Column[str]:
    contract = sa.ForeignKey("colorme_contract.id")
    return sa.Column(
        "contract_id", sa.String(32), contract, nullable=False, index=index, primary_key=primary_key
    )


def _intent() -> list[sa.Column[object]]:
    return [
        sa.Column("state", _words("state", STATES), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT),
        sa.Column("http_status", sa.Integer),
        sa.Column("answer", sa.String(200), nullable=False),
        sa.Column("charge_id", sa.String(64)),
        sa.Column("charged_yen", sa.Integer),
        sa.Column("retry_at", MOMENT),
        sa.Column("resolved_at", MOMENT),
    ]
