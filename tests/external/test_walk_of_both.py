"""The shop and the provider joined in memory: what one signs the other believes, and the books agree."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from pydantic import SecretStr
from sqlalchemy import text
from werkzeug.test import TestResponse

from storefront.db import db
from storefront.external.payments import Status
from storefront.sandbox import clock as provider_clock
from storefront.sandbox.provider import create_provider, notices, payments
from storefront.sandbox.provider.notices import Kind, Told
from storefront.sandbox.provider.payments import Payment
from storefront.sandbox.provider.settings import ProviderSettings
from storefront.shop import ledger
from tests.external.conftest import (
    MERCHANT,
    PROVIDER,
    SECRET,
    YEN,
    Browser,
    Enter,
    Outside,
    asked,
    limit,
)
from tests.street import SHOP, TARO, at_once, heading, says, sentence, words
from tests.wire import Wire

pytestmark = pytest.mark.long


class Line(Wire):
    """The provider's line to the shop; while it loses answers, the shop hears and is not heard."""

    losing = False

    def send(self, *args: Any, **options: Any) -> requests.Response:
        answer = super().send(*args, **options)
        if self.losing:
            raise requests.ConnectionError("the answer is lost")
        return answer


@dataclass
class Both:
    """The provider and its line to the shop, and a window of the buyer's in front of it."""

    provider: Flask
    line: Line
    window: FlaskClient

    def arrive(self, location: str) -> str:
        """Follow the shop's redirect; the address of the payment's own page at the provider."""
        answer = self.window.get(location.removeprefix(PROVIDER), base_url=PROVIDER)
        assert answer.status_code == 303, answer.text
        return str(answer.location)

    def page(self, path: str) -> TestResponse:
        return self.window.get(path, base_url=PROVIDER)

    def press(self, page: str, action: str) -> str:
        """Press the button of a page that leads to `action`; what the page after it says."""
        forms = html.fromstring(self.page(page).text).forms
        (form,) = [form for form in forms if form.action == action]
        answer = self.window.post(action, base_url=PROVIDER, data=dict(form.form_values()))
        assert answer.status_code == 303, answer.text
        return words(self.page(page).text)

    def pay(self, page: str) -> str:
        return self.press(page, f"{page}/pay")

    def cancel(self, page: str) -> str:
        return self.press(page, f"{page}/cancel")

    def again(self, what: str = "") -> str:
        """Press a button of the only payment on the provider's list."""
        return self.press("/", f"/notices/{self.only().reference}{what}")

    def back(self, page: str) -> str:
        """Where the provider's page leads back to, inside the shop."""
        (link,) = html.fromstring(self.page(page).text).cssselect("[data-back]")
        address = str(link.get("href"))
        assert address.startswith(f"{SHOP}/")
        return address.removeprefix(SHOP)

    def undo(self, how: str) -> str:
        """Press the button of the list that gives the only payment's money back."""
        return self.press("/", f"/{how}/{self.only().reference}")

    def only(self) -> Payment:
        with self.provider.app_context():
            (payment,) = payments.recent(100)
            return payment

    def state(self) -> tuple[str, bool]:
        """Where the only payment stands at the provider, and whether the shop was heard on it."""
        return self.only().status.value, self.only().heard

    def told(self) -> Told:
        with self.provider.app_context():
            payment = self.only()
            return notices.told([payment])[payment.id]

    def collected(self) -> int:
        with self.provider.app_context():
            return sum(one.yen for one in payments.recent(99) if one.status is payments.Status.PAID)


@pytest.fixture
def join(shop: Flask, tmp_path: Path) -> Callable[..., Both]:
    """Joins the shop to a provider, with some of its settings changed."""

    def join(**changed: object) -> Both:
        settings = ProviderSettings(
            public_url=PROVIDER,
            secret_key=SecretStr("for the tests only, never elsewhere"),
            merchant=MERCHANT,
            merchant_secret=SecretStr(SECRET),
            notice_url=f"{SHOP}/external/notices",
            shop_url=SHOP,
            database_url=SecretStr(f"sqlite:///{tmp_path}/provider.db"),
        )
        line, http = Line(shop), requests.Session()
        http.trust_env = False
        http.mount(SHOP, line)
        provider = create_provider(settings.model_copy(update=changed), http)
        return Both(provider, line, provider.test_client())

    return join


