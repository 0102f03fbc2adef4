"""How Alembic reaches the shop's database; run through `storefront upgrade`."""

from alembic import context
from flask import current_app
from sqlalchemy import text

ONE_AT_A_TIME = 6_494_101  # any number, the same for every process that migrates
PATIENCE = 60_000  # milliseconds a second process waits for the first


def run() -> None:
    database = current_app.extensions["migrate"].db
    with database.engine.connect().execution_options(patience=PATIENCE) as connection:
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            transactional_ddl=True,
            render_as_batch=True,
            compare_type=True,
        )
        with context.begin_transaction():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
            context.run_migrations()


run()
