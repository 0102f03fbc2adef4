"""A simulated year of shop owners, at the store and at the app, in whatever weather there is.

By hand: `python -m tests.colorme.year --shops 200 --seed 12`. Both sides are the real ones, joined in memory:
what is signed is verified, and each reckons for itself.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qsl, urlsplit

import click
import requests
from flask import Flask
from lxml import html
from sqlalchemy import delete, select

from storefront import Settings, create_app
from storefront.colorme import daily, outstanding
from storefront.colorme.contracts import Contract
from storefront.colorme.intents import State
from storefront.db import db
from storefront.sandbox.colorme import bills, calendar, contracts, create_appstore, hooks, turning, weather
from storefront.sandbox.colorme.cast import CAST, Debit
from storefront.sandbox.colorme.context import appstore
from storefront.sandbox.colorme.settings import AppStoreSettings
from storefront.sandbox.colorme.shops import Shop
from storefront.sandbox.colorme.store import reading, transaction
from storefront.sandbox.colorme.wire import Exchange, Kind
from tests.colorme import accounts
from tests.colorme.accounts import Told
from tests.databases import fill
from tests.postgresql import fastest
from tests.street import SETTINGS, Browser, form_to
from tests.wire import Wire

HERE, STORE = "http://127.0.0.1:8000", "http://store.test:8003"
SECRETS = {"client_id": "an app", "client_secret": "a secret of the app", "webhook_secret": "a hook's secret"}
BEGINS = date(2019, 9, 2)  # with the tax rate's change and a leap day before it
OPTIONS, METERED = ("cloak", "coat"), ("loaf", "moss", "crane")
PLANS = """
trial_days: 10
plans:
  - {id: FREE01, form: free, name: {ja: 無料, en: Free}}
  - {id: ONCE01, form: one_time, name: {ja: 買い切り, en: Once}, price: 9801}
  - {id: MONTH1, form: monthly, name: {ja: 月額, en: Monthly}, monthly: 980, parcel: [moss]}
  - {id: BEGIN1, form: monthly_initial, name: {ja: 初期費用, en: Initial}, monthly: 555, initial: 333}
  - {id: BOTH01, form: monthly_usage, name: {ja: 従量, en: Both}, monthly: 1999, parcel: [cloak]}
  - {id: USED01, form: usage, name: {ja: 従量のみ, en: Usage}}
options: [{id: CLOAK1, item: cloak}, {id: COAT01, item: coat}]
metered: [loaf, moss, crane]
"""
FORMS = ("FREE01", "ONCE01", "MONTH1", "MONTH1", "BEGIN1", "BOTH01", "BOTH01", "USED01", "USED01")
PRICES = {"cloak": 505, "coat": 4801, "loaf": 33, "moss": 1234, "crane": 600_001}
GOODS = "".join(
    f"- {{id: {item}, name: {{ja: {item}, en: {item}}}, description: {{ja: {item}, en: {item}}}, "
    f"art: emptybag.svg, prices: {{mixi: 30, colorme: {yen}}}}}\n"
    for item, yen in PRICES.items()
)
# What an owner does on a day, and how often in a hundred days.
OUTSIDE, NEW = {"install": 5}, {"come_in": 20, "leave": 2}
MOST_OFTEN = 25
INSIDE = {"option": 2, "take": 5, "top_up": 2, "debit": 1, "pay": 5, "look": 3, "leave": 1, "remove": 1}
OF_CALLS = ("before", "after", "lost", "cut", "rubbish", "401", "429")
OF_HOOKS = ("lost", "twice", "late", "altered", "unheard")


@dataclass
class Owner:
    """A shop's owner, in front of a browser; some never come in."""

    account: str
    browser: Browser
    is_shy: bool = False