@pytest.fixture
def both(join: Callable[..., Both]) -> Both:
    return join()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass at the provider."""

    def later(seconds: float) -> None:
        moment = provider_clock.now() + timedelta(seconds=seconds)
        monkeypatch.setattr(provider_clock, "now", lambda: moment)

    return later


def earned(app: Flask) -> int:
    """The yen in the shop's book."""
    with app.app_context():
        return sum(total.amount for total in ledger.totals() if total.unit == "yen")


def state_of(page: TestResponse) -> str:
    (article,) = html.fromstring(page.text).cssselect("article.finish")
    return str(article.get("data-state"))


@pytest.mark.parametrize(
    ("lang", "item", "asked_for", "heard"),
    [
        (
            "ja",
            "エクスカリバー",
            "110円を支払いますか？",
            "加盟店にお支払いを知らせました。",
        ),
        ("en", "Excalibur", "Pay ¥110?", "The shop knows of your payment."),
    ],
)
def test_bought(
    hanako: Browser,
    both: Both,
    outside: Outside,
    lang: str,
    item: str,
    asked_for: str,
    heard: str,
) -> None:
    """From the warning to the provider, paid, told, and back: the goods are there before the buyer is."""
    page = both.arrive(str(hanako.go_on(lang=lang).location))
    asking = words(both.page(page).text)
    assert asked_for in asking
    assert item in asking
    assert (outside.grants(), both.collected()) == ([], 0)
    assert heard in both.pay(page)
    assert both.state() == ("paid", True)
    back = hanako.get(both.back(page))
    assert f'<html lang="{lang}">' in back.text
    assert state_of(back) == "complete"
    assert item in heading(back.text)
    payment = both.only()
    assert outside.payment(payment.code).reference == payment.reference
    assert outside.grants() == [(f"external:{payment.code}", "excalibur", 1)]
    assert earned(hanako.app) == both.collected() == YEN


def test_cancelled(hanako: Browser, both: Both, outside: Outside) -> None:
    """Who thinks better of it has paid nothing and got nothing, and both sides say so."""
    page = both.arrive(str(hanako.go_on(lang="en").location))
    assert "Nothing was paid." in both.cancel(page)
    assert both.state() == ("cancelled", True)
    back = hanako.get(both.back(page))
    assert state_of(back) == "cancel"
    assert "Excalibur" in heading(back.text)
    assert "nothing-paid" in says(back.text)
    assert (outside.grants(), earned(hanako.app), both.collected()) == ([], 0, 0)


def test_back_before_deciding(hanako: Browser, both: Both, outside: Outside) -> None:
    """Who comes back undecided learns that nothing was paid yet, and can still pay."""
    location = str(hanako.go_on(lang="en").location)
    page = both.arrive(location)
    code = asked(location)["payment"]
    assert "not-told" in says(hanako.finish(code, lang="en").text)
    both.pay(page)
    assert state_of(hanako.finish(code)) == "complete"


def test_the_answer_is_lost(hanako: Browser, both: Both, outside: Outside) -> None:
    """Delivered here, not heard there: told again, the shop says OK and gives out nothing more."""
    page = both.arrive(str(hanako.go_on(lang="en").location))
    both.line.losing = True
    assert "the shop has not answered yet" in both.pay(page)
    assert both.state() == ("paid", False)
    assert (len(outside.grants()), earned(hanako.app)) == (1, YEN)
    both.line.losing = False
    assert "The shop said OK." in both.again()
    assert both.state() == ("paid", True)
    for _ in range(3):
        both.again()
    assert (len(outside.grants()), len(outside.entries())) == (1, 1)
    assert earned(hanako.app) == both.collected() == YEN


