"""The gap that no SAP can close alone: what happens after our OK is asked about, and put right."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from storefront import clock
from storefront.clock import Deadline
from storefront.db import db, transaction
from storefront.mixi import payments
from storefront.mixi.channel import channel
from storefront.mixi.payments import Payment, Status
from storefront.shop.ledger import Entry, Kind
from tests.street import HANAKO, PLATFORM, TARO, Books, Container, ScriptedApi, only_form, words
from tests.wire import Wire


class Mixi(ScriptedApi):
    """A point API that knows one state for each payment."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, str] = {}
        self.asked: list[str] = []

    def __call__(self, environ: object, start_response: object) -> list[bytes]:
        assert isinstance(environ, dict)
        if environ["REQUEST_METHOD"] == "POST":
            return super().__call__(environ, start_response)
        code = environ["QUERY_STRING"].split("point_code=")[1]
        self.asked.append(code)
        self.body = self.confirmation(code, self.states.get(code, "create"))
        answer = super().__call__(environ, start_response)
        self.body = None
        return answer

    def confirmation(self, code: str, state: str) -> bytes:
        return (
            '<entry xmlns="http://www.w3.org/2005/Atom" xmlns:point="http://mixi.jp/atom/ns#point">'
            f'<id>{code}</id><content type="text/xml"><point:status>{state}</point:status></content></entry>'
        ).encode()


@pytest.fixture
def api(app: Flask) -> Mixi:
    mixi = Mixi()
    app.extensions["http"].mount(PLATFORM, Wire(mixi))
    return mixi


def bought(container: Container, item: str = "excalibur", owner: str = HANAKO) -> str:
    code = container.start(item, owner)
    assert container.callback(code, owner).text == "OK"
    return code


def said_ok(app: Flask, code: str, ago: timedelta) -> datetime:
    """Let our last OK be that long ago."""
    at = clock.now() - ago
    with app.app_context(), transaction() as session:
        session.execute(update(Payment).filter_by(point_code=code).values(ok_at=at, settled_at=at))
    return at


def kinds(app: Flask) -> list[tuple[Kind, int]]:
    with app.app_context():
        return [(entry.kind, entry.amount) for entry in db.session.query(Entry).order_by(Entry.id)]


def is_confirmed(app: Flask, code: str) -> bool:
    with app.app_context():
        return db.session.get_one(Payment, code).confirmed_at is not None


@pytest.mark.parametrize("path", ["/mixi/finish", "/inventory", "/history"])
def test_complete_is_confirmed_once(app: Flask, container: Container, api: Mixi, path: str) -> None:
    """The buyer's visit asks, mixi says complete, and finish and bag never ask again."""
    code = bought(container)
    api.states[code] = "complete"
    assert container.get(path, point_code=code).status_code == 200
    assert is_confirmed(app, code)
    for _ in range(3):
        container.get("/mixi/finish", point_code=code)
        container.get("/inventory")
    assert api.asked == [code]


@pytest.mark.parametrize("state", ["create", "cancel"])
def test_not_charged_is_taken_back(
    app: Flask, container: Container, api: Mixi, books: Books, state: str
) -> None:
    """Long after our OK mixi has not committed: goods and entry go back, once, and the history says so."""
    code = bought(container)
    api.states[code] = state
    said_ok(app, code, timedelta(seconds=61))
    for _ in range(3):
        page = container.get("/history")
    assert (books.status(code), books.grants(), books.earned()) == (Status.VOID, 0, 0)
    assert kinds(app) == [(Kind.SALE, 100), (Kind.VOID, -100)]
    assert 'data-state="void"' in page.text
    assert container.callback(code).status_code == 409
    assert books.grants() == 0