@dataclass
class World:
    """Store and app, every owner, and what chance has in store for them."""

    shop: Flask
    store: Flask
    chance: random.Random
    charging: Wire  # what the app's charges and reports go over
    street: Browser
    word: str = ""
    owners: list[Owner] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def live(self, days: int, after: int = 0) -> None:
        """Let so many days pass, with all that happens on them and the app's cron at 23:30 and 00:30."""
        for number in range(after, after + days):
            day = BEGINS + timedelta(days=number)
            self._cloud_over(day)
            self.turn(day, self.chance.randrange(60, 23 * 60 + 25))
            for owner in self.owners:
                self._act(owner)
            self.turn(day, 23 * 60 + 30)
            self.cron()
            self.turn(day, 24 * 60 + 30)
            self.cron()

    def turn(self, day: date, minutes: int) -> None:
        """Forward to so many minutes after a day's beginning."""
        target = calendar.midnight(day) + timedelta(minutes=minutes)
        with self.store.app_context():
            assert turning.turn(appstore(), target)
            assert calendar.now() == target

    def cron(self) -> None:
        """`storefront daily`; sometimes it is down, and sometimes nobody can be reached."""
        if self.chance.random() < 0.1:
            self.done["cron was down"] += 1
            return
        with self._out_of_reach(0.05), self.shop.app_context():
            daily.run()

    def settle(self, day: date) -> None:
        """The sky clears: the operator looks up what is not known, and has what was not heard sent again."""
        with self.store.app_context():
            weather.go()
            for hook in _unheard():
                hooks.resend(appstore(), hook)
                self.done["resent by hand"] += 1
        for minutes in (60, 90):
            self.turn(day, minutes)
            with self.shop.app_context():
                daily.run()
            self.resolve()

    def _act(self, owner: Owner) -> None:
        drawn = self.chance.random() * 100
        if drawn > MOST_OFTEN:
            return
        with self.store.app_context():
            standing = contracts.of(owner.account)
        with self.shop.app_context():
            known = standing and db.session.get(Contract, standing.id)
        is_in = bool(known and known.access_token)
        chances = OUTSIDE if standing is None else INSIDE if is_in else {} if owner.is_shy else NEW
        for name, part in chances.items():
            drawn -= part
            if drawn < 0:
                with self._out_of_reach(0.03 if is_in else 0):
                    getattr(self, f"_{name}")(owner)
                self.done[name.replace("_", " ")] += 1
                return

    def _install(self, owner: Owner) -> None:
        owner.is_shy = self.chance.random() < 0.1
        self._weather(owner, "install", OF_HOOKS, 0.2)
        self.send(f"/shops/{owner.account}/install", plan=self.chance.choice(FORMS))

    def come_in(self, owner: Owner) -> None:
        """By the store's consent, or what the weather makes of it."""
        begun = owner.browser.get("/colorme/start")
        asked = dict(parse_qsl(urlsplit(str(begun.location)).query))
        self.street.get(f"/shops/{owner.account}")
        answer = self.send("/oauth/authorize", **asked, answer="allow")
        assert answer.startswith(f"{HERE}/colorme/oauth?code="), answer
        owner.browser.get(answer)

    def _come_in(self, owner: Owner) -> None:
        self._weather(owner, "shop", ("before", "lost", "rubbish"), 0.05)
        self.come_in(owner)

    def _option(self, owner: Owner) -> None:
        self._weather(owner, "charge", OF_CALLS, 0.4)
        self._press(owner, self.chance.choice(OPTIONS))

    def _take(self, owner: Owner) -> None:
        for _ in range(self.chance.randrange(1, 3)):
            self._press(owner, self.chance.choice(METERED))

    def _look(self, owner: Owner) -> None:
        owner.browser.get("/colorme/")

    def _leave(self, owner: Owner) -> None:
        self._unheard_of(owner)
        self.send(f"/shops/{owner.account}/uninstall")

    def _remove(self, owner: Owner) -> None:
        self._weather(owner, "removal", OF_CALLS, 0.5)
        page = owner.browser.get("/colorme/").text
        if "/colorme/removal" in page:
            owner.browser.post("/colorme/removal", form_to(page, "/colorme/removal"))

    def _top_up(self, owner: Owner) -> None:
        self.send(f"/shops/{owner.account}/points", points=self.chance.choice(["1000", "10000", "100000"]))

    def _debit(self, owner: Owner) -> None:
        self.send(f"/shops/{owner.account}/debit", debit=self.chance.choice(list(Debit)).value)

    def _pay(self, owner: Owner) -> None:
        with self.store.app_context():
            found = [one.code for one in bills.of_shop(owner.account) if one.state.value in ("open", "owed")]
        for code in found:
            self.send(f"/shops/{owner.account}/bills/{code}")

    def _press(self, owner: Owner, item: str) -> None:
        """Press the button of an item, if it has one; now and then twice."""
        page = html.fromstring(owner.browser.get(f"/items/{item}").text)
        form = next((one for one in page.forms if one.action == "/colorme/charges"), None)
        if form is not None:
            fields = {str(name): str(value) for name, value in form.form_values()}
            for _ in range(self.chance.choice((1, 1, 1, 2))):
                owner.browser.post("/colorme/charges", fields)

    def _cloud_over(self, day: date) -> None:
        """Weather for what the calendar itself brings: reports on the 9th, forced uninstalls on the 1st."""
        for owner in self.owners:
            if day.day in (9, 10):
                self._weather(owner, "usage", OF_CALLS, 0.15)
            if (day + timedelta(days=1)).day == 1:
                self._unheard_of(owner)

    def _unheard_of(self, owner: Owner) -> None:
        """The next uninstall hook of this shop comes late, twice, or not at all."""
        times = self.chance.choice((1, 2, 20))
        self._weather(owner, "uninstall", OF_HOOKS, 0.3, times)

    def _weather(self, owner: Owner, place: str, what: tuple[str, ...], often: float, times: int = 1) -> None:
        if self.chance.random() < often:
            kind = f"{place}.{self.chance.choice(what)}"
            self.done[kind] += 1
            with self.store.app_context():
                weather.come(kind, times, 1, owner.account)

    @contextmanager
    def _out_of_reach(self, often: float) -> Iterator[None]:
        away = self.chance.random() < often
        self.charging.broken = requests.ConnectTimeout() if away else None
        self.done["out of reach"] += away
        yield
        self.charging.broken = None

    def send(self, path: str, **fields: str) -> str:
        """A form at the store; where it leads."""
        answer = self.street.post(path, {"form_token": self.word, **fields})
        assert answer.status_code in (302, 303), (path, answer.status_code)
        return str(answer.headers["Location"])

    def resolve(self) -> None:
        """What the store has and the app does not know of was charged; of the rest nothing was."""
        told = self.statement()
        with self.shop.app_context():
            unclaimed = Counter(accounts.charges_of(told)) - Counter(accounts.known_charges())
            for case in outstanding.to_resolve():
                what = (case.contract.id, case.what, case.yen)
                state = State.CHARGED if unclaimed[what] > 0 else State.DECLINED
                unclaimed[what] -= 1
                assert outstanding.resolve(case.code, state)
                self.done[f"resolved as {state}"] += 1

    def statement(self) -> Sequence[Told]:
        """What the store says it has billed, contract by contract."""
        told: Sequence[Told] = self.street.get("/statement.json").get_json()["contracts"]
        return told


