"""Points are taken exactly when a payment completes, and only its buyer can make it complete."""

import re
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from flask import Flask
from sqlalchemy import update
from werkzeug import Request, Response

from storefront.mixi import signing
from storefront.sandbox import clock, people
from storefront.sandbox.mixi import caller, payments
from storefront.sandbox.mixi.payments import Question
from storefront.sandbox.store import transaction
from tests.sandbox.conftest import (
    APP,
    KEY,
    PLATFORM,
    SECRET,
    SHOP,
    TEST_XML,
    Begin,
    Phone,
    Purchase,
    Sap,
    Shop,
    ok,
    owner,
    read_created,
)
from tests.wire import Wire

NO = {
    "wrong status": {"body": "OK", "status": 500, "content_type": "text/plain"},
    "created": {"body": "OK", "status": 201, "content_type": "text/plain"},
    "wrong type": {"body": "OK", "content_type": "text/html"},
    "no type": {"body": "OK", "content_type": ""},
    "wrong body": {"body": "CANCEL", "content_type": "text/plain"},
    "lower case": {"body": "ok", "content_type": "text/plain"},
    "more than OK": {"body": "OK then", "content_type": "text/plain"},
    "nothing": {"body": "", "content_type": "text/plain"},
    "redirect": {"body": "OK", "status": 302, "content_type": "text/plain", "Location": f"{SHOP}/ok"},
}


def finish(phone: Phone, purchase: Purchase) -> str:
    """Where the result screen's link leads."""
    text = phone.get(purchase.url.removeprefix(PLATFORM)).text
    found = re.search(r'data-finish href="([^"]+)"', text)
    assert found, text
    return found[1].replace("&amp;", "&")


def test_hanako_buys_excalibur(begin: Begin, shop: Shop, balance: Callable[[str], int]) -> None:
    """After OK the payment is complete and exactly its points are gone."""
    phone, purchase = begin()
    assert phone.screen(purchase.url) == "confirm"
    assert phone.buy(purchase.url) == "bought"
    assert balance("hanako") == 49_900
    assert shop.status(purchase.code) == "complete"


def test_the_callback_says_five_things_under_a_signature(begin: Begin, sap: Sap) -> None:
    """The app is asked with exactly five parameters, all signed."""
    phone, purchase = begin()
    phone.buy(purchase.url)
    asked = sap.last
    assert asked.method == "GET"
    signed = signing.Consumer(KEY, (SECRET,)).verify(
        "GET",
        f"{SHOP}/callback",
        asked.environ["QUERY_STRING"].encode(),
        asked.headers["Authorization"],
        now=int(time.time()),
        window=60,
    )
    said = dict(parse_qsl(asked.environ["QUERY_STRING"]))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said.pop("updated"))
    assert said == {
        "opensocial_app_id": APP,
        "opensocial_owner_id": owner("hanako"),
        "point_code": purchase.code,
        "status": "10",
    }
    assert "updated%3D" in signed.base_string


def test_the_way_back_leads_through_the_container(begin: Begin, sap: Sap) -> None:
    """The finish link opens the app's page with the code and 10, through the container."""
    phone, purchase = begin()
    phone.buy(purchase.url)
    sap.says("/finish", "<body>thank you</body>")
    answer = phone.get(finish(phone, purchase))
    assert "thank you" in answer.text
    assert sap.last.args["point_code"] == purchase.code
    assert sap.last.args["status"] == "10"


def test_exactly_enough(begin: Begin, balance: Callable[[str], int]) -> None:
    """A balance of exactly the price suffices."""
    phone, purchase = begin("taro")
    assert phone.buy(purchase.url) == "bought"
    assert balance("taro") == 0


def test_a_little_short(begin: Begin, balance: Callable[[str], int], shop: Shop) -> None:
    """Short of points, the buyer tops up and the same purchase goes on."""
    phone, purchase = begin("yuki")
    assert phone.screen(purchase.url) == "shortage"
    assert phone.buy(purchase.url, "top-up", points="100") == "confirm"
    assert balance("yuki") == 180
    assert phone.buy(purchase.url) == "bought"
    assert balance("yuki") == 80
    assert shop.status(purchase.code, "yuki") == "complete"


def test_short_of_points_nobody_is_asked(begin: Begin, sap: Sap, balance: Callable[[str], int]) -> None:
    """Pressing buy without the points asks nothing and takes nothing."""
    phone, purchase = begin("jiro")
    asked = len(sap.heard)
    assert phone.buy(purchase.url) == "shortage"
    assert len(sap.heard) == asked
    assert balance("jiro") == 0


