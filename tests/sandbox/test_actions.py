"""What can be done at the desk beside weather, and that each thing is really done."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug import Request
from werkzeug.test import TestResponse

from storefront.mixi import signing
from storefront.sandbox import clock, happenings, wirelog
from storefront.sandbox import key_pairs as pairs
from storefront.sandbox.happened import Name
from storefront.sandbox.people import FIRST_STAGE
from tests.sandbox.conftest import APP, EVENTS, KEY, SECRET, SHOP, XML, Begin, Phone, Sap, Shop, owner

pytestmark = pytest.mark.long

Logged = Callable[[], list[wirelog.Exchange]]
WORD = "a-word-of-more-than-16-signs"


def act(phone: Phone, action: str, **fields: str) -> TestResponse:
    return phone.press("/desk", f"/desk/actions/{action}", **fields)


def callbacks(sap: Sap) -> list[Request]:
    return [request for request in sap.heard if request.path.startswith("/callback")]


def signed(request: Request) -> signing.Signed:
    return signing.Consumer(KEY, (SECRET,)).verify(
        "GET",
        f"{SHOP}{request.path}",
        request.query_string,
        request.headers.get("Authorization"),
        now=int(clock.now().timestamp()),
        window=60,
    )


@pytest.mark.parametrize("action", ["none", "pay_back", "weather"])
def test_unknown_actions(phone: Phone, action: str) -> None:
    """What is no action is not there."""
    assert act(phone, action).status_code == 404


def test_forms_from_elsewhere(phone: Phone) -> None:
    """Nothing is done by a form that another site has written."""
    paths = ["/desk/weather", "/desk/weather/clear", "/desk/clock", "/desk/switches/approved", "/situations"]
    for path in (*paths, "/desk/actions/send-events", "/log/1/resend"):
        assert phone.post(path, data={"kind": "api.down"}).status_code == 400


def test_pay_back(begin: Begin, shop: Shop, balance: Callable[[str], int]) -> None:
    """Points of a complete purchase come back, once."""
    phone, purchase = begin()
    phone.buy(purchase.url)
    for _ in range(2):
        act(phone, "pay-back", payment=purchase.code)
    assert (balance("hanako"), shop.status(purchase.code)) == (50_000, "pay_back")


def test_send_a_decision(begin: Begin, sap: Sap, balance: Callable[[str], int], shop: Shop) -> None:
    """A decision sent by hand counts as the buyer's own, also when the screen has expired."""
    phone, purchase = begin()
    phone.press("/desk", "/desk/clock", seconds="86400")
    assert act(phone, "send", payment=purchase.code, decision="bought").status_code == 303
    phone.press("/desk", "/desk/clock", to="now")
    assert (balance("hanako"), shop.status(purchase.code)) == (49_900, "complete")
    act(phone, "send", payment=purchase.code, decision="cancelled")
    assert [request.args["status"] for request in callbacks(sap)] == ["10", "20"]
    assert (balance("hanako"), shop.status(purchase.code)) == (49_900, "complete")


def test_send_without_points(begin: Begin, sap: Sap, balance: Callable[[str], int]) -> None:
    """Nobody's purchase is sent who cannot pay for it, and the desk says why."""
    phone, purchase = begin("yuki")
    act(phone, "send", payment=purchase.code, decision="bought")
    assert not callbacks(sap)
    assert "too few points" in phone.get("/desk?lang=en").text


@pytest.mark.parametrize("fault", ["unsigned", "altered", "wrong_key", "bare", "wrong"])
def test_send_a_fault(begin: Begin, sap: Sap, balance: Callable[[str], int], shop: Shop, fault: str) -> None:
    """A fault is sent alone, and moves nothing even if the app believes it."""
    phone, purchase = begin()
    act(phone, "send", payment=purchase.code, fault=fault)
    assert (balance("hanako"), shop.status(purchase.code)) == (50_000, "create")