def test_the_shop_was_not_there(
    hanako: Browser, both: Both, outside: Outside, later: Callable[[float], None]
) -> None:
    """A notice that never arrived is sent again when the buyer looks again; then the goods come."""
    location = str(hanako.go_on(lang="en").location)
    page, code = both.arrive(location), asked(location)["payment"]
    both.line.broken = requests.ConnectionError("nobody there")
    both.pay(page)
    assert both.state() == ("paid", False)
    assert state_of(hanako.finish(code)) == "create"
    both.line.broken = None
    later(10)
    assert "The shop knows of your payment." in words(both.page(page).text)
    assert state_of(hanako.finish(code)) == "complete"
    assert (len(outside.grants()), both.collected()) == (1, YEN)


def test_the_database_was_not_there(hanako: Browser, both: Both, outside: Outside) -> None:
    """While the shop's database is broken its answer returns no money; told again, it delivers once."""
    page = both.arrive(str(hanako.go_on(lang="en").location))
    with hanako.app.app_context():
        with db.engine.begin() as connection:
            connection.execute(text("ALTER TABLE entry RENAME TO lost"))
        both.pay(page)
        with db.engine.begin() as connection:
            connection.execute(text("ALTER TABLE lost RENAME TO entry"))
    assert both.state() == ("paid", False)
    assert (outside.grants(), both.told().last.status) == ([], 503)  # type: ignore[union-attr]
    both.again()
    assert both.state() == ("paid", True)
    assert (len(outside.grants()), earned(hanako.app)) == (1, YEN)


def test_sold_out_meanwhile(hanako: Browser, both: Both, outside: Outside) -> None:
    """What is gone when the money comes is paid back at once, and both sides say so."""
    location = str(hanako.go_on("fireworks", lang="en").location)
    page = both.arrive(location)
    limit(hanako.app, "fireworks", stock=0)
    assert "We gave ¥550 back to you." in both.pay(page)
    assert both.state() == ("refunded", True)
    back = hanako.get(both.back(page)).text
    assert "Harbour fireworks" in heading(back)
    assert says(back) >= {"is-paid-back", "sold_out"}
    assert "¥550" in sentence(back, "is-paid-back")
    limit(hanako.app, "fireworks", stock=5)
    later_on = hanako.get(both.back(page))
    assert state_of(later_on) == "refund"
    assert (outside.grants(), earned(hanako.app), both.collected()) == ([], 0, 0)


def test_sold_out_and_not_heard(hanako: Browser, both: Both, outside: Outside) -> None:
    """A lost word of REFUND is said again when it is asked for again, even if there is stock by then."""
    page = both.arrive(str(hanako.go_on("fireworks").location))
    limit(hanako.app, "fireworks", stock=0)
    both.line.losing = True
    both.pay(page)
    assert both.state() == ("paid", False)
    both.line.losing = False
    limit(hanako.app, "fireworks", stock=5)
    both.again()
    assert both.state() == ("refunded", True)
    assert (outside.grants(), both.collected()) == ([], 0)


@pytest.mark.parametrize(
    ("how", "said", "state"),
    [
        ("refunds", "paid-back", "refunded"),
        ("chargebacks", "nothing-paid", "chargeback"),
    ],
)
def test_the_money_goes_back(
    hanako: Browser, both: Both, outside: Outside, how: str, said: str, state: str
) -> None:
    """A button of the provider's gives the money back: goods and entry are taken back, both sides say so."""
    page = both.arrive(str(hanako.go_on(lang="en").location))
    both.pay(page)
    both.undo(how)
    assert both.state() == (state, True)
    assert "In all, you have paid nothing." in words(both.page(page).text)
    back = hanako.get(both.back(page))
    assert (state_of(back), "¥110" in sentence(back.text, said)) == (state, True)
    both.again()
    assert sum(quantity for _, _, quantity in outside.grants()) == 0
    assert earned(hanako.app) == both.collected() == 0