def test_only_the_offered_amounts(begin: Begin, balance: Callable[[str], int]) -> None:
    """A top-up of any other amount is refused."""
    phone, purchase = begin("yuki")
    path = purchase.url.removeprefix(PLATFORM)
    for points in ("7", "-100", "many", "999999999999999999999"):
        assert phone.press(path, f"{path}/top-up", points=points).status_code == 400
    assert balance("yuki") == 80


def test_cancel(begin: Begin, shop: Shop, sap: Sap, balance: Callable[[str], int]) -> None:
    """A cancel the app accepts ends the payment, and the way back says 20."""
    phone, purchase = begin()
    assert phone.buy(purchase.url, "cancel") == "cancelled"
    assert sap.last.args["status"] == "20"
    assert "status%3D20" in finish(phone, purchase)
    assert shop.status(purchase.code) == "cancel"
    assert balance("hanako") == 50_000


def test_cancel_that_the_app_refuses(begin: Begin, shop: Shop, sap: Sap) -> None:
    """A cancel the app does not accept leaves the payment as it was."""
    phone, purchase = begin()
    sap.says("/callback", "NO", 500, content_type="text/plain")
    assert phone.buy(purchase.url, "cancel") == "failed"
    assert shop.status(purchase.code) == "create"


def test_leaving_without_deciding(begin: Begin, shop: Shop, sap: Sap) -> None:
    """Who just leaves is asked nothing about, and the payment stays as it was."""
    phone, purchase = begin()
    asked = len(sap.heard)
    assert "Leave without" in phone.get(purchase.url.removeprefix(PLATFORM) + "?lang=en").text
    phone.get("/")
    assert len(sap.heard) == asked
    assert shop.status(purchase.code) == "create"


def test_time_runs_out(begin: Begin, later: Callable[[float], None], sap: Sap, shop: Shop) -> None:
    """An old payment screen is closed, and buying there does nothing."""
    phone, purchase = begin()
    path = purchase.url.removeprefix(PLATFORM)
    asked = len(sap.heard)
    later(181)
    answer = phone.get(path)
    assert (answer.status_code, Phone.screen_of(answer)) == (410, "expired")
    assert phone.post(f"{path}/buy").status_code == 410
    assert len(sap.heard) == asked
    assert shop.status(purchase.code) == "create"


def test_each_step_gives_more_time(begin: Begin, later: Callable[[float], None]) -> None:
    """Every step keeps the screen open for another while."""
    phone, purchase = begin()
    for _ in range(3):
        later(170)
        assert phone.screen(purchase.url) == "confirm"


def test_a_result_stays(begin: Begin, later: Callable[[float], None]) -> None:
    """Coming back to a finished purchase shows its result, however late."""
    phone, purchase = begin()
    phone.buy(purchase.url)
    later(10_000)
    assert phone.screen(purchase.url) == "bought"


def test_not_by_redirect(phone: Phone, shop: Shop) -> None:
    """An interface address that was merely opened stays closed."""
    phone.belongs_to("hanako").page(f"{SHOP}/")
    purchase = read_created(shop.create())
    answer = phone.get(purchase.url.removeprefix(PLATFORM))
    assert (answer.status_code, Phone.screen_of(answer)) == (403, "closed")


def test_somebody_else(begin: Begin, app: Flask, sap: Sap, balance: Callable[[str], int]) -> None:
    """Another user's phone can neither see nor press, even by a redirect."""
    _, purchase = begin()
    other = Phone(app.test_client()).belongs_to("taro")
    other.page(f"{SHOP}/buy")
    path = purchase.url.removeprefix(PLATFORM)
    assert other.get(path).status_code == 403
    assert other.post(f"{path}/buy").status_code == 403
    assert Phone(app.test_client()).get(path).status_code == 403
    assert balance("hanako") == 50_000


def test_an_address_nobody_was_given(phone: Phone) -> None:
    """An unknown interface address is closed."""
    assert phone.get("/point/nothing").status_code == 403


@pytest.mark.parametrize("action", ["buy", "cancel", "top-up"])
def test_forms_from_elsewhere(begin: Begin, sap: Sap, balance: Callable[[str], int], action: str) -> None:
    """A form that this browser was not given does nothing."""
    phone, purchase = begin()
    asked = len(sap.heard)
    path = purchase.url.removeprefix(PLATFORM)
    assert phone.post(f"{path}/{action}", data={"form_token": "guess", "points": "100"}).status_code == 400
    assert len(sap.heard) == asked
    assert balance("hanako") == 50_000


