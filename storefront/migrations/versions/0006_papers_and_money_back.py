"""Payments outside whose money went back; certificates, services and prices of the registration."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BEFORE = ("create", "complete", "cancel", "refund")
AFTER = (*BEFORE, "refunded", "chargeback")
JAPAN = timezone(timedelta(hours=9))
REGISTRATION = sa.table(
    "registration",
    sa.column("id", sa.Integer),
    sa.column("facts", sa.JSON),
    sa.column("recorded_at", sa.DateTime(timezone=True)),
)
PRICES = """
SELECT price.item_id, price.amount FROM price JOIN item ON item.id = price.item_id
WHERE price.channel = 'external' AND NOT item.withdrawn
"""
CERTIFICATES = ("privacy_mark", "isms")


def upgrade() -> None:
    _statuses(AFTER)
    _each_provider(_with_days)
    _register_the_shelf()


def downgrade() -> None:
    op.execute("UPDATE external_payment SET status = 'refund' WHERE status IN ('refunded', 'chargeback')")
    _statuses(BEFORE)
    _each_provider(_without_days)


def _statuses(words: Sequence[str]) -> None:
    with op.batch_alter_table("external_payment") as payment:
        payment.drop_constraint("status", type_="check")
        payment.create_check_constraint("status", f"status IN {tuple(words)}")


def _each_provider(rewritten: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    connection = op.get_bind()
    for number, facts in connection.execute(sa.select(REGISTRATION.c.id, REGISTRATION.c.facts)).all():
        providers = [rewritten(provider) for provider in facts.get("providers", ())]
        mine = sa.update(REGISTRATION).where(REGISTRATION.c.id == number)
        connection.execute(mine.values(facts={**facts, "providers": providers}))


def _register_the_shelf() -> None:
    """Nobody was asked for prices before, so those of this day count as registered, and are marked so."""
    connection, now = op.get_bind(), _now()
    newest = sa.select(REGISTRATION.c.facts).order_by(REGISTRATION.c.id.desc()).limit(1)
    facts = connection.scalar(newest)
    prices: dict[str, int] = dict(connection.execute(sa.text(PRICES)).all())
    if facts and prices:
        taken_on = now.astimezone(JAPAN).date().isoformat()
        recorded = {**facts, "prices": prices, "prices_taken_on": taken_on}
        connection.execute(sa.insert(REGISTRATION).values(facts=recorded, recorded_at=now))


def _with_days(provider: dict[str, Any]) -> dict[str, Any]:
    until, listed = provider.get("certified_until"), provider.get("listed", False)
    numbers = {name: provider.get(name, "") for name in CERTIFICATES}
    certificates = {name: {"number": number, "until": until} for name, number in numbers.items()}
    services = [{"name": name, "listed": listed} for name in provider.get("services", ())]
    rest = {name: value for name, value in provider.items() if name != "certified_until"}
    return {**rest, **certificates, "services": services}


def _without_days(provider: dict[str, Any]) -> dict[str, Any]:
    """What holds on this day, until all of it ends."""
    today = _now().astimezone(JAPAN).date().isoformat()
    held = {name: one for name in CERTIFICATES if _holds(one := provider.get(name) or {}, today)}
    ends: list[Any] = [one.get("until") for one in held.values()]
    numbers = {name: held.get(name, {}).get("number", "") for name in CERTIFICATES}
    names = [service["name"] for service in provider.get("services", ())]
    return {
        **provider,
        **numbers,
        "services": names,
        "certified_until": max(ends) if all(ends) and ends else None,
    }


def _holds(certificate: dict[str, Any], today: str) -> bool:
    return (certificate.get("since") or "") <= today <= (certificate.get("until") or "9999")


def _now() -> datetime:
    """By the database's clock, which is UTC on SQLite and says where it is on PostgreSQL."""
    now: datetime = op.get_bind().execute(sa.select(sa.func.now())).scalar_one()
    return now if now.tzinfo else now.replace(tzinfo=UTC)