def test_back_before_the_shop_was_there(hanako: Browser, both: Both, outside: Outside) -> None:
    """The shop hears of the money when it is back already: nothing is given out, then or later."""
    page = both.arrive(str(hanako.go_on(lang="en").location))
    both.line.broken = requests.ConnectionError("nobody there")
    both.pay(page)
    both.line.broken = None
    both.undo("refunds")
    assert both.state() == ("refunded", True)
    assert (outside.grants(), outside.entries(), both.collected()) == ([], [], 0)


def test_a_second_attempt_that_expires(hanako: Browser, both: Both, outside: Outside) -> None:
    """Of a payment that is delivered, a second attempt's end is heard with OK and changes nothing."""
    both.pay(both.arrive(str(hanako.go_on(lang="en").location)))
    assert "The shop said OK." in both.again("/expired")
    assert (both.told().asides[Kind.EXPIRED].good, both.state()) == (True, ("paid", True))
    assert (len(outside.grants()), earned(hanako.app)) == (1, YEN)


def test_a_declined_card(hanako: Browser, both: Both, outside: Outside) -> None:
    """A declined card is no sale, and the next one that works is one."""
    page = both.arrive(str(hanako.go_on(lang="en").location))
    assert "Your card was declined." in both.press(page, f"{page}/decline")
    assert (both.told().asides[Kind.DECLINED].said, both.state()) == ("OK", ("waiting", False))
    assert (outside.grants(), both.collected()) == ([], 0)
    assert "The shop knows of your payment." in both.pay(page)
    assert (len(outside.grants()), earned(hanako.app)) == (1, YEN)


@pytest.mark.parametrize("before", ["nothing", "pay", "cancel"])
@pytest.mark.parametrize(("kind", "why"), [("sum", "over 110 yen"), ("currency", "in JPY")])
def test_another_sum_or_currency(
    hanako: Browser, both: Both, outside: Outside, before: str, kind: str, why: str
) -> None:
    """Whatever the payment's state, what does not fit it is refused with a reason and changes nothing."""
    page = both.arrive(str(hanako.go_on(lang="en").location))
    if before != "nothing":
        both.press(page, f"{page}/{before}")
    kept = (outside.status(both.only().code), outside.grants(), both.state())
    assert "The shop refused it and said why, as it must." in both.again(f"/{kind}")
    said = both.told().asides[Kind(kind)].said
    assert (why in said, said.startswith("REFUND")) == (True, before != "pay")
    assert (outside.status(both.only().code), outside.grants(), both.state()) == kept


@pytest.mark.parametrize("before", ["nothing", "pay", "cancel"])
def test_a_forged_notice(hanako: Browser, both: Both, outside: Outside, before: str) -> None:
    """Whatever the payment's state, a notice under a wrong signature is refused and changes nothing."""
    page = both.arrive(str(hanako.go_on(lang="en").location))
    if before != "nothing":
        both.press(page, f"{page}/{before}")
    kept = (outside.status(both.only().code), outside.grants(), both.state())
    assert "The shop refused the forged notice, as it must." in both.again("/forged")
    assert (outside.status(both.only().code), outside.grants(), both.state()) == kept
    assert both.told().asides[Kind.FORGED].status == 401


def test_a_double_tap_is_one_payment(hanako: Browser, both: Both, outside: Outside) -> None:
    """Two windows by one form meet at the provider in one payment, which is paid once."""
    fields = hanako.form()
    first, second = (
        both.arrive(str(hanako.post("/external/payments", fields, lang=lang).location))
        for lang in ("ja", "en")
    )
    assert first == second
    both.pay(first)
    assert (len(outside.grants()), both.collected()) == (1, YEN)
    again = both.arrive(str(hanako.post("/external/payments", fields).location))
    assert again == first
    assert (len(outside.grants()), both.collected()) == (1, YEN)


