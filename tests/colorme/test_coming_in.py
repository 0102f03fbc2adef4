"""The way in: by the store's consent, and by nothing else."""

from datetime import timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.wrappers import Response

from storefront import clock
from storefront.colorme.contracts import CLOCKS_DIFFER, Contract
from storefront.db import db, transaction
from storefront.shop.visits import Opened
from tests.colorme.conftest import (
    CLIENT_ID,
    CLIENT_SECRET,
    HERE,
    KONDO,
    SATO,
    SCOPE,
    STORE,
    Hooks,
    Kept,
    Store,
    as_json,
    asked,
    come_in,
    trial,
    way_back,
    wrapped,
)
from tests.databases import on_sqlite
from tests.street import Browser, kind

pytestmark = on_sqlite


def test_the_way_in(app: Flask, store: Store, hooks: Hooks, kept: Kept) -> None:
    """Consent, code, token, shop: then the owner is in, and the contract is confirmed."""
    hooks.install()
    assert kept.contract().confirmed_at is None
    browser = Browser(app, HERE)
    begun = browser.get("/colorme/start").location
    assert begun.startswith(f"{STORE}/oauth/authorize?")
    told = asked(begun)
    assert told.pop("state")
    assert told == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": f"{HERE}/colorme/oauth",
        "scope": "write_application_charge",
    }
    answer = browser.get(way_back(browser))
    assert (answer.status_code, answer.location) == (303, f"{HERE}/")
    assert browser.get("/").status_code == 200
    (call,) = store.calls("/oauth/token")
    assert call.form.to_dict() == {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code": "a-code",
        "redirect_uri": f"{HERE}/colorme/oauth",
    }
    assert store.calls("/v1/shop.json")[0].headers["Authorization"] == f"Bearer token-of-{KONDO}"
    assert kept.contract().confirmed_at is not None
    state = asked(browser.get("/colorme/start?lang=en").location)["state"]
    assert browser.get(f"/colorme/oauth?state={state}&code=a-code").location == f"{HERE}/?lang=en"


def test_the_parcel_and_the_token(app: Flask, owner: Browser, kept: Kept, store: Store) -> None:
    """The plan's parcel is there from the first coming in, once; the token is kept encrypted."""
    assert kept.holdings() == {"lantern": 1, "moss": 1}
    come_in(app)
    assert kept.holdings() == {"lantern": 1, "moss": 1}
    with app.app_context():
        token = db.session.scalars(select(Contract.access_token)).one()
    assert token
    assert KONDO not in token


def test_what_the_store_grants(app: Flask, store: Store, hooks: Hooks, kept: Kept) -> None:
    """A token for more than was asked for lets in, however it is told and packed."""
    hooks.install()
    store.title = "近藤\0商店"
    store.answers["/v1/shop.json"] = lambda asked: wrapped({"shop": {"id": KONDO, "title": store.title}})
    for scope in ("", f"{SCOPE} read_products", f"read_products,{SCOPE}", ["read_products", SCOPE]):
        told = {"access_token": "a-token", "token_type": "Bearer", "scope": scope}
        store.answers["/oauth/token"] = partial(wrapped_answer, told)
        come_in(app)
    assert kept.contract().shop_name == "近藤商店"


def wrapped_answer(said: object, asked: object) -> Response:
    return wrapped(said)


def no_answer(asked: object) -> Response:
    raise ConnectionResetError


