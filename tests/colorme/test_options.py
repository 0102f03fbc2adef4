"""Options: an intent, one call, and a state by its answer; what is not known is never guessed."""

import gzip
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select, update
from urllib3.exceptions import MaxRetryError, NewConnectionError
from werkzeug.wrappers import Response

from storefront import clock
from storefront.colorme import charges, contracts, shelf, usage
from storefront.colorme.charges import Charge
from storefront.colorme.intents import State
from storefront.colorme.plan_file import Option
from storefront.colorme.plans import Offered
from storefront.db import db, transaction
from storefront.shop import catalog, form_tokens
from storefront.shop.catalog import Item, Price
from storefront.shop.form_tokens import StaleForm
from tests.colorme.conftest import (
    HERE,
    KEYS,
    KONDO,
    SATO,
    STORE,
    TESTER,
    Hooks,
    Kept,
    Store,
    as_json,
    come_in,
    trial,
    wrapped,
)
from tests.databases import on_sqlite
from tests.operators import in_words
from tests.street import Browser, form_to, says, sentence
from tests.wire import Wire

pytestmark = on_sqlite
CHARGES = "/appstore/v1/application_charges.json"
ACTION = "/colorme/charges"
PARCEL = {"lantern": 1, "moss": 1}


def buy(browser: Browser, item: str = "cloak") -> str:
    """Press the button; the page that it leads to."""
    answer = browser.press(f"/items/{item}", ACTION)
    assert answer.status_code == 303, answer.text
    return browser.get(answer.location).text


