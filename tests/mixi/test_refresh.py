"""The gap that no SAP can close alone: what happens after our OK is asked about, and put right."""

from datetime import datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import select, update

from storefront import clock
from storefront.clock import Deadline
from storefront.db import db, fresh, transaction
from storefront.mixi import outstanding, payments, questions
from storefront.mixi.channel import channel
from storefront.mixi.payments import Callback, Payment, Status
from storefront.mixi.questions import NotVoid
from storefront.shop.ledger import Entry, Kind
from storefront.shop.turns import Turn
from tests.street import (
    HANAKO,
    PLATFORM,
    TARO,
    Books,
    Container,
    ScriptedApi,
    at_once,
    in_doubt,
    only_form,
    says,
)
from tests.wire import Wire

pytestmark = pytest.mark.money


class Mixi(ScriptedApi):
    """A point API that knows one state for each payment."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, str] = {}
        self.asked: list[str] = []
        self.tests: set[str] = set()
        self.refused: dict[str, str] = {}

    def __call__(self, environ: object, start_response: object) -> list[bytes]:
        assert isinstance(environ, dict)
        if environ["REQUEST_METHOD"] == "POST":
            return super().__call__(environ, start_response)
        code = environ["QUERY_STRING"].split("point_code=")[1]
        self.asked.append(code)
        if code in self.refused:
            start_response(self.refused[code], [])  # type: ignore[operator]
            return [b""]
        self.body = self.confirmation(code, self.states.get(code, "create"))
        answer = super().__call__(environ, start_response)
        self.body = None
        return answer

    def confirmation(self, code: str, state: str) -> bytes:
        mark = ' is_test="true"' if code in self.tests else ""
        return (
            '<entry xmlns="http://www.w3.org/2005/Atom" xmlns:point="http://mixi.jp/atom/ns#point">'
            f'<id>{code}</id><content type="text/xml">'
            f"<point:status{mark}>{state}</point:status></content></entry>"
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


def pass_a_minute(app: Flask) -> None:
    """Let every question be a minute older."""
    ago = timedelta(seconds=61)
    with app.app_context(), transaction() as session:
        for payment in session.scalars(select(Payment)):
            payment.asked_at = payment.asked_at and payment.asked_at - ago
            payment.ok_at = payment.ok_at and payment.ok_at - ago
        for turn in session.scalars(select(Turn)):
            turn.taken_at -= ago


def kinds(app: Flask) -> list[tuple[Kind, int]]:
    with app.app_context():
        return [(entry.kind, entry.amount) for entry in db.session.query(Entry).order_by(Entry.id)]


def is_confirmed(app: Flask, code: str) -> bool:
    with app.app_context():
        return db.session.get_one(Payment, code).confirmed_at is not None


@pytest.mark.parametrize("path", ["/mixi/finish", "/inventory", "/history"])
def test_complete_is_confirmed_once(app: Flask, container: Container, api: Mixi, path: str) -> None:
    """The buyer's visit asks, mixi says complete, and no page asks again within the pause."""
    code = bought(container)
    api.states[code] = "complete"
    assert container.get(path, point_code=code).status_code == 200
    assert is_confirmed(app, code)
    for _ in range(3):
        container.get("/mixi/finish", point_code=code)
        container.get("/inventory")
        container.get("/history")
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
    assert 'data-state="void" data-booked="0"' in page.text
    assert container.callback(code).status_code == 409
    assert books.grants() == 0