def test_notices_and_buyers_at_once(shop: Flask, hanako: Browser, both: Both, outside: Outside) -> None:
    """Paid in four windows at the same moment, and told as often: one payment, one grant."""
    page = both.arrive(str(hanako.go_on(lang="en").location))
    (form,) = [one for one in html.fromstring(both.page(page).text).forms if one.action == f"{page}/pay"]
    fields, cookie = dict(form.form_values()), both.window.get_cookie("provider-8002", "provider.test")
    assert cookie
    windows = [both.provider.test_client() for _ in range(4)]
    for window in windows:
        window.set_cookie("provider-8002", cookie.value, domain="provider.test")
    pressed: list[int] = []

    def press(window: FlaskClient) -> None:
        answer = window.post(f"{page}/pay", base_url=PROVIDER, data=fields)
        pressed.append(answer.status_code)

    at_once(*[partial(press, window) for window in windows])
    assert pressed == [303] * 4
    assert both.state() == ("paid", True)
    assert (len(outside.grants()), earned(shop), both.collected()) == (1, YEN, YEN)


def test_the_books_agree(shop: Flask, enter: Enter, both: Both, outside: Outside) -> None:
    """Bought, cancelled, paid back and left, by two buyers: what the provider holds is what we entered."""
    limit(shop, "fireworks", stock=1)
    hanako, taro = enter(), enter(who=TARO)
    doings = [
        (hanako, "excalibur", both.pay),
        (taro, "lantern", both.pay),
        (hanako, "lantern", both.cancel),
        (taro, "coat", both.page),
        (taro, "telescope", both.pay),
    ]
    last = [both.arrive(str(buyer.go_on("fireworks").location)) for buyer in (hanako, taro)]
    for buyer, item, do in doings:
        do(both.arrive(str(buyer.go_on(item).location)))
    for page in last:
        both.pay(page)
    assert earned(shop) == both.collected() == 110 + 330 + 10780 + 550
    assert len(outside.grants()) == len(outside.entries()) == 4


def test_names_travel(hanako: Browser, both: Both, outside: Outside) -> None:
    """The provider reads an item's name as the shop wrote it, under a seal that holds."""
    for name in ('Salt & "Pepper" <b>', "a=b&yen=1;c", "100% + 1/2", "灯台守の外套 🗼 & 帆", "~*-_.!'()"):
        limit(hanako.app, "excalibur", names={"ja": name, "en": name})
        location = str(hanako.go_on(lang="en").location)
        page = both.arrive(location)
        assert name in words(both.page(page).text)
        both.pay(page)
        assert outside.status(asked(location)["payment"]) is Status.COMPLETE, name


def test_a_buyer_who_edits_the_address(hanako: Browser, both: Both, outside: Outside) -> None:
    """What a buyer changes in the address on the way is refused at the provider; nothing is paid."""
    location = str(hanako.go_on(lang="en").location)
    for said, changed in (
        ("yen=110", "yen=1"),
        ("item=", "item=x"),
        ("lang=en", "lang=ja"),
        ("merchant=", "merchant=x"),
    ):
        assert said in location
        answer = both.page(location.removeprefix(PROVIDER).replace(said, changed))
        assert answer.status_code == 401, said
    assert (both.collected(), outside.grants()) == (0, [])


@pytest.mark.parametrize("mine", ["merchant_secret", "merchant"])
def test_another_shops_provider(
    hanako: Browser, join: Callable[..., Both], outside: Outside, mine: str
) -> None:
    """A provider that knows the shop by another secret, or another name, takes no money in its name."""
    theirs = {"merchant_secret": SecretStr("another"), "merchant": "somebody"}
    other = join(**{mine: theirs[mine]})
    answer = other.page(str(hanako.go_on(lang="en").location).removeprefix(PROVIDER))
    assert (answer.status_code, other.collected()) == (401, 0)