def test_too_soon_to_say(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """mixi may still be acting on an OK of a minute ago; nothing is taken, and the page says what is open."""
    code = bought(container)
    said_ok(app, code, timedelta(seconds=59))
    assert "まだ確認できていません" in container.get("/history").text
    assert (books.status(code), books.grants()) == (Status.COMPLETE, 1)


def test_an_ok_since_the_question(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """The buyer presses again while we ask: our new OK may have been heard, so nothing is void."""
    code = bought(container)
    said_ok(app, code, timedelta(minutes=5))
    answer = api.confirmation

    def press_again(asked: str, state: str) -> bytes:
        assert container.callback(asked).text == "OK"
        return answer(asked, state)

    api.confirmation = press_again  # type: ignore[method-assign,assignment]
    container.get("/inventory")
    assert (books.status(code), books.grants()) == (Status.COMPLETE, 1)


def test_points_given_back(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """A confirmed payment is looked at again when its buyer opens the history, and only then."""
    code = bought(container)
    api.states[code] = "complete"
    container.get("/inventory")
    api.states[code] = "pay_back"
    container.get("/inventory")
    assert books.status(code) is Status.COMPLETE
    for _ in range(2):
        page = container.get("/history")
    assert "ポイント返却済み" in page.text
    assert (books.status(code), books.grants(), books.earned()) == (Status.PAY_BACK, 0, 0)
    assert kinds(app) == [(Kind.SALE, 100), (Kind.REFUND, -100)]


def test_long_ago_is_left_alone(app: Flask, container: Container, api: Mixi) -> None:
    """What was confirmed and is older than the set age is not asked about any more."""
    code = bought(container)
    api.states[code] = "complete"
    container.get("/history")
    said_ok(app, code, timedelta(days=91))
    container.get("/history")
    assert api.asked == [code]


def test_eaten_and_not_charged(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """Used goods that are taken back leave a visible negative."""
    code = bought(container, "loaf")
    api.states[code] = "complete"
    container.post(*only_form(container.get("/inventory").text))
    with app.app_context(), transaction() as session:
        session.execute(update(Payment).values(confirmed_at=None))
    api.states[code] = "create"
    said_ok(app, code, timedelta(minutes=2))
    page = container.get("/inventory")
    assert 'data-item="loaf" data-quantity="-1"' in page.text
    assert books.grants() == -1


def test_mixi_is_down(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """No answer changes nothing: the page opens, and says what is not known yet."""
    code = bought(container)
    said_ok(app, code, timedelta(minutes=2))
    api.status = "503 Service Unavailable"
    for path in ("/history", "/mixi/finish"):
        page = container.get(path, point_code=code)
        assert page.status_code == 200
        assert "まだ確認できていません" in words(page.text)
    assert (books.status(code), books.grants()) == (Status.COMPLETE, 1)


def test_few_questions_for_each_visit(app: Flask, container: Container, api: Mixi) -> None:
    """Five payments at most are asked about on one visit, the rest on the next; after a failure none."""
    codes = {bought(container, "loaf") for _ in range(8)}
    api.states = dict.fromkeys(codes, "complete")
    container.get("/inventory")
    assert len(api.asked) == 5
    container.get("/inventory")
    assert set(api.asked) == codes
    api.asked.clear()
    api.status = "401 Unauthorized"
    container.get("/history")
    assert len(api.asked) == 1


def test_nobody_elses_payments(container: Container, api: Mixi) -> None:
    """taro's visit asks nothing about hanako."""
    bought(container)
    container.get("/history", TARO)
    assert api.asked == []


def test_an_answer_about_another_payment(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """An answer that names another code is no answer."""
    code = bought(container)
    said_ok(app, code, timedelta(minutes=2))
    api.confirmation = lambda code, state: ScriptedApi.entry(api, "another")  # type: ignore[method-assign]
    container.get("/history")
    assert books.status(code) is Status.COMPLETE
    assert not is_confirmed(app, code)


def test_confirmed_never_becomes_void(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """mixi's own states do not run backwards; if they seem to, a person looks at it."""
    code = bought(container)
    api.states[code] = "complete"
    container.get("/history")
    api.states[code] = "create"
    said_ok(app, code, timedelta(minutes=2))
    container.get("/history")
    assert (books.status(code), books.grants()) == (Status.COMPLETE, 1)


def test_the_operator_asks(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """One payment, asked about by hand: the same answer has the same effect, and both sides are shown."""
    code = bought(container)
    said_ok(app, code, timedelta(minutes=2))
    with app.app_context():
        doubt = payments.doubt_about(code)
        assert doubt is not None
        assert payments.word_for(code) == "complete, not confirmed by mixi"
        assert payments.ask(channel(), doubt, Deadline.after(5)) == "create"
        assert payments.word_for(code) == "void"
        assert payments.doubt_about("never-made") is None
    assert books.grants() == 0


def test_an_old_unfinished_purchase_leaves_the_history(app: Flask, container: Container, api: Mixi) -> None:
    """Left for a day, it is out of the way; nobody was asked about it, and its callback still counts."""
    code = container.start()
    assert f'data-payment="{code}"' in container.get("/history").text
    with app.app_context(), transaction() as session:
        session.execute(update(Payment).values(created_at=clock.now() - timedelta(days=2)))
    assert code not in container.get("/history").text
    assert api.asked == []
    assert container.callback(code).text == "OK"
    assert f'data-payment="{code}"' in container.get("/history").text