def test_the_same_request_again(begin: Begin, app: Flask, sap: Sap, logged: Logged) -> None:
    """A row can be sent again to the last byte, or its decision anew; each is a row of its own."""
    phone, purchase = begin()
    phone.buy(purchase.url)
    (row,) = [row for row in logged() if row.kind is wirelog.Kind.CALLBACK]
    phone.press("/desk", f"/log/{row.id}/resend", nonce="same")
    phone.press("/desk", f"/log/{row.id}/resend", nonce="fresh")
    first, same, fresh = callbacks(sap)
    assert first.headers["Authorization"] == same.headers["Authorization"]
    assert first.query_string == same.query_string
    assert signed(fresh).oauth["oauth_nonce"] != signed(first).oauth["oauth_nonce"]
    assert [one.kind for one in logged()[:3]] == [wirelog.Kind.CALLBACK] * 3


def test_the_address_of_a_callback_on_a_phone(begin: Begin, sap: Sap, shop: Shop) -> None:
    """The buyer's phone asks for a callback's address, in the container, with every word but its own."""
    for word in (WORD, f"another-{WORD}"):
        sap.says(f"/callback/{word}", "no", 404, content_type="text/plain")
    pages = {}
    for word in (f"another-{WORD}", WORD):
        phone, purchase = begin("hanako", XML.replace(f"{SHOP}/callback", f"{SHOP}/callback/{word}"))
        pages[word] = purchase
    ways = {"bare": "/callback", "another": f"/callback/another-{WORD}", "wrong": "/callback/"}
    for how, path in ways.items():
        answer = act(phone, "callback-by-phone", payment=pages[WORD].code, how=how)
        assert answer.status_code == 303
        phone.get(answer.headers["Location"])
        assert sap.last.path.startswith(path)
        assert signed(sap.last).one("opensocial_owner_id") == owner("hanako")
        assert sap.last.path.rpartition("/")[2] != WORD


def test_another_ones_finish_page(begin: Begin, sap: Sap) -> None:
    """Somebody else's phone opens a payment's finish page."""
    phone, purchase = begin()
    answer = act(phone, "finish-of", payment=purchase.code, persona="taro")
    phone.get(answer.headers["Location"])
    asked = signed(sap.last)
    assert sap.last.path == "/finish"
    assert (asked.one("opensocial_owner_id"), asked.one("point_code")) == (owner("taro"), purchase.code)


def test_open_unsigned(phone: Phone, sap: Sap, logged: Logged) -> None:
    """A page is asked for in somebody's name, unsigned; the log says whether the app fell for it."""
    sap.says("/bag", "no", 401)
    act(phone, "open-unsigned", persona="hanako", path="/bag")
    assert "Authorization" not in sap.last.headers
    assert sap.last.args["opensocial_owner_id"] == owner("hanako")
    sap.says("/bag", "<h1>Bag</h1>")
    act(phone, "open-unsigned", persona="hanako", path="/bag")
    assert [row.good for row in logged()[:2]] == [False, True]


def test_open_claimed(phone: Phone) -> None:
    """This browser is sent to the app's page with somebody's name in its address, and without a signature."""
    leads = act(phone, "open-claimed", persona="hanako", path="/bag").headers["Location"]
    assert leads == f"{SHOP}/bag?opensocial_app_id={APP}&opensocial_owner_id={owner('hanako')}"
    assert act(phone, "open-claimed", persona="hanako", path="elsewhere").status_code == 400


@pytest.mark.parametrize("by", ["nobody", "consumer"])
def test_a_forged_event(phone: Phone, sap: Sap, logged: Logged, by: str) -> None:
    """An event of nobody's: unsigned, or under the app's own key; the user still has the app."""
    phone.belongs_to("hanako")
    sap.says(EVENTS, status=401, content_type="text/plain")
    act(phone, "forged-event", persona="hanako", type="remove", by=by)
    (event,) = [one for one in sap.events if one.args["eventtype"] == "event.removeapp"]
    assert ("Authorization" in event.headers) == (by == "consumer")
    assert logged()[0].good
    assert 'id="hanako" data-app="yes"' in phone.get("/").text


