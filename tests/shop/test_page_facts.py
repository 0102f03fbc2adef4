"""The facts that pages carry for who reads no words: which page it is, and what stands on it."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from lxml import html
from sqlalchemy import update
from werkzeug.test import TestResponse

from storefront import clock
from storefront.db import Model, transaction
from storefront.mixi import taps
from storefront.mixi.payments import Payment, Status
from storefront.mixi.taps import Intent
from storefront.shop.catalog import Item
from storefront.shop.limits import Reason
from tests.databases import on_sqlite
from tests.street import Container, ScriptedApi, only_form, words

TEMPLATES = Path(__file__).parents[2] / "templates"
TAPS = 10
changed = pytest.mark.changed


def page(answer: TestResponse) -> str | None:
    """Which page it is."""
    return html.fromstring(answer.text).cssselect("main")[0].get("data-page")


def facts(answer: TestResponse, name: str) -> list[dict[str, str]]:
    """What is said of each thing that has a fact of this name."""
    found = html.fromstring(answer.text).cssselect(f"main [data-{name}], main[data-{name}]")
    return [
        {key.removeprefix("data-"): str(said) for key, said in one.items() if key.startswith("data-")}
        for one in found
    ]


def change(app: Flask, model: type[Model], *which: object, **values: object) -> None:
    with app.app_context(), transaction() as session:
        session.execute(update(model).where(*which).values(values))  # type: ignore[arg-type]


def test_every_page_says_which_it_is() -> None:
    """Each page of the shop names itself by a word, whatever it is called in its languages."""
    for path in [TEMPLATES / "error.html", *(TEMPLATES / "shop").glob("*.html")] + [
        path for room in ("mixi", "external") for path in (TEMPLATES / room).glob("*.html")
    ]:
        text = path.read_text()
        if '{% extends "layout.html" %}' in text:
            assert len(re.findall(r'{% block page %} data-page="[^"]+"', text)) == 1, path


@on_sqlite
def test_shelf_and_item(container: Container) -> None:
    """The shelf has each item with what it costs; an item's page says all that its terms are."""
    shelf = container.get("/")
    assert page(shelf) == "shelf"
    assert {"item": "excalibur", "amount": "100"} in facts(shelf, "item")
    assert len(facts(shelf, "item")) == 11
    item = container.get("/items/loaf")
    assert page(item) == "item"
    assert facts(item, "item") == [{"item": "loaf", "amount": "10", "unit": "point", "consumable": "yes"}]
    assert facts(container.get("/items/fireworks"), "left")[0]["left"] == "5"
    ticket = facts(container.get("/items/ticket"), "item")[0]
    assert ticket["allowed"] == "1"
    assert "consumable" not in facts(container.get("/items/lantern"), "item")[0]
    assert facts(container.get("/items/telescope"), "item")[0]["reason"] == "elsewhere"


@on_sqlite
@changed(selling=False)
def test_why_there_is_no_button(container: Container) -> None:
    """Where an item cannot be bought the page says why in a word."""
    assert facts(container.get("/items/loaf"), "item")[0]["reason"] == "stopped"


@on_sqlite
def test_bag_history_and_finish(container: Container) -> None:
    """What is held and how each purchase stands, in the platform's words, and what the ledger has of it."""
    code = container.start("loaf")
    back = container.get("/mixi/finish", point_code=code)
    assert page(back) == "finish"
    assert facts(back, "payment") == [{"payment": code, "state": "create"}]
    assert container.callback(code).text == "OK"
    bag, history = container.get("/inventory"), container.get("/history")
    assert (page(bag), page(history)) == ("bag", "history")
    assert facts(bag, "item") == [{"item": "loaf", "quantity": "1"}]
    bought = {"payment": code, "state": "complete", "booked": "10"}
    assert facts(history, "payment") == [{**bought, "doubt": "yes"}]
    change(container.app, Payment, confirmed_at=clock.now())
    assert facts(container.get("/history"), "payment") == [bought]
    assert "doubt" not in facts(container.get("/mixi/finish", point_code=code), "payment")[0]


@on_sqlite
@pytest.mark.parametrize("reason", Reason)
def test_why_a_callback_was_refused(container: Container, reason: Reason) -> None:
    """The page after a purchase names the reason for which mixi was refused."""
    code = container.start("loaf")
    change(container.app, Payment, refusal=reason)
    (said,) = facts(container.get("/mixi/finish", point_code=code), "payment")
    assert said == {"payment": code, "state": "create", "refusal": reason.value}


@on_sqlite
def test_a_start_that_failed(container: Container, api: ScriptedApi) -> None:
    """It is said at once and on the page after it, as a container may have replaced the first."""
    form = only_form(container.get("/items/loaf").text)
    api.status = "500 ERROR"
    answer = container.post(*form)
    assert page(answer) == "not-started"
    assert facts(answer, "notice") == [{"notice": "not-started"}]
    assert facts(container.get("/"), "notice") == [{"notice": "not-started"}]
    assert facts(container.get("/history"), "notice") == [{"notice": "not-started"}]


@on_sqlite
@changed(mixi_taps_per_minute=TAPS)
def test_presses_that_make_nothing(
    container: Container, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form that is used up, waiting, stale, pressed too often, or sells no more: each has a word."""
    monkeypatch.setattr(taps, "SECOND_TAP_SECONDS", 0.1)
    form = only_form(container.get("/items/loaf").text)
    late = only_form(container.get("/items/coat").text)
    container.post(*form)
    change(container.app, Intent, started_at=clock.now() - timedelta(minutes=5))
    spent = container.post(*form)
    assert page(spent) == "spent"
    assert facts(spent, "payment")[0]["state"] == Status.CREATE.value
    change(container.app, Intent, started_at=clock.now(), redirect=None)
    assert page(container.post(*form)) == "being-prepared"
    assert page(container.post(form[0], {**form[1], "token": "x"})) == "stale"
    answers = [container.post(*only_form(container.get("/items/moss").text)) for _ in range(TAPS)]
    assert page(answers[-1]) == "too-many"
    change(container.app, Item, Item.id == "coat", stock=0)
    sold_out = container.post(*late)
    assert (page(sold_out), facts(sold_out, "reason")) == ("error", [{"page": "error", "reason": "sold_out"}])


@on_sqlite
@changed(under_age_limits="15:5000")
def test_the_question_for_the_age(container: Container) -> None:
    """Where it is asked, the item says that it is, beside its price, and the page that asks is named."""
    item = container.get("/items/loaf")
    assert facts(item, "item")[0]["reason"] == "age_unknown"
    assert "10pt" in words(item.text)
    assert page(container.get("/age")) == "age"


@on_sqlite
def test_door_law_and_errors(container: Container) -> None:
    """Who is not known stands at the door; the law and what is not there have names, too."""
    stranger = container.app.test_client()
    assert page(stranger.get("/")) == page(stranger.get("/inventory")) == "door"
    assert page(stranger.get("/legal")) == "legal"
    assert page(container.get("/nowhere")) == "error"
