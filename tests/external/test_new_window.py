"""The door out from a frame: the new window brings no cookie, so the form and the address back say all."""

from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from sqlalchemy import update
from werkzeug.test import TestResponse

from storefront import clock
from storefront.db import transaction
from storefront.external.payments import ExternalPayment
from storefront.external.registration import Facts
from storefront.shop import customers
from storefront.shop.visits import Opened
from tests.external.conftest import (
    DAY,
    Browser,
    Enter,
    Outside,
    asked,
    fields_of,
    limit,
    notice,
    record,
    tell,
)
from tests.street import HANAKO, SHOP, TARO, at_once, says, words

FORM = "/external/payments"
OTHER_SITES = ["cross-site", "same-site", "none"]


@pytest.fixture
def window(shop: Flask) -> FlaskClient:
    """What a browser opens for a form of a page in another site's frame: a window without its cookie."""
    return shop.test_client()


def went(answer: TestResponse) -> dict[str, str]:
    """What the provider is told of a buyer who has gone on."""
    assert answer.status_code == 303, answer.text
    return asked(str(answer.location))


def way_back(answer: TestResponse) -> str:
    """Where the provider sends the buyer back to, inside the shop."""
    return went(answer)["back"].removeprefix(SHOP)


def links(page: TestResponse) -> list[str]:
    return [str(link.get("href")) for link in html.fromstring(page.text).iter("a")]


@pytest.mark.parametrize("site", [None, "same-origin"])
@pytest.mark.parametrize(("lang", "item"), [("ja", "エクスカリバー"), ("en", "Excalibur")])
def test_the_form_says_who_goes(
    hanako: Browser, window: FlaskClient, outside: Outside, lang: str, item: str, site: str | None
) -> None:
    """A window that knows of no visit pays for whom the warning was shown to, in their language."""
    (form,) = html.fromstring(hanako.warning(lang=lang).text).cssselect("form.twins")
    headers = {"Sec-Fetch-Site": site} if site else {}
    answer = window.post(str(form.get("action")), data=hanako.form(lang=lang), headers=headers)
    said = went(answer)
    assert (said["item"], said["yen"], said["lang"]) == (item, "110", lang)
    assert "Set-Cookie" not in answer.headers, "the window comes into no visit by it"
    with hanako.app.app_context():
        mine = customers.identify("mixi", HANAKO, clock.now()).id
    assert outside.payment(said["payment"]).customer_id == mine


def test_once_in_whatever_window(hanako: Browser, shop: Flask, outside: Outside) -> None:
    """One form in eight windows at the same moment is one payment."""
    fields = hanako.form()
    codes: list[str] = []

    def press(window: FlaskClient) -> None:
        codes.append(went(window.post(FORM, data=fields))["payment"])

    at_once(*[partial(press, shop.test_client()) for _ in range(8)])
    assert len(set(codes)) == 1
    assert outside.payments() == 1


@pytest.mark.parametrize("site", OTHER_SITES)
def test_another_sites_page_sends_nobody_out(
    hanako: Browser, window: FlaskClient, outside: Outside, site: str
) -> None:
    """An attacker's own form, sent from the attacker's page, takes no victim to pay for it."""
    answer = window.post(FORM, data=hanako.form(), headers={"Sec-Fetch-Site": site})
    assert (answer.status_code, "Location" in answer.headers) == (401, False)
    assert outside.payments() == 0


def test_a_window_in_somebody_elses_visit(hanako: Browser, enter: Enter, outside: Outside) -> None:
    """taro's window does not pay for hanako's bag."""
    assert enter(who=TARO).post(FORM, hanako.form()).status_code == 400
    assert outside.payments() == 0


def log_out(hanako: Browser) -> None:
    assert hanako.post("/mixi/leave", fields_of(hanako.get("/").text, "/mixi/leave")).status_code == 200


def remove_the_app(hanako: Browser) -> None:
    with hanako.app.app_context(), transaction() as session:
        session.execute(update(customers.Customer).values(removed_at=clock.now()))


