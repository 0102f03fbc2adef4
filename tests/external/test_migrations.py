"""What was registered, and what was paid outside, through the migrations and back."""

import json
from collections.abc import Iterator
from datetime import date

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, func, select, text

from storefront import Settings, clock
from storefront.db import db, migrate
from storefront.external import facts
from storefront.external.registration import Certificate, Facts, Service
from tests.test_migrations import NOW, checks, differences, fill_the_version_before

pytestmark = pytest.mark.empty_database


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = create_engine(settings.database_url)
    yield engine
    engine.dispose()


# The facts of a registration, and a payment made outside, as the fifth version knew them.
FACTS = {
    "stable": True,
    "providers": [
        {
            "name": "Pay",
            "site": "https://pay.example",
            "services": ["card", "bank"],
            "privacy_mark": "1",
            "isms": "",
            "certified_until": "2099-03-31",
            "listed": True,
        }
    ],
}
OUTSIDE = """
INSERT INTO external_payment (code, customer_id, item_id, item_name, yen, status, created_at)
VALUES ('e', 1, 'excalibur', 'sword', 110, 'complete', :now)
"""


def test_what_was_registered(app: Flask, engine: Engine) -> None:
    """Certificates and services become rows, the shelf's prices count as registered; and back again."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0005")
    with engine.begin() as connection:
        record = "INSERT INTO registration (facts, recorded_at) VALUES (:facts, :now)"
        connection.execute(text(record), {"facts": json.dumps(FACTS), "now": NOW})
        connection.execute(text("INSERT INTO price VALUES ('excalibur', 'external', 110, 'yen')"))
        connection.execute(text(OUTSIDE), {"now": NOW})
    for records in (2, 3):  # a new one each time, so that none is overwritten
        with app.app_context():
            flask_migrate.upgrade(directory=migrate.directory)
            current = facts.current()
            (provider,) = current.providers
            assert provider.services == (Service("card", listed=True), Service("bank", listed=True))
            assert provider.privacy_mark == Certificate("1", until=date(2099, 3, 31))
            assert (provider.certified(clock.day(NOW)), provider.isms.number) == (True, "")
            assert current.prices == {"excalibur": 110}
            assert current.prices_taken_on == clock.day(clock.now())
            assert db.session.scalar(select(func.count()).select_from(facts.Record)) == records
            db.session.remove()
        assert differences(engine) == []
        with engine.begin() as connection:
            connection.execute(text("UPDATE external_payment SET status = 'chargeback'"))
            assert "ck_external_payment_status" in checks(connection)["external_payment"]
        with app.app_context():
            flask_migrate.downgrade(directory=migrate.directory, revision="0005")
        with engine.begin() as connection:
            assert connection.execute(text("SELECT status FROM external_payment")).scalar() == "refund"
            (oldest, *_) = connection.execute(text("SELECT facts FROM registration ORDER BY id")).scalars()
            assert (json.loads(oldest) if isinstance(oldest, str) else oldest) == FACTS


def test_no_prices_without_a_registration(app: Flask, engine: Engine) -> None:
    """Where nothing was recorded the upgrade records nothing: no paper could name the prices."""
    fill_the_version_before(app, engine)
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory, revision="0005")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO price VALUES ('excalibur', 'external', 110, 'yen')"))
    with app.app_context():
        flask_migrate.upgrade(directory=migrate.directory)
        assert facts.current() == Facts()
        db.session.remove()
