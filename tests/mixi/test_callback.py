"""mixi asks for the sale: the table of answers, and what each leaves behind."""

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs
from werkzeug.test import EnvironBuilder, TestResponse

from storefront.db import db, fresh, transaction
from storefront.mixi.payments import Payment, Status
from storefront.mixi.taps import Intent
from tests.databases import on_sqlite
from tests.street import (
    APP_ID,
    CALLBACK,
    HANAKO,
    NO_WORD,
    SHOP,
    TARO,
    Books,
    Container,
    ScriptedApi,
    callback_target,
    claims,
    only_form,
    sign,
)

pytestmark = pytest.mark.money


def is_refused(answer: TestResponse, status: int) -> bool:
    plain: bool = answer.content_type.startswith("text/plain")
    return plain and answer.status_code == status and answer.text.strip() != "OK"


def test_bought(container: Container, books: Books) -> None:
    """hanako buys excalibur: OK in plain text, one grant, one entry."""
    code = container.start("excalibur")
    assert books.status(code) is Status.CREATE
    answer = container.callback(code)
    assert (answer.status_code, answer.content_type.split(";")[0], answer.text) == (200, "text/plain", "OK")
    assert (books.status(code), books.grants(), books.earned()) == (Status.COMPLETE, 1, 100)


def test_said_again(container: Container, books: Books) -> None:
    """A repeated callback hears the same answer and changes nothing."""
    code = container.start()
    assert [container.callback(code).text for _ in range(3)] == ["OK"] * 3
    assert (books.grants(), books.earned()) == (1, 100)


def test_cancelled(container: Container, books: Books) -> None:
    """Status 20 cancels, is answered OK, and gives nothing."""
    code = container.start()
    assert container.callback(code, status="20").text == "OK"
    assert container.callback(code, status="20").text == "OK"
    assert (books.status(code), books.grants(), books.earned()) == (Status.CANCEL, 0, 0)


@pytest.mark.parametrize(("first", "second"), [("10", "20"), ("20", "10")])
def test_contradictions(container: Container, books: Books, first: str, second: str) -> None:
    """What is settled stays settled."""
    code = container.start()
    container.callback(code, status=first)
    before = books.status(code), books.grants(), books.earned()
    assert is_refused(container.callback(code, status=second), 409)
    assert (books.status(code), books.grants(), books.earned()) == before


def test_unknown_code(container: Container, books: Books) -> None:
    """A payment that we never made is not ours to complete."""
    assert is_refused(container.callback("never-made"), 404)
    assert books.grants() == 0


def test_somebody_elses_code(container: Container, books: Books) -> None:
    """taro cannot complete hanako's payment."""
    code = container.start(owner=HANAKO)
    assert is_refused(container.callback(code, owner=TARO), 404)
    assert (books.status(code), books.grants()) == (Status.CREATE, 0)


MALFORMED: tuple[dict[str, Any], ...] = (
    {"opensocial_app_id": "54321"},
    {"opensocial_app_id": None},
    {"opensocial_owner_id": None},
    {"opensocial_owner_id": [HANAKO, TARO]},
    {"point_code": None},
    {"point_code": ["a", "b"]},
    {"point_code": "x" * 41},
    {"point_code": "a\0b"},
    {"point_code": b"\xff\xfe"},
    {"status": "30"},
    {"status": ""},
    {"status": None},
    {"updated": "yesterday"},
    {"updated": None},
)


def test_malformed(container: Container, books: Books) -> None:
    """A signed callback that says nothing sensible is refused as such."""
    code = container.start()
    for changes in MALFORMED:
        others = {name: value for name, value in changes.items() if name != "point_code"}
        target = container.callback_target(code, **others)
        if "point_code" in changes:
            target = container.callback_target(code).replace(f"point_code={code}", "point_code_was=here")
            if changes["point_code"] is not None:
                target = callback_target(changes["point_code"], word=container.word(code))
        answer = container.app.test_client().get(target, headers=sign("GET", target))
        assert is_refused(answer, 400), changes
        assert (books.status(code), books.grants()) == (Status.CREATE, 0), changes


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"secret": "a guess"}, "signature_invalid"),
        ({"timestamp": "1254282755"}, "timestamp_refused"),
        ({"key": "another"}, "consumer_key_unknown"),
    ],
)
@on_sqlite
def test_the_log_has_the_problem(container: Container, changes: dict[str, str], problem: str) -> None:
    """The log says which of many things was wrong with a callback, in the word that mixi's own API uses."""
    target = container.callback_target(container.start())
    with capture_logs() as lines:
        container.app.test_client().get(target, headers=sign("GET", target, **changes))
    (line,) = lines
    assert (line["event"], line["status"], line["problem"]) == ("callback refused", 401, problem)


