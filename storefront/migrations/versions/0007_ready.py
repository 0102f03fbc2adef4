"""What readiness is tried by; whose code can live with the database; what old CHECKs were left behind."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
additive = True


def upgrade() -> None:
    op.create_table(
        "pulse",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.execute("INSERT INTO pulse (id, beat_at) VALUES (1, CURRENT_TIMESTAMP)")
    op.create_table("fit", sa.Column("revision", sa.String(32), primary_key=True))
    if op.get_bind().dialect.name == "sqlite":
        for name in ("entry", "payment", "external_payment"):
            _take_off_old_checks(name)


def downgrade() -> None:
    op.drop_table("fit")
    op.drop_table("pulse")


def _take_off_old_checks(name: str) -> None:
    """Before 1.20 alembic dropped no CHECK on SQLite, and so the words of long ago bound those of today."""
    table = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())
    checks = [one for one in table.constraints if isinstance(one, sa.CheckConstraint)]
    # Words were added and never taken away: of one column the longest is the newest.
    newest = {_column(check): check for check in sorted(checks, key=lambda check: len(str(check.sqltext)))}
    if len(newest) == len(checks):
        return
    table.constraints -= set(checks) - set(newest.values())
    with op.batch_alter_table(name, copy_from=table, recreate="always"):
        pass


def _column(check: sa.CheckConstraint) -> str:
    """The one that a rule is about: `status IN (…)`. What is left behind may have another name."""
    return str(check.sqltext).partition(" ")[0]