@contextmanager
def world(folder: Path, shops: int, seed: int, database_url: str = "") -> Iterator[World]:
    """A store with so many shops of chance, and the app that all of them may install."""
    (folder / "plans.yaml").write_text(PLANS)
    (folder / "catalog.yaml").write_text(GOODS)
    chance, to_shop, to_store = random.Random(seed), requests.Session(), requests.Session()  # noqa: S311
    store = create_appstore(_of_store(folder), to_shop)
    owners = _people(store, shops, chance)
    shop = create_app(_of_app(folder, store, database_url), to_store)
    shop.extensions["http"] = to_store
    fill(shop)
    charging = Wire(store)
    to_shop.mount("http://", Wire(shop))
    to_store.mount("http://", Wire(store))
    to_store.mount(f"{STORE}/appstore/", charging)
    street = Browser(store, STORE)
    word = str(html.fromstring(street.get("/weather").text).cssselect("[name=form_token]")[0].get("value"))
    owned = [Owner(account, Browser(shop, HERE)) for account in owners]
    yield World(shop, store, chance, charging, street, word, owned)
    with shop.app_context():
        db.session.remove()
        db.engine.dispose()


def _of_store(folder: Path) -> AppStoreSettings:
    return AppStoreSettings.model_validate(
        {
            **SECRETS,
            "public_url": STORE,
            "shop_url": HERE,
            "secret_key": "for the tests only, never elsewhere",
            "plans": folder / "plans.yaml",
            "catalog": folder / "catalog.yaml",
            "database_url": f"sqlite:///{folder}/appstore.db",
            "begins": BEGINS - timedelta(days=1),
            "page_seconds": 600,
            "per_minute": 0,
        }
    )


