"""mixi asks for the sale: the table of answers, and what each leaves behind."""

import time
from typing import Any

import pytest
from werkzeug.test import TestResponse

from storefront.mixi.payments import Status
from tests.street import APP_ID, HANAKO, TARO, Books, Container, callback_target, sign


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


@pytest.mark.parametrize(
    "changes",
    [
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
    ],
    ids=str,
)
def test_malformed(container: Container, books: Books, changes: dict[str, Any]) -> None:
    """A signed callback that says nothing sensible is refused as such."""
    code = container.start()
    target = callback_target(**{"code": code, **{k: v for k, v in changes.items() if k != "point_code"}})
    if "point_code" in changes:
        target = callback_target(code).replace(f"point_code={code}", "point_code_was=here")
        if changes["point_code"] is not None:
            target = callback_target(changes["point_code"])
    answer = container.app.test_client().get(target, headers=sign("GET", target))
    assert is_refused(answer, 400)
    assert (books.status(code), books.grants()) == (Status.CREATE, 0)


def test_not_signed(container: Container, books: Books) -> None:
    """Without a signature, under another key, by another secret, or altered: nobody asked."""
    code = container.start()
    target = callback_target(code)
    browser = container.app.test_client()
    assert is_refused(browser.get(target), 401)
    assert is_refused(browser.get(target, headers={"Authorization": "OAuth x"}), 401)
    assert is_refused(browser.get(target, headers=sign("GET", target, key="k")), 401)
    assert is_refused(browser.get(target, headers=sign("GET", target, secret="s")), 401)
    assert is_refused(browser.get(target + "&more=1", headers=sign("GET", target)), 401)
    cancel = callback_target(code, status="20")
    assert is_refused(browser.get(target, headers=sign("GET", cancel)), 401)
    assert (books.status(code), books.grants()) == (Status.CREATE, 0)


def test_stale(container: Container, books: Books) -> None:
    """A timestamp outside the window is no signature; one that mixi no longer waits for is too late."""
    code = container.start()
    target = callback_target(code)
    browser = container.app.test_client()
    for age, status in ((700, 401), (-700, 401), (60, 503), (13, 503)):
        headers = sign("GET", target, timestamp=str(int(time.time()) - age))
        assert is_refused(browser.get(target, headers=headers), status)
    assert (books.status(code), books.grants()) == (Status.CREATE, 0)


def test_host_header_is_not_believed(container: Container, books: Books) -> None:
    """Signatures are checked against the configured address, whatever Host says."""
    target = callback_target(container.start())
    browser = container.app.test_client()
    answer = browser.get(target, headers=sign("GET", target), base_url="http://elsewhere.test")
    assert answer.text == "OK"


def test_post_is_no_callback(container: Container) -> None:
    """mixi asks by GET."""
    target = callback_target(container.start())
    answer = container.app.test_client().post(target, headers=sign("POST", target))
    assert answer.status_code == 405


def test_database_down(container: Container, books: Books) -> None:
    """When the tables are out of reach the answer is 503, and a later one completes the sale."""
    from storefront.db import db, transaction

    code = container.start()
    rename = "ALTER TABLE {} RENAME TO {}"
    with container.app.app_context(), transaction() as session:
        session.execute(db.text(rename.format("payment", "away")))
    assert is_refused(container.callback(code), 503)
    with container.app.app_context(), transaction() as session:
        session.execute(db.text(rename.format("away", "payment")))
    assert container.callback(code).text == "OK"
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