def errors(*codes: int) -> Any:
    return {"errors": [{"code": code, "message": "x", "status": code // 1000} for code in codes]}


def test_the_button(owner: Browser) -> None:
    """It carries the price with tax, and the page says what is taken, and when."""
    page = owner.get("/items/cloak?lang=en").text
    assert 'data-amount="550" data-unit="yen"' in page
    said = sentence(page, "what-comes-next")
    assert [sum_said in said for sum_said in ("¥550", "¥500")] == [True, True]


def test_charged(owner: Browser, store: Store, kept: Kept) -> None:
    """201 with an id: unlocked, and entered before tax; a row of the history."""
    page = buy(owner)
    assert 'data-state="charged"' in page
    (call,) = store.calls(CHARGES)
    assert call.json == {"application_charge": {"application_charge_source_id": "CLOAK01"}}
    assert call.headers["Authorization"] == f"Bearer token-of-{KONDO}"
    (charge,) = kept.charges()
    assert kept.holdings() == {**PARCEL, "cloak": 1}
    assert kept.book() == [("sale", f"colorme:{charge.code}", 500)]
    history = owner.get("/history").text
    assert f'data-payment="{charge.code}" data-state="charged"' in history


def test_charged_in_other_wrapping(owner: Browser, store: Store, kept: Kept) -> None:
    """A good answer is one however it is packed, and however it writes a whole number."""
    said = {"application_charge": {"id": "T1", "point": 500.0}}
    store.answers[CHARGES] = lambda asked: wrapped(said, 201)
    assert 'data-state="charged"' in buy(owner)
    assert [amount for *_, amount in kept.book()] == [500]


def test_one_form_is_one_call(owner: Browser, store: Store, kept: Kept) -> None:
    """However often it is sent, and whatever the first send came to."""
    form = form_to(owner.get("/items/cloak").text, ACTION)
    for with_ in (store.charged, refused(500), refused(422)):
        store.answers[CHARGES] = with_
        assert len({owner.post(ACTION, form).location for _ in range(4)}) == 1
        assert owner.get(str(owner.post(ACTION, form).location)).status_code == 200
        form = form_to(owner.get("/items/cloak").text, ACTION)
    assert len(store.calls(CHARGES)) == 3
    assert [charge.state.value for charge in kept.charges()] == ["charged", "unknown", "declined"]


def refused(status: int, said: Any = "", **headers: str) -> Callable[[Any], Response]:
    return lambda asked: as_json(said, status, **headers)


UNREACHED = MaxRetryError(None, "/", NewConnectionError(None, "refused"))  # type: ignore[arg-type]
DECLINED: Mapping[str, Callable[[Any], Response] | Exception] = {
    "short of points": refused(422, errors(422900)),
    "another refusal": refused(402, "<html>"),
    "a code without end": refused(422, {"errors": [{"code": float("inf")}]}),
    "no such option": refused(404, errors(404100)),
    "the token is void": refused(401, errors(401010)),
    "too often": refused(429, errors(429000), **{"Retry-After": "30"}),
    "not reached": requests.ConnectionError(UNREACHED),
    "not reached in time": requests.ConnectTimeout(),
}
UNKNOWN: Mapping[str, Callable[[Any], Response] | Exception] = {
    "broken": refused(500, errors(500000)),
    "out of order": refused(503, "x"),
    "too late": requests.ReadTimeout(),
    "cut": requests.ConnectionError(ConnectionResetError()),
    "rubbish": refused(201, "<html>"),
    "a list": refused(201, [1]),
    "no id": refused(201, {"application_charge": {"point": 500}}),
    "an empty id": refused(201, {"application_charge": {"id": "", "point": 500}}),
    "an id that no database keeps": refused(201, {"application_charge": {"id": "T\0", "point": 500}}),
    "a number for an id": refused(201, {"application_charge": {"id": 1, "point": 500}}),
    "points in text": refused(201, {"application_charge": {"id": "T1", "point": "500"}}),
    "200": refused(200, {"application_charge": {"id": "T1", "point": 500}}),
    "a redirect": refused(302, "", Location=f"{STORE}/elsewhere"),
    "without end": refused(201, "x" * 100_000),
    "a bomb": lambda asked: Response(gzip.compress(bytes(2**24)), 201, {"Content-Encoding": "gzip"}),
}


def answer(app: Flask, store: Store, with_: Callable[[Any], Response] | Exception) -> None:
    wire = Wire(store)
    app.extensions["http"].mount(f"{STORE}/appstore/", wire)
    if isinstance(with_, Exception):
        wire.broken = with_
    else:
        store.answers[CHARGES] = with_


def test_declined(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """Nothing was charged, and the page says so; a fresh form buys."""
    for why, with_ in DECLINED.items():
        answer(app, store, with_)
        assert 'data-state="declined"' in buy(owner), why
        assert (kept.holdings(), kept.book()) == (PARCEL, []), why
    answer(app, store, store.charged)
    assert 'data-state="charged"' in buy(owner)
    assert [charge.state.value for charge in kept.charges()] == [*["declined"] * len(DECLINED), "charged"]


def test_short_of_points(app: Flask, owner: Browser, store: Store) -> None:
    """The page leads to where points are to be had, and only where that may help."""
    for why, helps in {"short of points": True, "the token is void": False, "no such option": False}.items():
        answer(app, store, DECLINED[why])
        assert (f'href="{KEYS["colorme_store_url"]}"' in buy(owner)) == helps, why


def test_unknown(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """Nothing is unlocked, nothing is sent again, and a person has it before their eyes."""
    for number, (why, with_) in enumerate(UNKNOWN.items(), 1):
        answer(app, store, with_)
        assert 'data-state="unknown"' in buy(owner), why
        assert (kept.holdings(), kept.book()) == (PARCEL, []), why
        asked = len(store.calls(CHARGES))
        owner.get("/history")
        assert len(store.calls(CHARGES)) == asked
        with app.app_context():
            assert len(charges.unknown()) == number
    assert all(charge.answer for charge in kept.charges())


def test_nothing_is_held_meanwhile(app: Flask, owner: Browser, store: Store) -> None:
    """No transaction is open while the store thinks, however long that is."""
    open_ones: list[bool] = []

    def answered(asked: Any) -> Response:
        open_ones.append(db.session().in_transaction())
        return store.charged(asked)

    answer(app, store, answered)
    buy(owner)
    assert open_ones == [False]


def test_a_lost_worker(app: Flask, owner: Browser, kept: Kept, store: Store) -> None:
    """A row that is still intended when all its time is over counts as unknown."""
    answer(app, store, UNKNOWN["broken"])
    buy(owner)
    for seconds, state in ((37, "intended"), (39, "unknown")):
        with app.app_context(), transaction() as session:
            sent = clock.now() - timedelta(seconds=seconds)
            session.execute(update(Charge).values(state=State.INTENDED, sent_at=sent))
        assert f'data-state="{state}"' in owner.get("/history").text
        with app.app_context():
            assert charges.count_unknown() == (state == "unknown")
            assert charges.resolve(kept.charges()[0].code, State.DECLINED) == (state == "unknown")


def test_resolved(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """A person's word settles it once: what was charged is unlocked and entered, what was not is not."""
    answer(app, store, UNKNOWN["too late"])
    for state in (State.DECLINED, State.CHARGED):
        buy(owner)
        code = kept.charges()[-1].code
        with app.app_context():
            assert charges.resolve(code, state)
            for other in (State.CHARGED, State.DECLINED):
                assert not charges.resolve(code, other)
        charged = state is State.CHARGED
        assert kept.holdings() == ({**PARCEL, "cloak": 1} if charged else PARCEL)
        assert kept.book() == ([("sale", f"colorme:{code}", 500)] if charged else [])
        assert f'data-payment="{code}" data-state="{state.value}"' in owner.get("/history").text


def meanwhile(app: Flask, store: Store, said: State, then: Callable[[Any], Response]) -> None:
    """A person takes the worker for lost while its call is still on its way, and then it is answered."""

    def answered(asked: Any) -> Response:
        with app.app_context():
            with transaction() as session:
                session.execute(update(Charge).values(sent_at=clock.now() - timedelta(hours=1)))
            assert charges.resolve(charges.unknown()[0].code, said)
        return then(asked)

    answer(app, store, answered)


def test_charged_after_all(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """The store's own word that it has charged stands against a person's that it has not."""
    meanwhile(app, store, State.DECLINED, store.charged)
    assert 'data-state="charged"' in buy(owner)
    (charge,) = kept.charges()
    assert (charge.state, bool(charge.charge_id)) == (State.CHARGED, True)
    assert kept.holdings() == {**PARCEL, "cloak": 1}
    assert kept.book() == [("sale", f"colorme:{charge.code}", 500)]


def test_declined_after_all(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """A refusal after a person's word that it was charged is kept, and shown to the operator."""
    meanwhile(app, store, State.CHARGED, refused(422, errors(422900)))
    buy(owner)
    with app.app_context():
        assert [(one.charged_yen, one.answer) for one in charges.otherwise()] == [(0, "422 422900")]


def test_another_amount_after_all(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """So is an amount that is not the registered one: goods and entry stay as the person has said."""
    store.points["CLOAK01"] = 700
    meanwhile(app, store, State.CHARGED, store.charged)
    buy(owner)
    with app.app_context():
        assert [(one.charged_yen, bool(one.charge_id)) for one in charges.otherwise()] == [(700, True)]
    assert [amount for *_, amount in kept.book()] == [500]


@pytest.mark.long
def test_another_amount(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """What the store says it took is what is entered and shown, and the operator is told."""
    store.points["CLOAK01"] = 700
    for page in (buy(owner), owner.get("/history").text):
        assert "770円" in page
    assert [amount for _, _, amount in kept.book()] == [700]
    with app.app_context():
        assert [charge.charged_yen for charge in charges.otherwise()] == [700]


def test_a_second_press_for_the_last_piece(app: Flask, store: Store, hooks: Hooks, kept: Kept) -> None:
    """It is answered as the first was, though nothing is left by now."""
    hooks.install(plan="SPRAY1")
    browser = come_in(app)
    with app.app_context(), transaction() as session:
        session.execute(update(Item).filter_by(id="moss").values(stock=1))
    form = form_to(browser.get("/items/moss").text, ACTION)
    assert [browser.post(ACTION, form).location for _ in range(2)] == [f"{HERE}/inventory"] * 2
    with app.app_context():
        contract, moss = contracts.standing_of(KONDO), catalog.offer("moss", "colorme")
        assert contract
        assert moss
        code = f"C{form_tokens.nonce(form['token'])}"
        assert not usage.take(contract, moss, code, contract.arrived_at)
    assert kept.holdings() == {"moss": 1}


def test_a_form_is_its_owners(app: Flask, owner: Browser, store: Store, hooks: Hooks) -> None:
    """Neither somebody else, nor another item, nor yesterday's price can be bought by it."""
    form = form_to(owner.get("/items/cloak").text, ACTION)
    assert owner.post(ACTION, {**form, "item": "coat"}).status_code == 400
    hooks.install("CONTR2", account=SATO)
    store.account = SATO
    assert come_in(app).post(ACTION, form).status_code == 400
    with app.app_context(), transaction() as session:
        session.execute(update(Price).filter_by(item_id="cloak", channel="colorme").values(amount=600))
    assert owner.post(ACTION, form).status_code == 400
    assert owner.post(ACTION, {**form, "item": "excalibur"}).status_code == 404
    assert app.test_client().post(ACTION, data=form).status_code == 401
    assert store.calls(CHARGES) == []


def test_two_windows(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """A limit holds for what is on its way, too: that is checked before the store is asked."""
    with app.app_context(), transaction() as session:
        session.execute(update(Item).filter_by(id="cloak").values(per_customer=1))
    first = form_to(owner.get("/items/cloak").text, ACTION)
    answer(app, store, UNKNOWN["broken"])
    assert owner.post(ACTION, first).status_code == 303
    assert owner.press("/items/cloak", ACTION).status_code == 409
    assert len(store.calls(CHARGES)) == 1
    with app.app_context():
        charges.resolve(kept.charges()[0].code, State.DECLINED)
    answer(app, store, store.charged)
    assert 'data-state="charged"' in buy(owner)
    assert owner.post(ACTION, first).status_code == 303


@pytest.mark.long
def test_the_last_of_a_stock(app: Flask, owner: Browser, store: Store, hooks: Hooks) -> None:
    """The same of what is there once for all."""
    with app.app_context(), transaction() as session:
        session.execute(update(Item).filter_by(id="cloak").values(stock=1))
    hooks.install("CONTR2", account=SATO)
    forms = [(owner, form_to(owner.get("/items/cloak").text, ACTION))]
    store.account = SATO
    other = come_in(app)
    forms.append((other, form_to(other.get("/items/cloak").text, ACTION)))
    answer(app, store, UNKNOWN["broken"])
    assert [browser.post(ACTION, form).status_code for browser, form in forms] == [303, 409]


@pytest.mark.long
def test_a_test_shop(app: Flask, hooks: Hooks, store: Store, kept: Kept) -> None:
    """It gets its goods, and nothing was earned."""
    hooks.install(account=TESTER)
    store.account = TESTER
    buy(come_in(app))
    assert kept.holdings(TESTER)["cloak"] == 1
    assert [(kind, amount) for kind, _, amount in kept.book()] == [("test", 0)]


@pytest.mark.long
def test_what_is_not_sold_on_a_plan(owner: Browser, store: Store) -> None:
    """Metered pieces are no button without effect: the page says why."""
    page = owner.get("/items/loaf?lang=en").text
    assert 'data-reason="withheld"' in page
    assert ACTION not in page
    assert sentence(page, "withheld") == in_words(owner.client.application, shelf.NOT_BY_USE)


def test_metered_pieces(app: Flask, hooks: Hooks, store: Store, kept: Kept) -> None:
    """On a plan with usage, after its trial, a press takes one piece on account; one form, one piece."""
    hooks.install(plan="TIDE01", trial_term=trial("2021-07-11", "2021-07-21"))
    browser = come_in(app)
    assert 'data-reason="withheld"' in browser.get("/items/moss").text
    store.now = "2021-07-21T12:00:00+09:00"
    form = form_to(browser.get("/items/moss").text, "/colorme/charges")
    before = kept.holdings().get("moss", 0)
    for _ in range(3):
        assert browser.post("/colorme/charges", form).location == f"{HERE}/inventory"
    assert kept.holdings()["moss"] == before + 1
    assert 'data-usage="150"' in browser.get("/colorme/").text
    assert store.calls(CHARGES) == []


def test_bought_before(app: Flask, owner: Browser, store: Store) -> None:
    """What is for keeps is bought once more only by who has read that it is."""
    assert 'data-had="yes"' not in owner.get("/items/cloak").text
    answer(app, store, DECLINED["short of points"])
    buy(owner)
    assert 'data-had="yes"' not in owner.get("/items/cloak").text
    answer(app, store, UNKNOWN["broken"])
    buy(owner)
    assert 'data-had="yes"' in owner.get("/items/cloak").text
    assert "bought-before" in says(owner.get("/items/cloak?lang=en").text)
    assert 'data-had="yes"' not in owner.get("/items/coat").text


def test_an_old_window(owner: Browser, store: Store, kept: Kept) -> None:
    """What is for keeps is not charged again by a page from before it was bought: nothing is called."""
    first, second = (form_to(owner.get("/items/cloak").text, ACTION) for _ in range(2))
    assert owner.post(ACTION, first).status_code == 303
    refusal = owner.post(ACTION, second)
    assert (refusal.status_code, 'data-page="stale"' in refusal.text) == (400, True)
    assert len(store.calls(CHARGES)) == len(kept.charges()) == 1
    assert owner.post(ACTION, first).status_code == 303
    assert owner.press("/items/cloak", ACTION).status_code == 303
    assert kept.holdings() == {**PARCEL, "cloak": 2}


def test_two_windows_at_once(app: Flask, owner: Browser, store: Store, kept: Kept) -> None:
    """Nor by one that is pressed in the same moment: that is checked where the intent is written."""
    with app.app_context():
        contract, cloak = contracts.standing_of(KONDO), catalog.offer("cloak", "colorme")
        assert contract
        assert cloak
        option = Option(id="CLOAK01", item="cloak")
        charges.buy(contract, option, cloak, "cloak", "one-window")
        with pytest.raises(StaleForm):
            charges.buy(contract, option, cloak, "cloak", "another-window")
    assert len(store.calls(CHARGES)) == len(kept.charges()) == 1


def test_a_form_for_another_kind(app: Flask, hooks: Hooks, store: Store, kept: Kept) -> None:
    """Who agreed to take a piece on account has not agreed to be charged at once, nor the other way round."""
    hooks.install(plan="SPRAY1")
    browser = come_in(app)
    on_account = form_to(browser.get("/items/moss").text, ACTION)
    spent = form_to(browser.get("/items/moss").text, ACTION)
    assert browser.post(ACTION, spent).status_code == 303
    sell(app, metered=["loaf"], options=["cloak", "moss"])
    assert [browser.post(ACTION, form).status_code for form in (on_account, spent)] == [400, 303]
    at_once = form_to(browser.get("/items/moss").text, ACTION)
    sell(app, metered=["loaf", "moss"], options=["cloak"])
    assert browser.post(ACTION, at_once).status_code == 400
    assert (kept.holdings(), store.calls(CHARGES)) == ({"moss": 1}, [])


def test_one_code_for_both_kinds(app: Flask, hooks: Hooks, kept: Kept, store: Store) -> None:
    """An option is settled even where its code has brought a piece on account before."""
    hooks.install(plan="SPRAY1")
    come_in(app)
    with app.app_context():
        contract, moss = contracts.standing_of(KONDO), catalog.offer("moss", "colorme")
        assert contract
        assert moss
        assert usage.take(contract, moss, "one-code", contract.arrived_at)
        charges.buy(contract, Option(id="CLOAK01", item="moss"), moss, "moss", "one-code")
    assert [charge.state for charge in kept.charges()] == [State.CHARGED]
    assert kept.holdings() == {"moss": 2}


@pytest.mark.long
def test_a_form_of_another_contract(app: Flask, hooks: Hooks, store: Store, kept: Kept) -> None:
    """What was agreed to under one contract is not taken under the next."""
    hooks.install(plan="SPRAY1")
    browser = come_in(app)
    forms = [form_to(browser.get(f"/items/{item}").text, ACTION) for item in ("moss", "cloak")]
    hooks.uninstall(plan="SPRAY1", at=store.now)
    hooks.install("CONTR2", plan="SPRAY1")
    browser = come_in(app)
    assert [browser.post(ACTION, form).status_code for form in forms] == [400, 400]
    assert (kept.holdings(), store.calls(CHARGES)) == ({}, [])


def sell(app: Flask, *, metered: list[str], options: list[str]) -> None:
    """Offer these items so."""
    with app.app_context(), transaction() as session:
        row = session.scalars(select(Offered)).one()
        sold = [{"id": f"OPTION{number}", "item": item} for number, item in enumerate(options)]
        row.said = {**row.said, "metered": metered, "options": sold}


def test_a_day_that_nobody_knows(owner: Browser, store: Store, kept: Kept) -> None:
    """Without the calendar nothing is charged."""
    form = form_to(owner.get("/items/cloak").text, ACTION)
    del store.answers["/calendar.json"]
    assert owner.post(ACTION, form).status_code == 503
    assert (store.calls(CHARGES), kept.charges()) == ([], [])
