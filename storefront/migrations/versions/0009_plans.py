"""The plans of the Color Me counter, and the amounts that a used one keeps."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
additive = True

FORMS = ("free", "one_time", "monthly", "monthly_initial", "monthly_usage", "usage")


def upgrade() -> None:
    op.create_table(
        "colorme_offered",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("said", sa.JSON, nullable=False),
    )
    form = sa.Enum(*FORMS, name="form", native_enum=False, create_constraint=True, length=16)
    op.create_table(
        "colorme_plan_use",
        sa.Column("plan_id", sa.String(32), primary_key=True),
        sa.Column("form", form, nullable=False),
        sa.Column("price", sa.Integer),
        sa.Column("monthly", sa.Integer),
        sa.Column("initial", sa.Integer),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("used_on", sa.Date, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("colorme_plan_use")
    op.drop_table("colorme_offered")