def _of_app(folder: Path, store: Flask, database_url: str) -> Settings:
    with store.app_context(), reading() as session:
        tests = session.scalars(select(Shop.account).where(Shop.is_test)).all()
    return Settings.model_validate(
        {
            **SETTINGS,
            **{f"colorme_{name}": value for name, value in SECRETS.items()},
            "public_url": HERE,
            "database_url": database_url or f"sqlite:///{folder}/shop.db",
            "catalog": str(folder / "catalog.yaml"),
            "colorme_plans": str(folder / "plans.yaml"),
            "colorme_api_url": STORE,
            "colorme_store_url": f"{STORE}/",
            "colorme_calendar_url": f"{STORE}/calendar.json",
            "colorme_test_accounts": ",".join(tests),
        }
    )


def _people(store: Flask, count: int, chance: random.Random) -> Sequence[str]:
    """In place of the cast: shops with points and habits of chance, one in twenty a test shop."""
    accounts = [f"PA{number:08}" for number in range(1, count + 1)]
    with store.app_context(), transaction() as session:
        session.execute(delete(Shop))
        for account in accounts:
            session.add(
                Shop(
                    account=account,
                    key=chance.choice(CAST).key,
                    points=chance.choice([0, 550, 3_299, 50_000, 3_000_000]),
                    debit=chance.choice(list(Debit)),
                    is_test=chance.random() < 0.05,
                    trial_used=chance.random() < 0.2,
                )
            )
    return accounts


def _unheard() -> Sequence[Exchange]:
    """The uninstalls of which the store has given up telling, as its log has them."""
    with reading() as session:
        silent = select(hooks.Hook.contract_id, contracts.Contract.account).join(
            contracts.Contract, contracts.Contract.id == hooks.Hook.contract_id
        )
        rows = session.execute(silent.where(hooks.Hook.heard_at.is_(None))).all()
    return [Exchange(kind=Kind.UNINSTALL, contract=row[0], account=row[1], sent="") for row in rows]


@click.command()
@click.option("--shops", default=200, show_default=True)
@click.option("--days", default=365, show_default=True)
@click.option("--seed", default=12, show_default=True)
def main(shops: int, days: int, seed: int) -> None:
    """Let a year pass in so many shops, and hold the book against the store's bills."""
    with TemporaryDirectory(dir=fastest()) as folder, world(Path(folder), shops, seed) as year:
        began, busy = time.monotonic(), time.process_time()
        year.live(days)
        took, worked = time.monotonic() - began, time.process_time() - busy
        year.settle(BEGINS + timedelta(days=days))
        found = accounts.audit(year.shop, year.statement())
    click.echo(
        f"{shops} shops, seed {seed}: {days} days, {days / took:.1f} a second ({worked:.0f} s of a processor)"
    )
    for what, count in sorted(year.done.items()):
        click.echo(f"{count:8,} {what}")
    click.echo(found)
    if found.problems:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