@on_sqlite
def test_the_log_has_the_reason(container: Container) -> None:
    """What is refused though it was signed has its word in the log as well."""
    code = container.start()
    with capture_logs() as lines, container.app.app_context():
        container.callback(code, status="30")
        with transaction() as session:
            session.execute(update(Payment).values(created_at=datetime(2009, 9, 3, tzinfo=UTC)))
        container.callback(code)
        container.callback(code, owner=TARO)
    problems = [line["problem"] for line in lines if line["event"] == "callback refused"]
    assert problems == ["status is neither 10 nor 20", "expired", "UnknownPayment"]


def test_not_signed(container: Container, books: Books) -> None:
    """Without a signature, under another key, by another secret, or altered: nobody asked."""
    code = container.start()
    target = container.callback_target(code)
    browser = container.app.test_client()
    assert is_refused(browser.get(target), 401)
    assert is_refused(browser.get(target, headers={"Authorization": "OAuth x"}), 401)
    assert is_refused(browser.get(target, headers=sign("GET", target, key="k")), 401)
    assert is_refused(browser.get(target, headers=sign("GET", target, secret="s")), 401)
    assert is_refused(browser.get(target + "&more=1", headers=sign("GET", target)), 401)
    cancel = container.callback_target(code, status="20")
    assert is_refused(browser.get(target, headers=sign("GET", cancel)), 401)
    assert (books.status(code), books.grants()) == (Status.CREATE, 0)


def test_stale(container: Container, books: Books) -> None:
    """A timestamp outside the window is no signature; one that mixi no longer waits for is too late."""
    code = container.start()
    target = container.callback_target(code)
    browser = container.app.test_client()
    for age, status in ((700, 401), (-700, 401), (60, 503), (13, 503)):
        headers = sign("GET", target, timestamp=str(int(time.time()) - age))
        assert is_refused(browser.get(target, headers=headers), status)
    assert (books.status(code), books.grants()) == (Status.CREATE, 0)


def test_host_header_is_not_believed(container: Container, books: Books) -> None:
    """Signatures are checked against the configured address, whatever Host says."""
    target = container.callback_target(container.start())
    browser = container.app.test_client()
    answer = browser.get(target, headers=sign("GET", target), base_url="http://elsewhere.test")
    assert answer.text == "OK"


def test_post_is_no_callback(container: Container) -> None:
    """mixi asks by GET."""
    target = container.callback_target(container.start())
    answer = container.app.test_client().post(target, headers=sign("POST", target))
    assert answer.status_code == 405


def test_database_down(container: Container, books: Books) -> None:
    """When the tables are out of reach the answer is 503, and a later one completes the sale."""
    code = container.start()
    target = container.callback_target(code)

    def ask() -> TestResponse:
        return container.app.test_client().get(target, headers=sign("GET", target))

    rename = "ALTER TABLE {} RENAME TO {}"
    with container.app.app_context(), transaction() as session:
        session.execute(db.text(rename.format("payment", "away")))
    assert is_refused(ask(), 503)
    with container.app.app_context(), transaction() as session:
        session.execute(db.text(rename.format("away", "payment")))
    assert ask().text == "OK"
    assert books.grants() == 1


def test_a_test_purchase_earns_nothing(container: Container, books: Books) -> None:
    """The tester gets the goods; the book says test, and zero."""
    code = container.start(owner="mo3testmika00")
    assert container.callback(code, owner="mo3testmika00").text == "OK"
    assert (books.grants(), books.earned()) == (1, 0)


def test_claims_of_another_application(container: Container) -> None:
    """Even the right secret does not make another app's callback ours."""
    assert APP_ID != "54321"
    assert is_refused(container.callback(container.start(), opensocial_app_id="54321"), 400)


def signed_by_the_container(container: Container, path: str, code: str, owner: str = HANAKO) -> TestResponse:
    """A buyer who knows their code names an address of the app; the container signs it as any page."""
    query = {"point_code": code, "status": "10", "updated": "2026-01-01T00:00:00Z"}
    return container.get(path, owner, **query)


