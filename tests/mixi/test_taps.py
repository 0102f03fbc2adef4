"""From the tap to the point interface: one tap, one payment, and nothing charged when it fails."""

import time
from datetime import timedelta
from functools import partial

import pytest
import requests
from flask import Flask
from itsdangerous import TimestampSigner
from lxml import html
from sqlalchemy import update
from structlog.testing import capture_logs

from storefront import clock
from storefront.db import transaction
from storefront.mixi import taps
from storefront.mixi.signing import Consumer
from storefront.mixi.taps import Intent
from storefront.sandbox.signing import body_hash
from storefront.shop.turns import Turn
from tests.street import (
    CONSUMER_KEY,
    CONSUMER_SECRET,
    HANAKO,
    PLATFORM,
    TARO,
    Books,
    Container,
    ScriptedApi,
    at_once,
    kind,
    links,
    only_form,
    says,
)


def test_the_redirect_leads_to_the_interface(container: Container, api: ScriptedApi) -> None:
    """hanako is sent at once to the address that the API answered."""
    api.href = f"{PLATFORM}/point/1?a=1&b=2"
    answer = container.buy()
    assert (answer.status_code, answer.location) == (302, api.href)


def test_the_request_is_the_documents(container: Container, api: ScriptedApi) -> None:
    """Signed for the requestor, with the hash of the very bytes, as an Atom entry of one item."""
    container.buy("excalibur", TARO)
    asked = api.requests[0]
    signed = Consumer(CONSUMER_KEY, (CONSUMER_SECRET,)).verify(
        "POST",
        f"{PLATFORM}/atom/mobile/point/@me",
        asked["QUERY_STRING"].encode(),
        asked["HTTP_AUTHORIZATION"],
        now=int(time.time()),
        window=5,
    )
    assert signed.params == (("xoauth_requestor_id", TARO),)
    assert signed.oauth["oauth_body_hash"] == body_hash(asked["body"])
    assert asked["CONTENT_TYPE"] == "application/atom+xml;type=entry"
    assert asked["body"].startswith(b"<?xml ")
    assert 'id="excalibur" name="エクスカリバー" point="100"'.encode() in asked["body"]
    assert b"?" not in asked["body"].split(b"callback_url=")[1].split(b"/>")[0]


def test_a_tester_is_sent_as_such(container: Container, api: ScriptedApi) -> None:
    """Owners named in the settings buy for no points."""
    container.buy(owner="mo3testmika00")
    container.buy(owner=HANAKO)
    assert [b'is_test="true"' in asked["body"] for asked in api.requests] == [True, False]


@pytest.mark.changed(mixi_test_owners="*")
def test_in_development_everybody_tests(container: Container, api: ScriptedApi, books: Books) -> None:
    """While mixi makes every purchase a test, the book says so, too."""
    code = container.start()
    assert b'is_test="true"' in api.requests[0]["body"]
    container.callback(code)
    assert (books.grants(), books.earned()) == (1, 0)


def test_created_counts_as_well(container: Container, api: ScriptedApi) -> None:
    """Any 2xx is a yes."""
    api.status = "201 Created"
    assert container.buy().status_code == 302


NONSENSE = (
    ("408 Request Timeout", b"later"),
    ("429 Too Many Requests", b"later"),
    ("500 Internal Server Error", b"oops"),
    ("503 Service Unavailable", b""),
    ("302 Found", b""),
    ("200 OK", b""),
    ("200 OK", b"rubbish"),
    ("200 OK", b"<html>maintenance</html>"),
    ("200 OK", b" " * 100_000),
)


def test_an_api_that_says_nothing_or_nonsense(container: Container, api: ScriptedApi, books: Books) -> None:
    """Nothing was charged, says the page, with a reference and a way to try again that works."""
    for begun, (status, body) in enumerate(NONSENSE):
        api.status, api.body = status, body
        answer = container.buy()
        assert answer.status_code == 503, (status, body)
        assert says(answer.text) >= {"nothing-paid", "again", "reference"}
        assert books.payments() == begun, (status, body)
        api.status, api.body = "200 OK", None
        assert container.post(*only_form(answer.text)).status_code == 302, (status, body)


REFUSALS = (
    ("400 Bad Request", "developer"),
    ("401 Unauthorized", "operator"),
    ("403 Forbidden", "operator"),
    ("404 Not Found", "developer"),
    ("405 Method Not Allowed", "developer"),
    ("407 Proxy Authentication Required", "operator"),
    ("422 Unprocessable Entity", "developer"),
)


def test_an_api_that_says_no(container: Container, api: ScriptedApi, books: Books) -> None:
    """Waiting will not help, say this page and the next one, and offer no new try; the log names who can."""
    for status, whose in REFUSALS:
        api.status = status
        with capture_logs() as log:
            answer = container.buy()
        assert answer.status_code == 503, status
        assert "nothing-paid" in says(answer.text)
        assert books.payments() == 0, status
        for page in (answer, container.get("/"), container.get("/history")):
            assert says(page.text) & {"final", "again"} == {"final"}, status
        assert "/mixi/payments" not in answer.text
        (said,) = [line for line in log if line["event"] == "payment not started"]
        assert said["whose"] == whose, status
        assert said["reference"] in answer.text
        api.status = "503 Service Unavailable"
        container.buy()
        assert says(container.get("/").text) & {"final", "again"} == {"again"}, status