@pytest.mark.parametrize("no", NO.values(), ids=NO.keys())
def test_anything_but_ok_takes_nothing(
    begin: Begin, sap: Sap, shop: Shop, balance: Callable[[str], int], no: dict[str, Any]
) -> None:
    """Without a plain OK nothing is charged, the payment stays, and the way back says 20."""
    phone, purchase = begin()
    sap.scripts["/ok"] = ok
    sap.says("/callback", **no)
    assert phone.buy(purchase.url) == "failed"
    assert balance("hanako") == 50_000
    assert shop.status(purchase.code) == "create"
    assert "status%3D20" in finish(phone, purchase)


@pytest.mark.parametrize(
    "broken", [requests.ConnectionError(), requests.ReadTimeout(), ValueError(), OSError()]
)
def test_silence_takes_nothing(
    begin: Begin, wire: Wire, shop: Shop, balance: Callable[[str], int], broken: Exception
) -> None:
    """An app that does not answer is not paid."""
    phone, purchase = begin()
    wire.broken = broken
    assert phone.buy(purchase.url) == "failed"
    assert balance("hanako") == 50_000
    assert shop.status(purchase.code) == "create"


def test_a_late_ok_takes_nothing(
    make: Callable[..., Flask], app: Flask, sap: Sap, begin: Begin, balance: Callable[[str], int]
) -> None:
    """An OK after the time is up is no OK."""
    let_go = threading.Event()

    def slow(request: Request) -> Response:
        let_go.wait(30)
        return ok(request)

    _, purchase = begin()
    sap.scripts["/callback"] = slow
    hasty = Phone(make(callback_seconds=1).test_client()).belongs_to("hanako")
    assert hasty.buy(purchase.url) == "failed"
    let_go.set()
    time.sleep(0.2)
    assert balance("hanako") == 50_000


def test_trying_again(begin: Begin, sap: Sap, shop: Shop, balance: Callable[[str], int]) -> None:
    """After a failure the buyer may try once more, and then the points are taken once."""
    phone, purchase = begin()
    sap.says("/callback", "NO", 503, content_type="text/plain")
    assert phone.buy(purchase.url) == "failed"
    sap.says("/callback", " OK\r\n", content_type="text/plain; charset=utf-8")
    assert phone.buy(purchase.url) == "bought"
    assert balance("hanako") == 49_900


def test_strict_about_ok(
    make: Callable[..., Flask], begin: Begin, sap: Sap, balance: Callable[[str], int]
) -> None:
    """In the strict setting, white space around OK is a refusal."""
    _, purchase = begin()
    sap.says("/callback", "OK\n", content_type="text/plain")
    strict = Phone(make(strict_ok_body=True).test_client()).belongs_to("hanako")
    assert strict.buy(purchase.url) == "failed"
    assert balance("hanako") == 50_000


def test_buying_twice(begin: Begin, sap: Sap, balance: Callable[[str], int]) -> None:
    """A press after the end changes nothing and asks nobody."""
    phone, purchase = begin()
    path = purchase.url.removeprefix(PLATFORM)
    token = re.search(r'name="form_token" value="([^"]+)"', phone.get(path).text)
    assert token
    for action in ("buy", "buy", "cancel"):
        phone.post(f"{path}/{action}", data={"form_token": token[1]})
    assert [request.path for request in sap.heard].count("/callback") == 1
    assert balance("hanako") == 49_900


def test_a_double_press_asks_once(begin: Begin, app: Flask, sap: Sap, balance: Callable[[str], int]) -> None:
    """Eight presses at the same moment make one callback, and all see the same result."""
    phone, purchase = begin()
    path = purchase.url.removeprefix(PLATFORM)
    token = re.search(r'name="form_token" value="([^"]+)"', phone.get(path).text)
    cookie = phone.client.get_cookie("sandbox-8001", domain="platform.test")
    assert token
    assert cookie

    def slow(request: Request) -> Response:
        time.sleep(0.5)
        return ok(request)

    sap.scripts["/callback"] = slow
    barrier, seen = threading.Barrier(8), []

    def press() -> None:
        client = app.test_client()
        client.set_cookie("sandbox-8001", cookie.value, domain="platform.test")
        barrier.wait()
        hand = Phone(client)
        hand.post(f"{path}/buy", data={"form_token": token[1]})
        seen.append(hand.screen(purchase.url))

    presses = [threading.Thread(target=press) for _ in range(8)]
    for thread in presses:
        thread.start()
    for thread in presses:
        thread.join()
    assert seen == ["bought"] * 8
    assert [request.path for request in sap.heard].count("/callback") == 1
    assert balance("hanako") == 49_900