def test_an_item_for_nothing(container: Container, books: Books) -> None:
    """The container signs the callback's address for a buyer; without the word nothing is settled."""
    code, another = container.start(), container.start()
    word = container.word(code)
    ends = ("", "/", f"/{code}", f"/{word[:-1]}", f"/{word}x", f"/{word.swapcase()}", f"/{word}/")
    for end in (*ends, f"/{container.word(another)}"):
        for status in ("10", "20"):
            target = f"{CALLBACK}{end}?{urlencode({**claims(HANAKO), 'point_code': code, 'status': status})}"
            target += "&updated=2026-01-01T00:00:00Z"
            answer = container.app.test_client().get(target, headers=sign("GET", target))
            assert answer.status_code == 404, end
    assert signed_by_the_container(container, CALLBACK, code).status_code == 404
    assert (books.status(code), books.grants(), books.earned()) == (Status.CREATE, 0, 0)


def test_not_even_once_more(container: Container, books: Books) -> None:
    """A completed payment without a charge stays as old as its last true OK: a guess renews nothing."""
    code = container.start()
    container.callback(code)
    with container.app.app_context():
        said = db.session.get_one(Payment, code).ok_at
    assert signed_by_the_container(container, CALLBACK, code).status_code == 404
    with container.app.app_context():
        assert db.session.get_one(Payment, code).ok_at == said


def test_begun_before_there_were_words(container: Container, books: Books) -> None:
    """A payment without a word has no address that works."""
    code = container.start()
    with container.app.app_context(), transaction() as session:
        session.execute(update(Payment).values(word=None))
    for end in ("", "/", "/None", f"/{NO_WORD}"):
        assert signed_by_the_container(container, f"{CALLBACK}{end}", code).status_code == 404
    assert (books.status(code), books.grants()) == (Status.CREATE, 0)


def test_the_word_is_new_with_each_try(container: Container, api: ScriptedApi) -> None:
    """Each call of the API carries a word of its own, kept with the tap before the call is made."""
    api.status = "500 ERROR"
    action, fields = only_form(container.get("/items/loaf").text)
    kept: list[str] = []
    for _ in range(2):
        assert container.post(action, fields).status_code == 503
        sent = api.requests[-1]["body"].decode().split('callback_url="')[1].split('"')[0]
        with container.app.app_context():
            kept.append(str(fresh().scalars(select(Intent.word)).one()))
        assert sent == f"{SHOP}{CALLBACK}/{kept[-1]}"
        assert len(kept[-1]) == 32
    assert kept[0] != kept[1]


def test_nobody_reads_the_word(caplog: pytest.LogCaptureFixture, container: Container) -> None:
    """No page, redirect, header, log line or error shows it, whatever becomes of the callback."""
    code = container.start()
    word, target = container.word(code), container.callback_target(code)
    browser, signature = container.app.test_client(), sign("GET", target)
    with capture_logs() as lines:
        answers = [container.callback(code), container.callback(code), container.callback(code, status="20")]
        answers += [container.callback(code, owner=TARO)]
        answers += [container.get(f"{CALLBACK}/{word}", point_code=code)]
        answers += [browser.open(target, method=each) for each in ("GET", "HEAD", "POST", "PUT", "OPTIONS")]
        for path in ("/", "/history", "/inventory", "/mixi/finish"):
            answers += [container.get(path, point_code=code)]
        answers += [container.buy()]
        with container.app.app_context(), transaction() as session:
            session.execute(db.text("ALTER TABLE payment RENAME TO away"))
        answers += [browser.get(target, headers=signature)]
    for answer in answers:
        assert word not in answer.text
        assert word not in str(answer.headers)
    assert "callback answered" in str(lines)
    assert word not in str(lines) + caplog.text


def test_a_server_logs_no_word(container: Container, books: Books) -> None:
    """What a server keeps of a request for its log has lost the word when it is answered."""
    code = container.start()
    target = container.callback_target(code)
    headers = list(sign("GET", target).items())
    environ = EnvironBuilder(target, headers=headers, base_url=SHOP).get_environ()
    environ |= {"RAW_URI": target, "REQUEST_URI": target}
    assert b"".join(container.app(environ, lambda *_: lambda _: None)) == b"OK"
    kept = {name: value for name, value in environ.items() if name.isupper()}
    assert container.word(code) not in str(kept)


def test_an_address_that_somebody_rewrote(container: Container) -> None:
    """Not even an address that is not ours any more leaves the word in a server's log."""
    word = container.word(container.start())
    for path in ("{}/", "/{}", "/.{}", "{}/x", "/elsewhere{}"):
        target = path.format(f"{CALLBACK}/{word}")
        environ = EnvironBuilder(target, base_url=SHOP).get_environ() | {"RAW_URI": target}
        assert container.app(environ, lambda *_: lambda _: None)
        assert word not in environ["RAW_URI"], path