ELSEWHERE = (
    "http://evil.test/point/1",
    "http://platform.test.evil.test/",
    "http://platform.test@evil.test/",
    "http://evil.test/platform.test",
    "http://platform.test:81/",
    "//platform.test/",
    "javascript:alert(1)",
    "ftp://platform.test/",
    "http://evil.test\\@platform.test/",
    "http://platform.test/\r\nSet-Cookie: a=b",
    "http://[::1/",
    "",
)


def test_no_open_redirect(container: Container, api: ScriptedApi, books: Books) -> None:
    """The buyer is sent to a host of the platform or nowhere."""
    for href in ELSEWHERE:
        api.href = href
        assert container.buy().status_code == 503, href
        assert books.payments() == 0, href


@pytest.mark.parametrize("failure", [requests.ConnectionError(), requests.Timeout(), OSError()])
def test_an_api_out_of_reach(app: Flask, container: Container, books: Books, failure: Exception) -> None:
    """No connection, no answer in time: nothing was charged."""
    wire = app.extensions["http"].get_adapter(PLATFORM)
    wire.broken = failure
    assert container.buy().status_code == 503
    assert books.payments() == 0
    wire.broken = None
    assert container.buy().status_code == 302


def test_a_broken_connection_is_tried_once_more_signed_anew(container: Container, api: ScriptedApi) -> None:
    """The second try carries another nonce."""
    answers = [requests.ConnectionError("stale"), None]
    wire = container.app.extensions["http"].get_adapter(PLATFORM)
    sent: list[bytes] = []
    deliver = wire.send

    def send(request: requests.PreparedRequest, **more: object) -> requests.Response:
        sent.append(request.headers["Authorization"])  # type: ignore[arg-type]
        if failure := answers.pop(0):
            raise failure
        response: requests.Response = deliver(request, **more)
        return response

    wire.send = send
    assert container.buy().status_code == 302
    assert len(set(sent)) == 2


def test_a_code_we_have_already(container: Container, api: ScriptedApi, books: Books) -> None:
    """An API that repeats a code is not believed: the first payment stands untouched."""
    api.body = api.entry("twice")
    assert container.buy("excalibur").status_code == 302
    assert container.buy("loaf").status_code == 503
    assert books.payments() == 1


def test_the_failure_is_said_again(container: Container, api: ScriptedApi) -> None:
    """A container may have shown its own error screen; the next pages say what happened until all is well.

    They name the item and lead to it; the page of another item is left alone.
    """
    api.status = "503 Service Unavailable"
    container.buy("loaf")
    for path in ("/", "/items/loaf", "/history"):
        page = container.get(path)
        (notice,) = html.fromstring(page.text).cssselect("[data-notice=not-started]")
        assert [link.text_content() for link in notice.cssselect("a")] == ["まるパン"]
        assert "again" in says(html.tostring(notice, encoding="unicode"))
        assert "http://shop.test:8000/items/loaf" in links(html.tostring(notice, encoding="unicode"))
    assert "not-started" not in container.get("/items/lantern").text
    assert "not-started" not in container.get("/", owner=TARO).text
    api.status = "200 OK"
    container.buy()
    assert "not-started" not in container.get("/").text


def test_a_double_tap_is_one_payment(container: Container, api: ScriptedApi, books: Books) -> None:
    """The same form sent again leads to the same place."""
    form = only_form(container.get("/items/loaf").text)
    first, second = container.post(*form), container.post(*form)
    assert first.status_code == second.status_code == 302
    assert first.location == second.location
    assert (len(api.requests), books.payments()) == (1, 1)


@pytest.mark.changed(mixi_calls_at_once=8)
def test_taps_at_the_same_moment(container: Container, api: ScriptedApi, books: Books) -> None:
    """Eight taps while the API is slow, and all may wait: one call, one payment, one redirect for all."""
    form = only_form(container.get("/items/loaf").text)
    answer = api.entry("slow-one")

    class Slow:
        calls = 0

        def __call__(self, environ: object, start_response: object) -> object:
            Slow.calls += 1
            time.sleep(0.5)
            api.body = answer
            return api(environ, start_response)

    container.app.extensions["http"].get_adapter(PLATFORM).application = Slow()
    found: list[tuple[int, str]] = []

    def tap() -> None:
        response = container.post(*form)
        found.append((response.status_code, response.location))

    at_once(*[tap] * 8)
    assert set(found) == {(302, f"{PLATFORM}/point/1")}
    assert (Slow.calls, len(found), books.payments()) == (1, 8, 1)