def test_points_are_promised_once(begin: Begin, app: Flask, sap: Sap, balance: Callable[[str], int]) -> None:
    """While one purchase is being asked about, its points are not free for another."""
    phone, first = begin("taro")
    _, second = begin("taro")
    started, let_go = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        started.set()
        let_go.wait(30)
        return ok(request)

    sap.scripts["/callback"] = slow
    press = threading.Thread(target=phone.buy, args=(first.url,))
    press.start()
    assert started.wait(30)
    other = Phone(app.test_client()).belongs_to("taro")
    assert other.buy(second.url) == "shortage"
    let_go.set()
    press.join()
    assert balance("taro") == 0
    assert [request.path for request in sap.heard].count("/callback") == 1


def test_points_that_went_elsewhere(
    begin: Begin, app: Flask, sap: Sap, shop: Shop, balance: Callable[[str], int]
) -> None:
    """Points that vanish while the app is asked leave the purchase incomplete, and none is owed."""
    phone, purchase = begin("taro")

    def spending(request: Request) -> Response:
        with app.app_context(), transaction() as session:
            session.execute(update(people.User).values(balance=20))
        return ok(request)

    sap.scripts["/callback"] = spending
    phone.buy(purchase.url)
    assert balance("taro") == 20
    assert shop.status(purchase.code, "taro") == "create"


def test_a_test_purchase_takes_no_points(begin: Begin, shop: Shop, balance: Callable[[str], int]) -> None:
    """A test purchase completes without points, and says so."""
    phone, purchase = begin("mika", TEST_XML)
    page = phone.get(purchase.url.removeprefix(PLATFORM) + "?lang=en").text
    assert "Test purchase" in page
    assert phone.buy(purchase.url) == "bought"
    assert balance("mika") == 0
    assert shop.status(purchase.code, "mika") == "complete"


def test_pay_back(begin: Begin, shop: Shop, balance: Callable[[str], int]) -> None:
    """Points paid back return once, and only the API tells."""
    phone, purchase = begin()
    phone.buy(purchase.url)
    for _ in range(2):
        phone.press("/developer", f"/developer/payments/{purchase.code}/pay-back")
    assert balance("hanako") == 50_000
    assert shop.status(purchase.code) == "pay_back"
    assert phone.screen(purchase.url) == "paid_back"


def test_nothing_to_pay_back(begin: Begin, shop: Shop, balance: Callable[[str], int]) -> None:
    """What was never bought is not paid back."""
    phone, purchase = begin()
    phone.press("/developer", f"/developer/payments/{purchase.code}/pay-back")
    assert balance("hanako") == 50_000
    assert shop.status(purchase.code) == "create"


def test_a_lost_question_is_not_for_ever(
    begin: Begin, app: Flask, later: Callable[[float], None], balance: Callable[[str], int]
) -> None:
    """A question whose asker vanished blocks the purchase no longer than a callback may take."""
    phone, purchase = begin()
    with app.app_context():
        found = payments.by_code(purchase.code)
        assert found
        waits = caller.waits(app.extensions["sandbox"].settings)
        assert payments.claim(found, Question.BUY, clock.now(), waits, real=clock.now())
    assert phone.screen(purchase.url) == "asking"
    later(16)
    assert phone.screen(purchase.url) == "confirm"
    assert phone.buy(purchase.url) == "bought"
    assert balance("hanako") == 49_900


def test_top_up_maintenance(begin: Begin, balance: Callable[[str], int]) -> None:
    """While no points can be obtained the screen says so, and those that are there can be spent."""
    phone, short = begin("yuki")
    rich, enough = begin("hanako")
    phone.press("/developer", "/developer/switches/top_up_maintenance", on="yes")
    path = short.url.removeprefix(PLATFORM)
    assert phone.screen(short.url) == "shortage"
    assert 'data-no-top-up="maintenance"' in phone.get(path).text
    assert phone.press(path, f"{path}/top-up", points="100").status_code == 400
    assert balance("yuki") == 80
    assert rich.buy(enough.url) == "bought"
    phone.press("/developer", "/developer/switches/top_up_maintenance", on="no")
    assert phone.buy(short.url, "top-up", points="100") == "confirm"