RUBBISH = as_json("no json at all")
SILENT = {
    "down": ("/oauth/token", lambda asked: Response(status=502)),
    "rubbish for a token": ("/oauth/token", lambda asked: RUBBISH),
    "a list for a token": ("/oauth/token", lambda asked: as_json([1])),
    "brackets without end": ("/oauth/token", lambda asked: Response("[" * 15_000)),
    "a token for ever": (
        "/oauth/token",
        lambda asked: as_json({"access_token": "x", "token_type": "bearer", "expires_in": float("inf")}),
    ),
    "another scope": (
        "/oauth/token",
        lambda asked: as_json({"access_token": "x", "token_type": "bearer", "scope": "read_products"}),
    ),
    "a number for a scope": (
        "/oauth/token",
        lambda asked: as_json({"access_token": "x", "token_type": "bearer", "scope": 5}),
    ),
    "a token of two lines": (
        "/oauth/token",
        lambda asked: as_json({"access_token": "a\nb", "token_type": "bearer", "scope": SCOPE}),
    ),
    "a token in kana": (
        "/oauth/token",
        lambda asked: as_json({"access_token": "あ", "token_type": "bearer", "scope": SCOPE}),
    ),
    "a token without end": (
        "/oauth/token",
        lambda asked: as_json({"access_token": "x" * 600, "token_type": "bearer", "scope": SCOPE}),
    ),
    "our keys are wrong": ("/oauth/token", lambda asked: as_json({"error": "invalid_client"}, 401)),
    "cut": ("/oauth/token", no_answer),
    "no shop": ("/v1/shop.json", lambda asked: as_json({"shop": None})),
    "rubbish for a shop": ("/v1/shop.json", lambda asked: RUBBISH),
    "the shop declined": ("/v1/shop.json", lambda asked: as_json({"errors": []}, 401)),
    "the shop is cut": ("/v1/shop.json", no_answer),
    "no day": ("/calendar.json", lambda asked: Response(status=500)),
}


def test_a_store_that_is_not_well(app: Flask, store: Store, hooks: Hooks, kept: Kept) -> None:
    """Down, or answering rubbish: a kind page, 503, and no visit."""
    hooks.install()
    well = dict(store.answers)
    for what, (path, answer) in SILENT.items():
        browser = Browser(app, HERE)
        back = way_back(browser)
        store.answers[path] = answer
        page = browser.get(back)
        assert (what, page.status_code, "<h1>" in page.text) == (what, 503, True)
        assert browser.get("/inventory").status_code == 401
        store.answers.update(well)
    assert kept.contract().confirmed_at is None


def test_who_is_turned_away(app: Flask, store: Store, hooks: Hooks) -> None:
    """Denied, a state that is missing, used, foreign or forged, a spent code: a page, 4xx, and no visit."""
    hooks.install()
    browser = Browser(app, HERE)

    def turned_away(address: str, by: Browser = browser) -> tuple[int, bool, int]:
        page = by.get(address)
        return page.status_code, 'data-page="turned-away"' in page.text, by.get("/inventory").status_code

    assert turned_away(way_back(browser, error="access_denied", error_description="x")) == (403, True, 401)
    assert turned_away("/colorme/oauth?code=a-code") == (400, True, 401)
    assert turned_away("/colorme/oauth?code=a-code&state=forged") == (400, True, 401)
    foreign = way_back(Browser(app, HERE))
    assert turned_away(foreign) == (400, True, 401)
    way_back(browser)
    assert turned_away(foreign) == (400, True, 401)
    assert store.calls("/oauth/token") == []
    store.say("/oauth/token", {"error": "invalid_grant", "error_description": "x"}, 400)
    assert turned_away(way_back(browser)) == (400, True, 401)


def test_a_state_is_good_once(app: Flask, hooks: Hooks) -> None:
    """Even with the cookie it was bound to, which somebody has kept."""
    hooks.install()
    browser = Browser(app, HERE)
    back = way_back(browser)
    cookie = browser.client.get_cookie("colorme-8000", "127.0.0.1")
    assert cookie
    assert browser.get(back).status_code == 303
    thief = Browser(app, HERE)
    thief.client.set_cookie("colorme-8000", cookie.value, domain="127.0.0.1")
    assert thief.get(back).status_code == 400