def test_held_events(phone: Phone, sap: Sap) -> None:
    """Held events are sent when somebody sends them, together and in sequence."""
    phone.press("/desk", "/desk/switches/hold_events", on="yes")
    for key in ("hanako", "taro"):
        act(phone, "add-app", persona=key)
    act(phone, "remove-app", persona="taro")
    assert not sap.events
    act(phone, "send-events")
    told = [(request.args["eventtype"], request.args.getlist("id")) for request in sap.events]
    assert told == [
        ("event.addapp", [owner("hanako"), owner("taro")]),
        ("event.removeapp", [owner("taro")]),
    ]


def test_starts(phone: Phone) -> None:
    """The last start address can be opened again, and another's start address in this browser."""
    first = phone.opens("hanako", "smartphone")
    assert act(phone, "start-again").headers["Location"] == first
    other = act(phone, "start-of-another", persona="taro", device="smartphone").headers["Location"]
    assert f"opensocial_viewer_id={owner('taro')}" in other
    assert 'data-hand="smartphone"' in phone.get("/").text
    assert act(phone, "start-of-another", persona="taro", device="mobile").status_code == 400


def test_a_new_key(phone: Phone) -> None:
    """From now on starts of this stage are signed under another key; the old certificate stays."""
    before = phone.opens("hanako", "pc")
    act(phone, "rotate-key", device="pc")
    after = phone.opens("hanako", "pc")
    names = [dict(pair.split("=") for pair in urlsplit(one).query.split("&")) for one in (before, after)]
    first, second = (one["xoauth_signature_publickey"] for one in names)
    assert first != second
    assert {phone.get(f"/certificates/pc/{name}.pem").status_code for name in (first, second)} == {200}


def test_old_keys_are_forgotten(phone: Phone, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many keys the newest stay published, and the one in use, and the first."""
    monkeypatch.setattr(pairs, "PUBLISHED", 1)
    for _ in range(3):
        act(phone, "rotate-key", device="smartphone")
    kept = {path.stem for path in keys.glob("touch_sandbox*.pem")}
    assert "touch_sandbox" in kept
    assert len(kept) == 2
    assert phone.get(f"/certificates/smartphone/{(kept - {'touch_sandbox'}).pop()}.pem").status_code == 200


def test_what_happens_is_noted_in_order(begin: Begin, app: Flask, sap: Sap) -> None:
    """A purchase tells its story once and in order, and each line that has a row of the log leads there."""
    sap.says("/", '<main data-page="shelf"><a data-item="loaf" data-amount="10">x</a></main>')
    phone, purchase = begin()
    phone.buy(purchase.url)
    with app.app_context():
        rows = happenings.since(FIRST_STAGE)
        names = [row.name for row in rows]
        assert names == [
            Name.APP_ADDED,
            Name.EVENT_TOLD,
            Name.APP_OPENED,
            Name.PAGE_SHOWN,
            Name.PAYMENT_CREATED,
            Name.SCREEN_SHOWN,
            Name.CALLBACK_ANSWERED,
            Name.PAYMENT_COMPLETED,
            Name.SCREEN_SHOWN,
        ]
        shown = rows[3]
        assert shown.facts["page"] == "shelf"
        assert shown.facts["marks"] == [{"item": "loaf", "amount": "10"}]
        for row in rows:
            assert row.wire_id is None or wirelog.row(FIRST_STAGE, row.wire_id)
    told = phone.get("/desk/happenings.json").json
    assert told
    assert [one["name"] for one in told] == [name.value for name in names]
    assert phone.get(f"/desk/happenings.json?after={told[-1]['id']}").json == []
