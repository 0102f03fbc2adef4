"""hanako's phone, the shop and the sandbox, joined by real HTTP, and what both sides' books say."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import requests
from lxml import html
from sqlalchemy import Engine, create_engine, delete, func, select, update
from sqlalchemy.orm import Session

from storefront.mixi.payments import Payment
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry
from storefront.shop.turns import Turn
from tests.demo import free_ports, wait_for
from tests.proof import served
from tests.proof.served import HOST, WORKERS, Served, Step
from tests.street import APP_ID, CONSUMER_KEY, CONSUMER_SECRET

BUYER, ITEM, POINTS = "hanako", "excalibur", 100
LONG_AGO = timedelta(seconds=20)  # longer than MIXI_VOID_AFTER, which is 11 here


@dataclass(frozen=True)
class Screen:
    """A page on the phone."""

    url: str
    text: str

    @property
    def name(self) -> str:
        """Which screen of the point interface it is."""
        return str(self._body().cssselect("main")[0].get("data-screen"))

    @property
    def code(self) -> str:
        return self._body().cssselect(".hint code")[0].text_content()

    @property
    def finish(self) -> str:
        return str(self._body().cssselect("a[data-finish]")[0].get("href"))

    def form(self, leads_to: str) -> tuple[str, dict[str, str]]:
        """The address and fields of the form whose action has these words in it."""
        form = next(form for form in self._body().forms if leads_to in str(form.action))
        return str(form.action), {str(name): str(value) for name, value in form.form_values()}

    def _body(self) -> html.HtmlElement:
        body = html.fromstring(self.text)
        body.make_links_absolute(self.url)
        return body


class Phone:
    """A browser with its cookies, in front of the sandbox."""

    def __init__(self, platform: str, shop: str, authority: Path | None = None) -> None:
        self.platform, self.shop = platform, shop
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = str(authority) if authority else True
        self.press(self.get(platform), "/phone", persona=BUYER)

    def get(self, url: str) -> Screen:
        return _screen(self.http.get(url, timeout=30))

    def open(self, path: str) -> Screen:
        """A page of the shop, through the container."""
        address = quote(self.shop + path, safe="")
        return self.get(f"{self.platform}/ma/{APP_ID}/?guid=ON&url={address}")

    def press(self, screen: Screen, leads_to: str, **values: str) -> Screen:
        action, fields = screen.form(leads_to)
        return _screen(self.http.post(action, data={**fields, **values}, timeout=30))

    def choose(self) -> Screen:
        """As far as the screen that asks whether to buy."""
        return self.press(self.open(f"/items/{ITEM}"), "payments")

    def balance(self) -> int:
        card = html.fromstring(self.get(self.platform).text).cssselect(f"[data-persona={BUYER}]")[0]
        return int(str(card.get("data-balance")))

    def state(self, code: str) -> str:
        """How the platform sees one of the latest payments."""
        row = html.fromstring(self.get(self.platform).text).cssselect(f"[data-payment='{code}']")[0]
        return str(row.get("data-state"))


@dataclass(frozen=True)
class Street:
    """Everything that runs."""

    shop: Served
    engine: Engine
    phone: Phone
    start: int

    def buy_until(self, step: Step) -> Screen:
        """The buyer presses buy, and the worker that is asked dies at the step: the screen they see."""
        wait_for(lambda: len(self.shop.workers()) == WORKERS)
        chosen = self.phone.choose()
        self.shop.kill_at(step)
        screen = self.phone.press(chosen, "/buy")
        assert self.shop.has_fallen(), "nobody was killed"
        return screen

    def status(self, code: str) -> str:
        with Session(self.engine) as session:
            return session.get_one(Payment, code).status.value

    def is_confirmed(self, code: str) -> bool:
        with Session(self.engine) as session:
            return session.get_one(Payment, code).confirmed_at is not None

    def held(self) -> int:
        with Session(self.engine) as session:
            return session.scalar(select(func.coalesce(func.sum(Grant.quantity), 0))) or 0

    def earned(self) -> int:
        with Session(self.engine) as session:
            return session.scalar(select(func.coalesce(func.sum(Entry.amount), 0))) or 0

    def taken(self) -> int:
        """Points that the platform took from the buyer."""
        return self.start - self.phone.balance()

    def age(self, code: str) -> None:
        """Set our last OK back by twenty seconds in the database, which spares every test that wait.

        The buyer's turns to ask are free again, for one buyer stands for all of them here.
        """
        with Session(self.engine) as session:
            said = session.get_one(Payment, code).ok_at
            if said:
                session.execute(update(Payment).filter_by(point_code=code).values(ok_at=said - LONG_AGO))
            session.execute(delete(Turn))
            session.commit()


@contextmanager
def street(database: str, folder: Path) -> Iterator[Street]:
    """The shop on this database and the sandbox, each a server of its own."""
    shop_port, platform_port = free_ports(2)
    shop, platform = f"http://{HOST}:{shop_port}", f"http://{HOST}:{platform_port}"
    environment = {
        "SANDBOX_PUBLIC_URL": platform,
        "SANDBOX_SHOP_URL": shop,
        "SANDBOX_APP_ID": APP_ID,
        "SANDBOX_CONSUMER_KEY": CONSUMER_KEY,
        "SANDBOX_CONSUMER_SECRET": CONSUMER_SECRET,
        "SANDBOX_RATE_LIMIT": "1000000",
        "SANDBOX_SECRET_KEY": "a secret of the proofs, and of nobody else",
        "SANDBOX_DATABASE_URL": f"sqlite:///{folder}/sandbox.db",
    }
    sandbox = ("storefront.sandbox:create_sandbox()", ["--workers", "1", "--threads", "8"])
    with (
        served.database(database, folder) as base,
        served.shop(folder, shop_port, base.url, platform) as running,
        served.gunicorn(folder, "sandbox", platform_port, *sandbox, environment),
    ):
        engine = create_engine(base.url)
        phone = Phone(platform, shop)
        yield Street(running, engine, phone, phone.balance())
        engine.dispose()


def _screen(answer: requests.Response) -> Screen:
    return Screen(answer.url, answer.text)