def test_several_windows(app: Flask, hooks: Hooks) -> None:
    """Each of the last few that a browser has begun in leads in, in any order."""
    hooks.install()
    browser = Browser(app, HERE)
    first, *others = (way_back(browser) for _ in range(6))
    assert [browser.get(back).status_code for back in (*others, first)] == [303] * 5 + [400]


def test_a_shop_without_the_app(app: Flask, store: Store, hooks: Hooks) -> None:
    """403, with the way to the store; the same after an uninstall."""
    hooks.install()
    store.account = SATO
    browser = Browser(app, HERE)
    page = browser.get(way_back(browser))
    assert (page.status_code, f"{STORE}/apps/lighthouse" in page.text) == (403, True)
    store.account = KONDO
    hooks.uninstall()
    assert browser.get(way_back(browser)).status_code == 403


def test_leaving(app: Flask, owner: Browser) -> None:
    """Logged out, a copied cookie opens nothing; the contract stands, and its owner comes in again."""
    copied = owner.client.get_cookie("visit-8000", "127.0.0.1")
    assert copied
    page = owner.press("/", "/colorme/leave")
    assert (page.status_code, owner.get("/inventory").status_code) == (200, 401)
    thief = Browser(app, HERE)
    thief.client.set_cookie("visit-8000", copied.value, domain="127.0.0.1")
    assert thief.get("/inventory").status_code == 401
    assert come_in(app).get("/inventory").status_code == 200


@pytest.mark.parametrize("by", ["log-out", "uninstall"])
def test_a_host_whose_clock_is_fast(app: Flask, owner: Browser, hooks: Hooks, by: str) -> None:
    """A visit that it has opened, almost a minute ahead of us, ends as well."""
    elsewhere = come_in(app)
    with app.app_context(), transaction() as session:
        newest = select(func.max(Opened.opened_at)).scalar_subquery()
        ahead = update(Opened).where(Opened.opened_at == newest)
        session.execute(ahead.values(opened_at=clock.now() + CLOCKS_DIFFER - timedelta(seconds=5)))
    assert elsewhere.get("/inventory").status_code == 200
    if by == "log-out":
        owner.press("/", "/colorme/leave")
    else:
        hooks.uninstall()
        hooks.install("CONTR2")
    assert elsewhere.get("/inventory").status_code == 401


def test_an_uninstall_ends_every_visit(owner: Browser, hooks: Hooks, kept: Kept) -> None:
    """In every browser; and the token is forgotten."""
    hooks.uninstall()
    assert owner.get("/inventory").status_code == 401
    assert kept.contract().access_token is None


@pytest.mark.long
def test_another_owner_in_this_browser(owner: Browser, store: Store, hooks: Hooks) -> None:
    """Who is in is asked before somebody else takes their place."""
    hooks.install("CONTR2", account=SATO, trial_term=trial("2021-07-11", "2021-07-21"))
    store.account = SATO
    asked_first = owner.get(way_back(owner))
    assert "/change" in asked_first.location
    assert KONDO[-6:] in owner.get("/").text


def test_another_owner_in_another_language(owner: Browser, store: Store, hooks: Hooks) -> None:
    """The question, and what comes after it, is in the language of who has just come."""
    hooks.install("CONTR2", account=SATO, trial_term=trial("2021-07-11", "2021-07-21"))
    store.account = SATO
    state = asked(owner.get("/colorme/start?lang=en").location)["state"]
    question = owner.get(f"/colorme/oauth?state={state}&code=a-code").location.removeprefix(HERE)
    page = owner.get(question).text
    assert kind(page) == "change"
    assert '<html lang="en">' in page
    assert owner.press(question, "/change?lang=en").location == f"{HERE}/?lang=en"


def test_out_everywhere(app: Flask, hooks: Hooks) -> None:
    """Who goes ends every visit of theirs, whoever else has its cookie."""
    hooks.install()
    one, other = come_in(app), come_in(app)
    one.press("/", "/colorme/leave")
    assert [browser.get("/colorme/").status_code for browser in (one, other)] == [401, 401]