def test_too_soon_to_say(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """mixi may still be acting on an OK of a minute ago; nothing is taken, and the page says what is open."""
    code = bought(container)
    said_ok(app, code, timedelta(seconds=59))
    assert in_doubt(container.get("/history").text)
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


@pytest.mark.parametrize("look", ["/history", "/inventory", "/mixi/finish", "use", "buy"])
def test_points_given_back(app: Flask, container: Container, api: Mixi, books: Books, look: str) -> None:
    """Points given back on a confirmed payment are found at the buyer's next step, once the pause is over."""
    code = bought(container, "loaf")
    api.states[code] = "complete"
    tokens = only_form(container.get("/inventory").text)
    api.states[code] = "pay_back"
    container.get("/inventory")
    assert books.status(code) is Status.COMPLETE
    pass_a_minute(app)
    if look == "use":
        container.post(*tokens)
    elif look == "buy":
        container.buy("excalibur")
    else:
        container.get(look, point_code=code)
    assert (books.status(code), books.grants(), books.earned()) == (Status.PAY_BACK, 0, 0)
    assert kinds(app) == [(Kind.SALE, 10), (Kind.REFUND, -10)]
    assert f'data-payment="{code}" data-state="pay_back"' in container.get("/history").text


def test_long_ago_is_left_alone(app: Flask, container: Container, api: Mixi) -> None:
    """What was confirmed and is older than the set age is not asked about any more."""
    code = bought(container)
    api.states[code] = "complete"
    container.get("/history")
    said_ok(app, code, timedelta(days=91))
    pass_a_minute(app)
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
    pass_a_minute(app)
    page = container.get("/inventory")
    assert 'data-item="loaf" data-quantity="-1"' in page.text
    assert books.grants() == -1
    with app.app_context():
        assert [payment.point_code for payment in outstanding.used_up()] == [code]


def test_mixi_is_down(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """No answer changes nothing: the page opens, and says what is not known yet."""
    code = bought(container)
    said_ok(app, code, timedelta(minutes=2))
    api.status = "503 Service Unavailable"
    assert in_doubt(container.get("/history").text)
    page = container.get("/mixi/finish", point_code=code)
    assert page.status_code == 200
    assert "in-doubt" in says(page.text)
    assert (books.status(code), books.grants()) == (Status.COMPLETE, 1)


def test_few_questions(app: Flask, container: Container, api: Mixi) -> None:
    """However often one buyer reloads, five questions within the pause; the rest come first in the next."""
    codes = {bought(container, "loaf") for _ in range(8)}
    api.states = dict.fromkeys(codes, "complete")
    for _ in range(10):
        for path in ("/history", "/inventory", "/mixi/finish"):
            container.get(path, point_code=min(codes))
    assert len(api.asked) == len(set(api.asked)) == 5
    pass_a_minute(app)
    container.get("/inventory")
    assert set(api.asked[:8]) == codes


def test_few_questions_at_once(container: Container, api: Mixi) -> None:
    """Eight pages at the same moment ask no more than one."""
    codes = {bought(container, "loaf") for _ in range(8)}
    api.states = dict.fromkeys(codes, "complete")
    at_once(*[partial(container.get, path) for path in ["/history", "/inventory"] * 4])
    assert len(api.asked) == len(set(api.asked)) <= 5


def test_a_new_ok_is_asked_about_at_once(container: Container, api: Mixi) -> None:
    """An OK said since the last question is a new doubt, and no pause holds it back."""
    code = bought(container)
    container.get("/inventory")
    container.get("/inventory")
    assert api.asked == [code]
    assert container.callback(code).text == "OK"
    container.get("/inventory")
    container.get("/inventory")
    assert api.asked == [code, code]


def test_one_that_is_not_known(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """A refusal concerns its own payment, the next is asked about; what mixi does not know goes last."""
    unknown = bought(container)
    api.refused[unknown] = "404 Not Found"
    given_back = bought(container, "loaf")
    api.states[given_back] = "pay_back"
    container.get("/history")
    assert api.asked == [unknown, given_back]
    assert (books.status(unknown), books.status(given_back)) == (Status.COMPLETE, Status.PAY_BACK)
    others = {bought(container, "loaf") for _ in range(5)}
    api.states |= dict.fromkeys(others, "complete")
    pass_a_minute(app)
    api.asked.clear()
    container.get("/history")
    assert set(api.asked) == others
    with app.app_context():
        (waiting,) = outstanding.unconfirmed()
        assert waiting.payment.point_code == unknown
        assert waiting.payment.unknown_at is not None


def test_confirmed_and_then_forgotten(app: Flask, container: Container, api: Mixi) -> None:
    """What mixi had confirmed and does not know any more is shown to the operator, and stays complete."""
    code = bought(container)
    api.states[code] = "complete"
    container.get("/history")
    api.refused[code] = "404 Not Found"
    pass_a_minute(app)
    container.get("/history")
    with app.app_context():
        assert [payment.point_code for payment in outstanding.not_known()] == [code]
        assert outstanding.unconfirmed() == []


def test_silence_ends_the_round(app: Flask, container: Container, api: Mixi) -> None:
    """An API that does not answer is not asked about the next payment."""
    codes = {bought(container, "loaf") for _ in range(3)}
    pass_a_minute(app)
    api.asked.clear()
    api.status = "503 Service Unavailable"
    container.get("/history")
    assert len(api.asked) == 1
    assert set(api.asked) < codes


def test_what_mixi_counts_as_a_test(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """Booked as a sale, but mixi took no points: the entry is put right, once, and the pages say so."""
    code = bought(container)
    api.states[code], api.tests = "complete", {code}
    for _ in range(2):
        page = container.get("/mixi/finish", point_code=code)
        assert says(page.text) >= {"test", "nothing-paid"}
        pass_a_minute(app)
    assert (books.status(code), books.grants(), books.earned()) == (Status.COMPLETE, 1, 0)
    assert kinds(app) == [(Kind.SALE, 100), (Kind.VOID, -100), (Kind.TEST, 0)]
    api.states[code] = "pay_back"
    container.get("/history")
    assert (books.status(code), books.grants(), books.earned()) == (Status.PAY_BACK, 0, 0)


def test_moments_are_the_databases(app: Flask, container: Container) -> None:
    """What a host believes of the time is not written as the moment of our OK."""
    code = container.start()
    with app.app_context():
        word = str(fresh().get_one(Payment, code).word)
        wanted = Callback(code, HANAKO, Status.COMPLETE, word)
        for _ in range(2):
            payments.settle(wanted, Deadline.after(10), clock.now() + timedelta(minutes=10))
            said = fresh().get_one(Payment, code).ok_at
            assert said is not None
            assert said < clock.now() + timedelta(minutes=1)


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
        assert outstanding.word_for(code) == "complete, not confirmed by mixi"
        assert str(questions.ask(channel(), code, Deadline.after(5))) == "create"
        assert outstanding.word_for(code) == "void"
        assert outstanding.word_for("never-made") is None
    assert books.grants() == 0


def test_the_operator_decides(app: Flask, container: Container, api: Mixi, books: Books) -> None:
    """What mixi does not know is made void by a person, with a reason, once; never what mixi charged."""
    code = bought(container)
    api.refused[code] = "404 Not Found"
    charged = bought(container, "loaf")
    api.states[charged] = "complete"
    with app.app_context():
        for late in (code, charged):
            with pytest.raises(NotVoid):
                questions.void(channel(), late, "mixi's support says so", Deadline.after(5))
        pass_a_minute(app)
        assert questions.void(channel(), code, "mixi's support says so", Deadline.after(5)).refused == 404
        for done in (code, charged):
            with pytest.raises(NotVoid):
                questions.void(channel(), done, "again", Deadline.after(5))
        assert fresh().get_one(Payment, code).reason == "mixi's support says so"
    assert (books.status(code), books.status(charged)) == (Status.VOID, Status.COMPLETE)
    assert kinds(app) == [(Kind.SALE, 100), (Kind.SALE, 10), (Kind.VOID, -100)]
    assert container.callback(code).status_code == 409


def test_an_old_unfinished_purchase_leaves_the_history(app: Flask, container: Container, api: Mixi) -> None:
    """Left for a day, it is out of the way; nobody was asked about it, and nobody can complete it."""
    code = container.start()
    assert f'data-payment="{code}"' in container.get("/history").text
    with app.app_context(), transaction() as session:
        session.execute(update(Payment).values(created_at=clock.now() - timedelta(days=2)))
    assert code not in container.get("/history").text
    assert api.asked == []
    assert container.callback(code).status_code == 409
    assert code not in container.get("/history").text
