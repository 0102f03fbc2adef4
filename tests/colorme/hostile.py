"""Hostile hook bodies by the hundred thousand: `python -m tests.colorme.hostile --inputs 100000 --seed 1`.

Most begin as a hook that was meant and are changed in one to three places; most carry the right signature of
what they have become, since only what is signed gets through. No answer is a 5xx but 503, all are JSON, and
nothing is kept of what was refused.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click
from flask import Flask
from sqlalchemy import func, select

from storefront import Settings, create_app
from storefront.colorme.contracts import Contract, EndedFirst
from storefront.db import db
from tests.colorme.conftest import KEYS, TESTER, installed, signature, trial, uninstalled
from tests.databases import fill
from tests.postgresql import fastest
from tests.proof import fuzz
from tests.proof.fuzz import Tally, Violation
from tests.street import SETTINGS

INSTALL, UNINSTALL = "/colorme/install", "/colorme/uninstall"
PLANS = ("QUAY01", "ANCHOR1", "LANTERN1", "BEACON1", "TIDE01", "SPRAY1", "CLOAK01", "NOPLAN")
STATUSES = {200, 400, 401, 405, 413, 415, 422}
JSON = "application/json"
TYPES = (JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=utf-16", "text/json", "", "application/json, a")
METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")
LONGEST = 70 * 1024
# What a field may become; the last are written as no encoder would.
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**31, 2**63, 10**30, "", "x", "A" * 32, "A" * 33, "A" * 5000, "\0", "\ud800",
    "PA00000001\n", "ＰＡ００００００１", "by_unpaid", [], [[]], {}, {"": {}},
)  # fmt: skip
RAW = ("NaN", "-Infinity", "1e999", "01", "1" * 5000, "[" * 2000, "'x'", "\\u0000", '"\\ud800"', '"\x01"')


class Hook(NamedTuple):
    """A post as it arrives."""

    method: str
    path: str
    media_type: str
    signatures: tuple[str, ...]
    body: bytes


class Hooks:
    """Both addresses of hooks."""

    name = "hooks"

    def __init__(self, app: Flask) -> None:
        self.app, self.client = app, app.test_client()
        self.kept: set[str] = set()
        self.sent = 0

    def draw(self, random: Random) -> Hook:
        path, told = random.choice(((INSTALL, _install(random)), (UNINSTALL, _uninstall(random))))
        body = random.choice(CHANGES)(random, told)
        for _ in range(random.randrange(3)):
            body = random.choice(SHAKES)(random, body)
        right = signature(body)
        given = random.choice(((right,),) * 8 + ((right, right), (), ("x",), (fuzz.mixed(random, right),)))
        path = random.choice((path,) * 9 + (INSTALL, UNINSTALL))
        method = "POST" if random.random() < 0.97 else random.choice(METHODS)
        return Hook(method, path, JSON if random.random() < 0.95 else random.choice(TYPES), given, body)

    def act(self, hook: Hook) -> str:
        clean = [one.translate(dict.fromkeys(map(ord, "\r\n\0"))) for one in hook.signatures]
        headers = [("X-Appstore-Signature", one) for one in clean]
        answer = self.client.open(
            hook.path,
            method=hook.method,
            data=hook.body,
            headers=headers,
            content_type=hook.media_type or None,
        )
        if answer.status_code not in STATUSES:
            raise Violation(f"status {answer.status_code}")
        if answer.mimetype != JSON:
            raise Violation(f"answered {answer.mimetype}")
        if answer.status_code == 200 and hook.path == INSTALL:
            said = json.loads(hook.body)
            self.kept.add(said.get("recurring_application_charge_id") or said["application_charge_id"])
        self.sent += 1
        if self.sent % 500 == 0:
            self.close()
        return str(answer.status_code)

    def close(self) -> None:
        """What stands in the table is what was rightly answered, but for what had ended before it began."""
        with self.app.app_context():
            found = set(db.session.scalars(select(Contract.id)))
            ended_first = set(db.session.scalars(select(EndedFirst.contract_id)))
            twice = db.session.scalars(
                select(Contract.customer_id)
                .where(Contract.ended_at.is_(None))
                .group_by(Contract.customer_id)
                .having(func.count() > 1)
            ).all()
        if not found <= self.kept <= found | ended_first or twice:
            raise Violation(f"kept {sorted(found ^ self.kept)}, twice {twice}")


def _install(random: Random) -> dict[str, Any]:
    plan = random.choice(PLANS)
    term = {"trial_term": trial("2021-07-11", "2021-07-21")} if random.random() < 0.4 else {}
    said: dict[str, Any] = installed(_contract(random), plan, _account(random), **term)
    return said


def _uninstall(random: Random) -> dict[str, Any]:
    plan = random.choice(PLANS)
    usage: dict[str, Any] = (
        {"usage_charge": {"api_token": "a token", "closing_on": 1627743599}} if random.random() < 0.4 else {}
    )
    contract = None if plan == "ANCHOR1" else _contract(random)
    said: dict[str, Any] = uninstalled(contract, plan, _account(random), **usage)
    return said


def _contract(random: Random) -> str:
    return f"CONTR{random.randrange(300)}"


def _account(random: Random) -> str:
    return random.choice((TESTER, f"PA{random.randrange(40):08}"))


def _as_meant(random: Random, told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode()


def _with_another_value(random: Random, told: dict[str, Any]) -> bytes:
    of = _some_object(random, told)
    of[random.choice([*of, "mail"])] = random.choice(VALUES)
    return json.dumps(told).encode()


def _with_raw(random: Random, told: dict[str, Any]) -> bytes:
    of = _some_object(random, told)
    of[random.choice([*of, "more"])] = "HERE"
    return json.dumps(told).replace('"HERE"', random.choice(RAW)).encode("utf-8", "surrogatepass")


def _without(random: Random, told: dict[str, Any]) -> bytes:
    of = _some_object(random, told)
    del of[random.choice([*of])]
    return json.dumps(told).encode()


def _with_a_key_twice(random: Random, told: dict[str, Any]) -> bytes:
    of = _some_object(random, told)
    key = random.choice([*of])
    return json.dumps(told).replace(f'"{key}":', f'"{key}": 1, "{key}":', 1).encode()


def _some_object(random: Random, told: dict[str, Any]) -> dict[str, Any]:
    return random.choice([told, *(value for value in told.values() if isinstance(value, dict))])


def _cut(random: Random, body: bytes) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _noisy(random: Random, body: bytes) -> bytes:
    place = random.randrange(len(body) + 1)
    return body[:place] + fuzz.noise(random, 20) + body[place:]


def _spelt_otherwise(random: Random, body: bytes) -> bytes:
    text = body.decode("latin-1")
    return random.choice(
        (b"\xef\xbb\xbf" + body, text.encode("utf-16"), body + b"\0", b" \n" + body, b"[" + body + b"]")
    )


def _grown(random: Random, body: bytes) -> bytes:
    return body + b" " * random.choice((1, LONGEST - len(body) if len(body) < LONGEST else 1))


CHANGES: tuple[Callable[[Random, dict[str, Any]], bytes], ...] = (
    _as_meant, _as_meant, _with_another_value, _with_another_value, _with_raw, _without, _with_a_key_twice,
)  # fmt: skip
SHAKES: tuple[Callable[[Random, bytes], bytes], ...] = (_cut, _noisy, _spelt_otherwise, _grown)


@contextmanager
def shop(database_url: str) -> Iterator[Flask]:
    """The app on an empty database, with the real calendar: nobody is asked for the day."""
    keys = {**KEYS, "colorme_calendar_url": ""}
    app = create_app(Settings.model_validate({**SETTINGS, **keys, "database_url": database_url}))
    fill(app)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def run(app: Flask, inputs: int, seed: int) -> Tally:
    return fuzz.run(Hooks(app), inputs, seed)


@click.command()
@click.option("--inputs", default=100_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(inputs: int, seed: int) -> None:
    """Send hostile hooks, and say how they ended."""
    with TemporaryDirectory(dir=fastest()) as folder, shop(f"sqlite:///{Path(folder)}/shop.db") as app:
        found = run(app, inputs, seed)
    click.echo(found)
    if found.violations:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