def test_a_tap_behind_a_slow_one(container: Container, monkeypatch: pytest.MonkeyPatch, books: Books) -> None:
    """A second tap waits, bounded, and then says that the purchase is being prepared."""
    form = only_form(container.get("/items/loaf").text)
    age_intent(container, form, redirect=None)
    monkeypatch.setattr(taps, "SECOND_TAP_SECONDS", 0.3)
    answer = container.post(*form)
    assert answer.status_code == 202
    assert kind(answer.text) == "being-prepared"
    assert "nothing-paid" in says(answer.text)
    assert only_form(answer.text)[1]["token"] == form[1]["token"]
    assert books.payments() == 1


def test_an_abandoned_tap_is_taken_up(container: Container, books: Books) -> None:
    """A tap whose worker died is begun anew by the next one."""
    form = only_form(container.get("/items/loaf").text)
    age_intent(container, form, redirect=None, by=timedelta(minutes=1))
    assert container.post(*form).status_code == 302
    assert books.payments() == 2


def test_an_old_form_does_not_lead_to_an_expired_screen(container: Container, books: Books) -> None:
    """Back to a used form much later: its payment's state, and one tap to a fresh one."""
    form = only_form(container.get("/items/loaf").text)
    age_intent(container, form, by=timedelta(minutes=5))
    answer = container.post(*form)
    assert answer.status_code == 200
    assert kind(answer.text) == "spent"
    assert "nothing-new" in says(answer.text)
    assert books.payments() == 1
    assert container.post(*only_form(answer.text)).status_code == 302
    assert books.payments() == 2


def age_intent(
    container: Container,
    form: tuple[str, dict[str, str]],
    by: timedelta = timedelta(0),
    **changes: str | None,
) -> None:
    """Tap, and then let the tap be older or less finished than it is."""
    assert container.post(*form).status_code == 302
    with container.app.app_context(), transaction() as session:
        older = {"started_at": clock.now() - by, **changes}
        session.execute(update(Intent).values(older))


def test_forged_tokens(container: Container, books: Books) -> None:
    """A token that we did not seal starts nothing."""
    action, fields = only_form(container.get("/items/loaf").text)
    for spoil in ("", "x", "{}.x", "{}x"):
        answer = container.post(action, {**fields, "token": spoil.format(fields["token"])})
        assert answer.status_code == 400, spoil
        assert (kind(answer.text), "nothing-paid" in says(answer.text)) == ("stale", True), spoil
        assert books.payments() == 0, spoil


def test_somebody_elses_token(container: Container, books: Books) -> None:
    """taro cannot send hanako's form."""
    form = only_form(container.get("/items/loaf").text)
    container.get("/", owner=TARO)
    assert container.post(*form, owner=TARO).status_code == 400
    assert books.payments() == 0


def test_a_token_for_something_else(container: Container) -> None:
    """A form for the loaf does not buy the coat."""
    action, fields = only_form(container.get("/items/loaf").text)
    assert container.post(action, {**fields, "item": "coat"}).status_code == 400


def test_an_expired_token(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form left open for too long is refused, kindly."""
    with monkeypatch.context() as past:
        past.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time()) - 1900)
        form = only_form(container.get("/items/loaf").text)
    answer = container.post(*form)
    assert answer.status_code == 400
    assert kind(answer.text) == "stale"


def test_no_such_item(container: Container) -> None:
    """What is not on the shelf cannot be bought or looked at."""
    for item in ("nothing", "", "x" * 65, "a\0", "../x"):
        assert container.post("/mixi/payments", {"item": item, "token": "x"}).status_code == 404, item


def test_a_form_too_large(container: Container) -> None:
    """A form of a megabyte is none of ours."""
    assert container.post("/mixi/payments", {"item": "x" * 1_000_000}).status_code == 413


@pytest.mark.changed(mixi_taps_per_minute=10)
def test_one_form_pressed_again_and_again(container: Container, api: ScriptedApi) -> None:
    """What a minute allows is calls of the API, not forms: one form that fails is tried ten times."""
    api.status = "500 ERROR"
    action, fields = only_form(container.get("/items/loaf").text)
    answers = [container.post(action, fields).status_code for _ in range(40)]
    assert answers == [503] * 10 + [429] * 30
    assert len(api.requests) == 10


@pytest.mark.changed(mixi_taps_per_minute=10)
def test_a_clock_that_is_set_back(app: Flask, container: Container) -> None:
    """What was counted by a clock that ran an hour ahead keeps nobody from buying."""
    assert [container.buy("loaf").status_code for _ in range(11)] == [302] * 10 + [429]
    with app.app_context(), transaction() as session:
        session.execute(update(Turn).values(taken_at=clock.now() + timedelta(hours=1)))
    assert container.buy("loaf").status_code == 302


@pytest.mark.changed(mixi_taps_per_minute=10)
def test_many_forms_at_once(container: Container, api: ScriptedApi) -> None:
    """Thirty forms sent at the same moment cause no more calls than a minute allows; others still buy."""
    forms = [only_form(container.get("/items/loaf").text) for _ in range(30)]
    at_once(*[partial(container.post, *form) for form in forms])
    assert len(api.requests) == 10
    assert container.buy("loaf", TARO).status_code == 302