def rest_a_day(hanako: Browser) -> None:
    with hanako.app.app_context(), transaction() as session:
        session.execute(update(Opened).values(opened_at=clock.now() - DAY - DAY))


@pytest.mark.parametrize("ends", [log_out, remove_the_app, rest_a_day])
def test_a_form_ends_with_its_visit(
    hanako: Browser, window: FlaskClient, outside: Outside, ends: object
) -> None:
    """What lay open when the visit ended leads nowhere."""
    fields = hanako.form()
    ends(hanako)  # type: ignore[operator]
    assert window.post(FORM, data=fields).status_code == 401
    assert outside.payments() == 0


def test_a_closed_door_in_a_new_window(hanako: Browser, window: FlaskClient, outside: Outside) -> None:
    """The rule is named there, too; nothing leads into an app that the window cannot open."""
    fields = hanako.form()
    record(hanako.app, Facts())
    answer = window.post(f"{FORM}?lang=en", data=fields)
    assert answer.status_code == 403
    assert says(answer.text) >= {"rule", "close-window"}
    assert links(answer) == []
    assert outside.payments() == 0


def test_sold_out_in_a_new_window(hanako: Browser, window: FlaskClient) -> None:
    """So is what the shop cannot sell any more."""
    fields = hanako.form()
    limit(hanako.app, "excalibur", stock=0)
    answer = window.post(f"{FORM}?lang=en", data=fields)
    assert answer.status_code == 409
    assert says(answer.text) == {"sold_out", "nothing-paid", "close-window"}
    assert links(answer) == []


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("paid", "paid"),
        ("cancelled", "nothing-paid"),
        ("", "not-told"),
    ],
)
def test_the_way_back_shows_one_payment(
    hanako: Browser, window: FlaskClient, outcome: str, said: str
) -> None:
    """The signed address shows how this payment stands, without a visit, and opens nothing else."""
    hanako.leave("lantern")
    back = way_back(window.post(f"{FORM}?lang=en", data=hanako.form()))
    if outcome:
        tell(hanako.app, notice(urlsplit(back).path.rpartition("/")[2], outcome=outcome))
    page = window.get(back)
    assert page.status_code == 200
    assert says(page.text) == {said, "close-window"}
    assert "Excalibur" in words(page.text)
    assert "Lantern" not in words(page.text)
    assert links(page) == ([] if outcome else [back])
    assert "Set-Cookie" not in page.headers
    assert {window.get(path).status_code for path in ("/inventory", "/history", "/items/loaf")} == {401}


def test_back_in_a_window_that_knows_the_visit(hanako: Browser) -> None:
    """Whose own window it is finds bag and shelf there as ever."""
    back = hanako.get(way_back(hanako.go_on(lang="en")))
    assert "/inventory?lang=en" in links(back)


def test_back_in_somebody_elses_window(hanako: Browser, enter: Enter) -> None:
    """The address says what is shown: hanako's payment, and nothing of taro's around it."""
    back = way_back(hanako.go_on(lang="en"))
    page = enter(who=TARO).get(back)
    assert page.status_code == 200
    assert TARO[-4:] not in page.text
    assert "/inventory" not in page.text


@pytest.mark.parametrize("altered", ["no seal", "another's seal", "another payment", "a day later"])
def test_only_as_it_was_signed(hanako: Browser, window: FlaskClient, altered: str) -> None:
    """Neither another payment nor another seal, and not for ever."""
    back, other = (way_back(hanako.go_on()) for _ in range(2))
    path, _, query = back.partition("?")
    address = {
        "no seal": path,
        "another's seal": f"{path}?{other.partition('?')[2]}",
        "another payment": f"{other.partition('?')[0]}?{query}",
        "a day later": back,
    }[altered]
    if altered == "a day later":
        assert window.get(back).status_code == 200
        past = clock.now() - DAY - timedelta(seconds=1)
        with hanako.app.app_context(), transaction() as session:
            session.execute(update(ExternalPayment).values(created_at=past))
    assert window.get(address).status_code == 401
