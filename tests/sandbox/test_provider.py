"""The provider takes money once, tells the shop until it is heard, and believes only what is signed."""

import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from flask import Flask
from lxml import html
from pydantic import SecretStr, ValidationError
from sqlalchemy import select
from werkzeug import Request, Response
from werkzeug.test import TestResponse

from storefront import demo
from storefront.external.signing import BadSeal, sealed, unsealed
from storefront.sandbox import clock, create_sandbox, wirelog
from storefront.sandbox.provider import create_provider, notices, payments, store
from storefront.sandbox.provider.settings import ProviderSettings
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.stage import Stage as Played
from storefront.sandbox.store import reading
from storefront.sandbox.wirelog import HIDDEN
from tests.street import Browser
from tests.test_demo_start import run
from tests.wire import Wire

pytestmark = pytest.mark.long

PROVIDER = "http://provider.test:8002"
SHOP = "http://shop.test"
NOTICES = "/external/notice"
MERCHANT, SECRET = "lighthouse", "a secret of the shop and the provider"
COOKIES = "for the tests only, never elsewhere"

Script = Callable[[Request], Response]


def plain(text: str, status: int = 200) -> Script:
    return lambda _: Response(text, status, content_type="text/plain")


@dataclass
class Shop:
    """A shop that answers notices as it is told to, and remembers them."""

    answer: Script = field(default_factory=lambda: plain("OK"))
    heard: list[Request] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        request.get_data()
        self.heard.append(request)
        return self.answer(request)(environ, start_response)

    def believed(self) -> list[dict[str, str]]:
        """The notices, as one who has the secret believes them."""
        return [unsealed(request.form.to_dict(), SECRET, int(time.time()), 60) for request in self.heard]


class Buyer(Browser):
    """A buyer, or somebody from QA, in front of the provider."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app, PROVIDER)

    def window(self) -> "Buyer":
        """Another window of the same browser, so that both can press at once."""
        other = Buyer(self.client.application)
        other.client._cookies = dict(self.client._cookies or {})
        return other

    def word(self, page: str) -> str:
        """What the forms of this browser carry."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.get(page).text)
        assert found
        return found[1]

    def arrive(self, **changed: Any) -> str:
        """Come from the shop; returns the payment's own address."""
        answer = self.get(f"/pay?{query(**changed)}")
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]


@dataclass
class Stage:
    """The provider, the shop across the wire, and a browser."""

    app: Flask
    shop: Shop
    wire: Wire
    browser: Buyer

    def payment(self, code: str = "p-1") -> payments.Payment:
        with self.app.app_context():
            (found,) = [one for one in payments.recent(100) if one.code == code]
            return found

    def notices(self, code: str = "p-1") -> notices.Told:
        payment = self.payment(code)
        with self.app.app_context():
            return notices.told([payment])[payment.id]

    def state(self, code: str = "p-1") -> tuple[str, bool]:
        """Where the payment stands, and whether the shop has heard of it."""
        payment = self.payment(code)
        return payment.status.value, payment.heard

    def again(self, what: str = "", code: str = "p-1") -> TestResponse:
        """Press a button of the list."""
        return self.browser.press("/", f"/notices/{self.payment(code).reference}{what}")


def asked(**changed: str) -> dict[str, str]:
    """What the shop asks for, unsigned."""
    return {
        "merchant": MERCHANT,
        "payment": "p-1",
        "item": "灯台守の外套",
        "yen": "1200",
        "back": f"{SHOP}/external/back?payment=p-1",
        "lang": "en",
        **changed,
    }


def query(secret: str = SECRET, off: int = 0, **changed: Any) -> str:
    """The signed query under which a buyer comes; `off` seconds from now."""
    return urlencode(sealed(asked(**changed), secret, int(time.time()) + off))


@pytest.fixture
def settings(tmp_path: Path) -> ProviderSettings:
    return ProviderSettings(
        public_url=PROVIDER,
        secret_key=SecretStr(COOKIES),
        merchant=MERCHANT,
        merchant_name="灯台の売店",
        merchant_secret=SecretStr(SECRET),
        notice_url=f"{SHOP}{NOTICES}",
        shop_url=SHOP,
        database_url=SecretStr(f"sqlite:///{tmp_path}/provider.db"),
    )


@pytest.fixture
def make(settings: ProviderSettings) -> Callable[..., Stage]:
    """Makes a provider, with some settings changed."""

    def make(**changed: object) -> Stage:
        shop = Shop()
        wire, http = Wire(shop), requests.Session()
        http.trust_env = False
        http.mount("http://", wire)
        app = create_provider(settings.model_copy(update=changed), http)
        return Stage(app, shop, wire, Buyer(app))

    return make


@pytest.fixture
def stage(make: Callable[..., Stage]) -> Stage:
    return make()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass."""

    def later(seconds: float) -> None:
        moment = clock.now() + timedelta(seconds=seconds)
        monkeypatch.setattr(clock, "now", lambda: moment)

    return later


def test_a_buyer_pays(stage: Stage) -> None:
    """The money is taken, the shop hears of it under a signature, and the buyer goes back."""
    page = stage.browser.arrive()
    text = stage.browser.get(page).text
    assert "Pay ¥1,200?" in text
    assert "灯台守の外套" in text
    assert "灯台の売店" in text
    assert not stage.shop.heard
    assert stage.browser.press(page, f"{page}/pay").headers["Location"] == page
    assert stage.state() == ("paid", True)
    (notice,) = stage.shop.believed()
    reference = stage.payment().reference
    assert notice == {
        "merchant": MERCHANT,
        "payment": "p-1",
        "reference": reference,
        "yen": "1200",
        "currency": "JPY",
        "outcome": "paid",
    }
    told = stage.shop.heard[0]
    assert (told.method, told.path) == ("POST", NOTICES)
    assert told.mimetype == "application/x-www-form-urlencoded"
    after = stage.browser.get(page).text
    assert "You paid ¥1,200." in after
    assert f'data-back href="{SHOP}/external/back?payment=p-1"' in after
    assert len(stage.shop.heard) == 1


def test_a_buyer_cancels(stage: Stage) -> None:
    """Nothing is taken, the shop hears that too, and paying is no longer possible."""
    page = stage.browser.arrive()
    word = stage.browser.word(page)
    stage.browser.press(page, f"{page}/cancel")
    assert stage.state() == ("cancelled", True)
    assert stage.shop.believed()[0]["outcome"] == "cancelled"
    assert "Nothing was paid." in stage.browser.get(page).text
    stage.browser.post(f"{page}/pay", {"form_token": word})
    assert stage.state() == ("cancelled", True)
    assert len(stage.shop.heard) == 1


def test_the_signed_address_is_not_the_one_to_reload(stage: Stage) -> None:
    """The payment's own address shows neither the signature nor anything one could guess."""
    first, second = stage.browser.arrive(), stage.browser.arrive(payment="p-2")
    assert re.fullmatch(r"/payments/[\w-]{32}", first)
    assert first != second
    assert stage.browser.get("/payments/guessed").status_code == 404


TAMPERED = (
    {"yen": "1"},
    {"payment": "p-2"},
    {"item": "パン"},
    {"back": f"{SHOP}/elsewhere"},
    {"merchant": "somebody"},
    {"at": "1"},
    {"signature": "0" * 64},
    {"signature": "ł"},
    {"signature": ""},
)


def test_tampered_fields(stage: Stage) -> None:
    """Whatever was changed after signing, nothing is kept."""
    for change in TAMPERED:
        fields = sealed(asked(), SECRET, int(time.time())) | change
        answer = stage.browser.get(f"/pay?{urlencode(fields)}")
        assert answer.status_code == 401, change
        assert "Nothing was paid by this." in answer.text, change
        assert kept(stage) == [], change


def test_stale_fields(stage: Stage) -> None:
    """An address from another time is refused, even though it was signed."""
    for off in (-301, 302):
        assert stage.browser.get(f"/pay?{query(off=off)}").status_code == 401, off


def test_signed_by_somebody_else(stage: Stage) -> None:
    """Another secret, and another merchant under our own, are both refused."""
    assert stage.browser.get(f"/pay?{query(secret='guessed')}").status_code == 401
    assert stage.browser.get(f"/pay?{query(merchant='somebody')}").status_code == 401


def test_another_browser(stage: Stage) -> None:
    """Who did not come with a payment neither sees it nor decides it, whatever address is known."""
    page = stage.browser.arrive()
    stranger, reference = Buyer(stage.app), stage.payment().reference
    assert 'data-payment="p-1"' not in stranger.get("/").text
    assert stranger.get(page).status_code == 404
    stranger.arrive(payment="p-2")
    word = stranger.word("/")
    for path in (f"{page}/pay", f"{page}/cancel", f"/refunds/{reference}", f"/notices/{reference}/forged"):
        assert stranger.post(path, {"form_token": word}).status_code == 404
    assert stage.state() == ("waiting", False)


def test_another_host(stage: Stage) -> None:
    """A page of another site that leads its name to the provider gets nothing of it."""
    client = stage.app.test_client()
    assert client.get("/", base_url="http://evil.test").status_code == 421
    assert client.get("/healthz", base_url="http://evil.test").status_code == 200
    assert client.get("/", environ_overrides={"HTTP_HOST": "a..b"}).status_code == 421


def test_a_field_twice_or_not_at_all(stage: Stage) -> None:
    """Each field comes exactly once, so that no two readers read different ones."""
    for name in (*asked(), "at", "signature"):
        fields = sealed(asked(), SECRET, int(time.time()))
        twice = [*fields.items(), (name, fields[name])]
        assert stage.browser.get(f"/pay?{urlencode(twice)}").status_code == 400, name
        del fields[name]
        assert stage.browser.get(f"/pay?{urlencode(fields)}").status_code == 400, name


OUTSIDE_THE_RULES: tuple[dict[str, Any], ...] = (
    {"payment": ""},
    {"payment": "p" * 65},
    {"payment": "p 1"},
    {"payment": "p1\n"},
    {"yen": "0"},
    {"yen": "-1"},
    {"yen": "1.5"},
    {"yen": "0100"},
    {"yen": "１００"},
    {"yen": "1000001"},
    {"yen": "1e3"},
    {"item": ""},
    {"item": "  "},
    {"item": "x" * 201},
    {"item": "a\nb"},
    {"lang": "fr"},
    {"extra": "1"},
)


def test_fields_outside_the_rules(stage: Stage) -> None:
    """A signature does not make a wrong value right."""
    for change in OUTSIDE_THE_RULES:
        assert stage.browser.get(f"/pay?{query(**change)}").status_code == 400, change
        assert kept(stage) == [], change


def test_fields_at_the_edge(stage: Stage) -> None:
    """The smallest and the largest values are taken."""
    for number, change in enumerate(({"yen": "1"}, {"yen": "1000000"}, {"item": "灯" * 200})):
        stage.browser.arrive(payment=str(number), **change)
    stage.browser.arrive(payment="p" * 64)


FOREIGN = (
    "http://evil.test/",
    "https://shop.test/",
    "http://shop.test:81/",
    "http://shop.test.evil.test/",
    "http://shop.test@evil.test/",
    "http://evil.test\\@shop.test/",
    "http://shop.test\\.evil.test/",
    "//shop.test/",
    "/back",
    "javascript:alert(1)",
    " http://shop.test/",
    "http://shop.test/\n",
    "http://[shop.test/",
    "http://shop.test:port/",
    "http://shop.test/" + "x" * 2000,
    "",
)


def test_back_to_a_foreign_origin(stage: Stage) -> None:
    """A buyer is sent back to the shop and nowhere else."""
    for back in FOREIGN:
        assert stage.browser.get(f"/pay?{query(back=back)}").status_code == 400, back
        assert kept(stage) == [], back


def test_the_same_payment_twice(stage: Stage) -> None:
    """A payment asked for again is shown as it stands; it cannot be paid twice."""
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    assert stage.browser.arrive() == page
    assert 'data-screen="paid"' in stage.browser.get(page).text
    assert len(kept(stage)) == 1


def test_the_same_payment_for_something_else(stage: Stage) -> None:
    """A payment's code stays with its item and its amount."""
    stage.browser.arrive()
    others: tuple[dict[str, Any], ...] = ({"yen": "1"}, {"item": "パン"})
    for change in others:
        answer = stage.browser.get(f"/pay?{query(**change)}")
        assert answer.status_code == 409, change
        assert "Nothing was paid by this." in answer.text, change
        assert stage.payment().yen == 1200, change


def test_a_double_press_on_pay(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two presses at once one takes the money, one notice is sent, and both wait for its answer."""
    page = stage.browser.arrive()
    twins = [stage.browser.window() for _ in range(2)]
    words = [twin.word(page) for twin in twins]
    begun, go_on = threading.Event(), threading.Event()
    takes: list[bool] = []
    pay = payments.pay

    def counted(*args: Any) -> bool:
        takes.append(pay(*args))
        return takes[-1]

    def slow(request: Request) -> Response:
        begun.set()
        assert go_on.wait(30)
        return plain("OK")(request)

    monkeypatch.setattr(payments, "pay", counted)
    stage.shop.answer = slow
    with ThreadPoolExecutor() as pool:
        presses = [
            pool.submit(twin.post, f"{page}/pay", {"form_token": word})
            for twin, word in zip(twins, words, strict=True)
        ]
        assert begun.wait(30)
        assert "told at this moment" in stage.browser.get(page).text
        time.sleep(0.3)
        assert not any(press.done() for press in presses)
        go_on.set()
        assert [press.result().status_code for press in presses] == [303, 303]
    assert sorted(takes) == [False, True]
    assert len(stage.shop.heard) == 1
    assert stage.state() == ("paid", True)


def test_pay_and_cancel_at_once(stage: Stage) -> None:
    """Of two decisions one counts, and the shop hears that one only."""
    page = stage.browser.arrive()
    twins = [stage.browser.window() for _ in range(2)]
    words = [twin.word(page) for twin in twins]
    together = threading.Barrier(2)

    def press(twin: Buyer, word: str, action: str) -> int:
        together.wait()
        return twin.post(f"{page}/{action}", {"form_token": word}).status_code

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(press, twins, words, ("pay", "cancel"))) == [303, 303]
    state, heard = stage.state()
    assert heard
    assert [notice["outcome"] for notice in stage.shop.believed()] == [state]


@pytest.mark.parametrize(
    "answer",
    [
        plain("OK", 500),
        plain("OK", 201),
        plain("ok"),
        plain("OK then"),
        plain(""),
        lambda _: Response("OK", 200, content_type="text/html"),
        plain("409", 404),
        plain("out of stock", 409),
        lambda _: Response("REFUND", 409, content_type="text/html"),
        plain("OK" + " " * 70_000),
    ],
)
def test_what_is_not_an_ok(stage: Stage, answer: Script) -> None:
    """Only the exact words count; anything else leaves the notice unheard and the money where it is."""
    stage.shop.answer = answer
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    assert stage.state() == ("paid", False)
    assert "The money is taken, but the shop has not answered yet." in stage.browser.get(page).text


def test_a_lost_answer_is_asked_for_again(stage: Stage, later: Callable[[float], None]) -> None:
    """After silence the buyer's next visit tells the shop again, at most every few seconds."""
    page = stage.browser.arrive()
    stage.wire.broken = requests.ConnectionError("lost")
    stage.browser.press(page, f"{page}/pay")
    assert stage.state() == ("paid", False)
    stage.wire.broken = None
    stage.browser.get(page)
    assert stage.state() == ("paid", False), "only just told"
    later(6)
    assert "The shop knows of your payment." in stage.browser.get(page).text
    assert stage.state() == ("paid", True)
    assert stage.notices().count == 2
    assert [notice["outcome"] for notice in stage.shop.believed()] == ["paid"]


def test_an_answer_lost_after_the_shop_acted(stage: Stage, later: Callable[[float], None]) -> None:
    """The shop hears the same reference twice, so that it can tell a repeat."""
    page = stage.browser.arrive()
    stage.shop.answer = plain("", 502)
    stage.browser.press(page, f"{page}/pay")
    stage.shop.answer = plain("OK")
    later(6)
    stage.browser.get(page)
    first, second = stage.shop.believed()
    assert first == second
    assert stage.state() == ("paid", True)


def test_a_shop_that_takes_too_long(make: Callable[..., Stage]) -> None:
    """After the time limit we stop listening; what the shop says then changes nothing."""
    stage = make(notice_seconds=1)
    let_go, said = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        let_go.wait(30)
        said.set()
        return plain("OK")(request)

    stage.shop.answer = slow
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    assert not said.is_set()
    let_go.set()
    assert said.wait(30)
    assert stage.state() == ("paid", False)
    last = stage.notices().last
    assert last
    assert last.verdict == "The shop took too long."


def test_a_process_that_died_while_telling(stage: Stage, later: Callable[[float], None]) -> None:
    """A notice that nobody ended does not block the payment for ever."""
    page = stage.browser.arrive()

    def dies(_request: Request) -> Response:
        raise SystemExit

    stage.shop.answer = dies
    word = stage.browser.word(page)
    with pytest.raises(SystemExit):
        stage.browser.post(f"{page}/pay", {"form_token": word})
    stage.shop.answer = plain("OK")
    assert "told at this moment" in stage.browser.get(page).text
    assert len(stage.shop.heard) == 1
    later(16)
    assert "The shop knows of your payment." in stage.browser.get(page).text
    assert stage.state() == ("paid", True)


def test_the_database_refuses_two_notices_at_once(stage: Stage) -> None:
    """Even code that forgets to ask cannot open a second notice."""
    stage.browser.arrive()
    number = stage.payment().id

    def begin() -> None:
        row = notices.Notice(payment_id=number, outcome="paid", kind=notices.Kind.NEWS, sent_at=clock.now())
        with stage.app.app_context(), store.transaction() as session:
            session.add(row)

    begin()
    with pytest.raises(Exception, match="UNIQUE"):
        begin()


def test_the_shop_cannot_deliver(stage: Stage, later: Callable[[float], None]) -> None:
    """REFUND gives the money back, once, and the shop is not told any more."""
    stage.shop.answer = plain("REFUND sold out", 409)
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    assert stage.state() == ("refunded", True)
    later(60)
    text = stage.browser.get(page).text
    assert "We gave ¥1,200 back to you." in text
    assert "In all, you have paid nothing." in text
    assert "The shop cannot deliver." in text
    overview = stage.browser.get("/").text
    assert f'action="/notices/{stage.payment().reference}"' not in overview
    assert '<strong class="sum">¥0</strong>' in overview
    word = stage.browser.word("/")
    stage.browser.post(f"/notices/{stage.payment().reference}", {"form_token": word})
    assert len(stage.shop.heard) == 1


def test_the_first_word_counts(stage: Stage) -> None:
    """A shop that said OK has delivered: a REFUND on the repeat moves no money and is shown as wrong."""
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    stage.shop.answer = plain("REFUND", 409)
    stage.again()
    assert stage.state() == ("paid", True)
    last = stage.notices().last
    assert last
    assert not last.good


def test_nothing_to_give_back(stage: Stage) -> None:
    """REFUND after a cancellation moves no money, and is no OK."""
    stage.shop.answer = plain("REFUND", 409)
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/cancel")
    assert stage.state() == ("cancelled", False)


def test_send_again_repeats_what_was_heard(stage: Stage) -> None:
    """The list's button tells the shop once more of what it has heard: a duplicate on purpose."""
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    answer = stage.again()
    assert answer.headers["Location"] == f"/#{stage.payment().reference}"
    first, second = stage.shop.believed()
    assert first == second
    assert stage.notices().count == 2
    assert stage.state() == ("paid", True)


def test_a_failed_repeat_does_not_unhear(stage: Stage) -> None:
    """What the shop said once stays said."""
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    stage.shop.answer = plain("later", 503)
    stage.again()
    assert stage.state() == ("paid", True)
    assert "503 later" in stage.browser.get("/").text


def test_send_again_twice_at_once(stage: Stage) -> None:
    """Two people who press together send one notice after the other, or only one; never two at a time."""
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    at_once, most = 0, 0
    lock = threading.Lock()

    def counting(request: Request) -> Response:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.2)
        with lock:
            at_once -= 1
        return plain("OK")(request)

    stage.shop.answer = counting
    people = [stage.browser.window() for _ in range(6)]
    words = [person.word("/") for person in people]
    address = f"/notices/{stage.payment().reference}"
    with ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(lambda person, word: person.post(address, {"form_token": word}), people, words)
        )
    assert {answer.status_code for answer in answers} == {303}
    assert most == 1


def test_a_forged_notice(stage: Stage) -> None:
    """The forged notice does not verify, and the shop's refusal changes nothing but the list."""
    stage.browser.arrive()
    stage.shop.answer = plain("bad signature", 401)
    stage.again("/forged")
    with pytest.raises(BadSeal):
        stage.shop.believed()
    assert stage.state() == ("waiting", False)
    assert "The shop refused the forged notice, as it must." in stage.browser.get("/").text


@pytest.mark.parametrize("answer", [plain("OK"), plain("REFUND", 409)])
def test_a_shop_that_believes_a_forgery(stage: Stage, answer: Script) -> None:
    """Nothing comes of what the shop says to a forgery, and the list says how bad that is."""
    page = stage.browser.arrive()
    stage.shop.answer = plain("", 500)
    stage.browser.press(page, f"{page}/pay")
    stage.shop.answer = answer
    stage.again("/forged")
    assert stage.state() == ("paid", False)
    assert "The shop believed a forged notice!" in stage.browser.get("/").text


def test_redirects_are_not_followed(stage: Stage) -> None:
    """A notice goes where it was configured to go, or nowhere."""
    stage.shop.answer = lambda _: Response("OK", 302, {"Location": f"{SHOP}/elsewhere"})
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    assert [request.path for request in stage.shop.heard] == [NOTICES]
    assert stage.state() == ("paid", False)


def test_no_transaction_while_the_shop_is_asked(stage: Stage) -> None:
    """While the shop thinks, anybody else can write: the shop may even look at us."""
    page = stage.browser.arrive()
    seen: list[int] = []

    def looks(request: Request) -> Response:
        other = Buyer(stage.app)
        seen.append(other.get(f"/pay?{query(payment='p-2')}").status_code)
        return plain("OK")(request)

    stage.shop.answer = looks
    stage.browser.press(page, f"{page}/pay")
    assert seen == [303]


@pytest.mark.parametrize("action", ["pay", "decline", "cancel"])
def test_forms_without_the_word(stage: Stage, action: str) -> None:
    """Another page cannot press the buyer's buttons."""
    token = stage.browser.arrive().rpartition("/")[2]
    other = Buyer(stage.app)
    word = other.word(other.arrive(payment="p-2"))
    for data in (
        {},
        {"form_token": "guessed"},
        {"form_token": word},
    ):
        answer = stage.browser.post(f"/payments/{token}/{action}", data)
        assert answer.status_code == 403
        assert "Nothing was paid by this." in answer.text
    assert stage.state() == ("waiting", False)
    assert not stage.shop.heard


@pytest.mark.parametrize(
    "button",
    [
        "/notices/{}",
        "/notices/{}/forged",
        "/notices/{}/sum",
        "/notices/{}/currency",
        "/notices/{}/expired",
        "/refunds/{}",
        "/chargebacks/{}",
    ],
)
def test_buttons_of_the_list_without_the_word(stage: Stage, button: str) -> None:
    """Another page cannot send notices, or give money back."""
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    assert stage.browser.post(button.format(stage.payment().reference)).status_code == 403
    assert (len(stage.shop.heard), stage.state()) == (1, ("paid", True))


@pytest.mark.parametrize(("how", "state"), [("refunds", "refunded"), ("chargebacks", "chargeback")])
def test_money_goes_back_once(stage: Stage, later: Callable[[float], None], how: str, state: str) -> None:
    """The money goes back once, and the shop is told until it has heard of it."""
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    stage.shop.answer = plain("", 503)
    button = f"/{how}/{stage.payment().reference}"
    word = stage.browser.word("/")
    stage.browser.press("/", button)
    assert stage.state() == (state, False)
    stage.shop.answer = plain("OK")
    for other in ("/refunds", "/chargebacks"):
        stage.browser.post(f"{other}/{stage.payment().reference}", {"form_token": word})
    assert [notice["outcome"] for notice in stage.shop.believed()] == ["paid", state]
    later(6)
    stage.browser.get(page)
    assert stage.state() == (state, True)
    assert '<strong class="sum">¥0</strong>' in stage.browser.get("/").text


def test_paid_at_once_after_a_declined_try(stage: Stage) -> None:
    """The word of a declined try does not keep the word of the payment waiting; each has its reference."""
    page = stage.browser.arrive()
    for _ in range(2):
        stage.browser.press(page, f"{page}/decline")
    assert "Your card was declined." in stage.browser.get(page).text
    stage.browser.press(page, f"{page}/pay")
    said = [(notice["outcome"], notice["reference"]) for notice in stage.shop.believed()]
    reference = stage.payment().reference
    assert said == [
        ("declined", f"{reference}-D1"),
        ("declined", f"{reference}-D2"),
        ("paid", reference),
    ]
    assert stage.state() == ("paid", True)


@pytest.mark.parametrize(
    ("answer", "good", "said"),
    [
        (plain("over another sum", 409), True, "refused it and said why"),
        (plain("REFUND another sum", 409), False, "asked for money to be given back that it cannot ask for"),
        (plain("", 409), False, "neither believed it nor refused it with 409 and a reason"),
        (plain("no", 500), False, "neither believed it nor refused it with 409 and a reason"),
        (plain("OK"), False, "believed a notice that does not fit the payment"),
    ],
)
@pytest.mark.parametrize("kind", ["sum", "currency"])
def test_what_does_not_fit_is_judged(stage: Stage, kind: str, answer: Script, good: bool, said: str) -> None:
    """A shop that has delivered refuses another sum with a reason, and asks for no money; nothing moves."""
    page = stage.browser.arrive()
    stage.browser.press(page, f"{page}/pay")
    stage.shop.answer = answer
    stage.again(f"/{kind}")
    aside = stage.notices().asides[notices.Kind(kind)]
    assert (aside.good, said in aside.verdict) == (good, True)
    assert stage.state() == ("paid", True)


def test_secrets_are_on_no_page(stage: Stage, later: Callable[[float], None]) -> None:
    """No secret, no signature and no payment's own address is on a page that others may open."""
    page = stage.browser.arrive()
    token = page.rpartition("/")[2]
    shown = [stage.browser.get(page).text]
    stage.shop.answer = lambda request: Response(request.get_data(), 500, content_type="text/plain")
    stage.browser.press(page, f"{page}/pay")
    stage.again("/forged")
    later(6)
    overview = stage.browser.get("/").text
    assert "outcome=paid" in overview
    assert token not in overview
    shown += [overview, stage.browser.get(page).text, stage.browser.get(f"/pay?{query(yen='5')}").text]
    signatures = [request.form["signature"] for request in stage.shop.heard]
    assert len(signatures) == 3
    for text in shown:
        assert not any(secret in text for secret in [SECRET, COOKIES, *signatures])


def test_what_the_shop_says_is_shown_as_text(stage: Stage) -> None:
    """Neither an item nor an answer can become markup."""
    page = stage.browser.arrive(item="<script>alert(1)</script>")
    stage.shop.answer = plain("<script>alert(2)</script>", 500)
    stage.browser.press(page, f"{page}/pay")
    assert "<script" not in stage.browser.get(page).text + stage.browser.get("/").text


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_page_is_dressed(stage: Stage, language: str) -> None:
    """In both languages each page says that it is a sandbox, runs no script and is kept by nobody."""
    page = stage.browser.arrive(lang=language)
    for path, status in (
        (page, 200),
        ("/", 200),
        ("/nothing-here", 404),
        ("/pay", 400),
        (f"{page}/pay", 405),
        (f"/pay?{query(yen='7', lang=language)}", 409),
        (f"/pay?{query(secret='guessed', lang=language)}", 401),
    ):
        answer = stage.browser.get(path)
        assert answer.status_code == status
        assert 'class="strip"' in answer.text
        assert f'<html lang="{language}">' in answer.text
        assert "<script" not in answer.text
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_wrong_method_names_the_right_one(stage: Stage) -> None:
    """A 405 says what would be taken."""
    assert "POST" in stage.browser.get("/payments/some/pay").headers["Allow"]
    assert stage.browser.post("/pay").status_code == 405


def test_an_error_of_ours_is_a_page(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash shows no traceback and does not claim to know what became of the money."""

    def crash(*_: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(payments, "of", crash)
    answer = stage.browser.get("/?lang=en")
    assert answer.status_code == 500
    assert "inside" not in answer.text
    assert "it says what became of your money" in answer.text


def test_cookies_of_three_apps_on_one_host(stage: Stage) -> None:
    """The cookie has a name of its own, with the port in it, and scripts do not see it."""
    cookie = stage.browser.get("/payments" + stage.browser.arrive().removeprefix("/payments")).headers[
        "Set-Cookie"
    ]
    assert cookie.startswith("provider-8002=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_an_empty_list_says_how_to_fill_it(stage: Stage) -> None:
    """Before the first payment the list says who comes here."""
    assert "No payments yet." in stage.browser.get("/?lang=en").text


def test_the_list_keeps_what_was_paid(stage: Stage, settings: ProviderSettings) -> None:
    """Payments outlive the process; the sum that we hold for the shop is shown."""
    for code in ("p-1", "p-2"):
        page = stage.browser.arrive(payment=code)
        stage.browser.press(page, f"{page}/pay")
    later = stage.browser.window()
    later.client.application = create_provider(settings)
    later_on = later.get("/?lang=en").text
    assert '<strong class="sum">¥2,400</strong>' in later_on
    assert 'data-payment="p-2" data-state="paid" data-heard="yes"' in later_on


def test_healthz(stage: Stage) -> None:
    """The process says that it is there."""
    answer = stage.browser.get("/healthz")
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "ok\n", "text/plain")


@pytest.mark.parametrize(
    "change",
    [
        {"public_url": "provider.test"},
        {"shop_url": "http://shop.test/path"},
        {"shop_url": "http://user@shop.test"},
        {"notice_url": "ftp://shop.test/notice"},
        {"merchant": "light house"},
        {"secret_key": "not so long"},
        {"notice_seconds": 0},
    ],
)
def test_settings_that_cannot_be(settings: ProviderSettings, change: dict[str, object]) -> None:
    """A wrong setting is named at the start, without its value."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    with pytest.raises(ValidationError) as refused:
        ProviderSettings.model_validate(values | change)
    assert next(iter(change)) in str(refused.value)
    assert "input_value" not in str(refused.value)


def test_a_setting_with_which_no_demo_starts(tmp_path: Path) -> None:
    """A wrong value in the environment is named before any server starts."""
    done = run(tmp_path, "sandbox", PROVIDER_NOTICE_SECONDS="0")
    assert done.exit_code == 1, done.output
    assert "PROVIDER_NOTICE_SECONDS: " in done.output


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "PUBLIC_URL": PROVIDER,
        "SECRET_KEY": COOKIES,
        "MERCHANT": MERCHANT,
        "MERCHANT_SECRET": SECRET,
        "NOTICE_URL": f"{SHOP}{NOTICES}",
        "SHOP_URL": f"{SHOP}/",
        "DATABASE_URL": f"sqlite:///{tmp_path}/own.db",
    }.items():
        monkeypatch.setenv(f"PROVIDER_{name}", value)


@pytest.mark.usefixtures("_environment")
def test_settings_from_the_environment() -> None:
    """Without arguments everything comes from PROVIDER_…, as a server would start it."""
    assert create_provider().test_client().get("/healthz").status_code == 200


def kept(stage: Stage) -> list[payments.Payment]:
    with stage.app.app_context():
        return list(payments.recent(100))


def test_two_demos_at_once(tmp_path: Path) -> None:
    """Cookies do not know ports: the provider's of two demos differ by their names."""
    names = set()
    for ports in (demo.ports(), {name: port + 10 for name, port in demo.ports().items()}):
        own = demo.environment(ports, tmp_path)
        settings = ProviderSettings(
            public_url=own["PROVIDER_PUBLIC_URL"],
            secret_key=SecretStr(own["PROVIDER_SECRET_KEY"]),
            merchant=own["PROVIDER_MERCHANT"],
            merchant_secret=SecretStr(own["PROVIDER_MERCHANT_SECRET"]),
            notice_url=own["PROVIDER_NOTICE_URL"],
            shop_url=own["PROVIDER_SHOP_URL"],
            database_url=SecretStr(own["PROVIDER_DATABASE_URL"]),
        )
        answer = create_provider(settings).test_client().get("/?lang=en")
        names.add(answer.headers["Set-Cookie"].partition("=")[0])
    assert len(names) == 2


def test_a_shop_behind_https(tmp_path: Path) -> None:
    """A demo whose shop has a certificate of its own tells the provider, too."""
    authority = tmp_path / "ca.pem"
    own = demo.environment(demo.ports(), tmp_path, shop_url="https://shop.test/", shop_ca=authority)
    assert own["PROVIDER_SHOP_CA"] == str(authority)
    assert own["PROVIDER_NOTICE_URL"] == "https://shop.test/external/notices"


# Weather, which the desk of the platform sets over the wire

DESK = SecretStr("the word of the desk")
AS_DESK = {"Authorization": f"Bearer {DESK.get_secret_value()}"}


@pytest.fixture
def desk(make: Callable[..., Stage]) -> Stage:
    """A provider beside a platform."""
    return make(desk_token=DESK, platform_url="http://platform.test")


def let(desk: Stage, kind: str, left: int | None = 1, number: int = 1, **more: Any) -> None:
    told = {"kind": kind, "left": left, "seconds": None, "chance": None, "seed": 0, **more}
    answer = desk.app.test_client().put(f"/weather/{number}", json=told, headers=AS_DESK)
    assert answer.status_code == 204


def notices_of(desk: Stage) -> list[Request]:
    """What the shop was told; the platform hears of weather on the same wire."""
    return [request for request in desk.shop.heard if request.path == NOTICES]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer guessed"}])
def test_weather_is_the_desks(desk: Stage, stage: Stage, headers: dict[str, str]) -> None:
    """Who does not know the word sets and reads nothing; where there is none nobody does."""
    for one in (desk, stage):
        client = one.app.test_client()
        answers = [
            client.put("/weather/1", json={"kind": "provider.down"}, headers=headers),
            client.delete("/weather/1", headers=headers),
            client.get("/weather", headers=headers),
            client.get("/statement.json", headers=headers),
        ]
        assert [answer.status_code for answer in answers] == [401] * 4


def test_a_closed_provider(desk: Stage) -> None:
    """While it is closed no buyer gets in; its own list stays open; then everything is as it was."""
    let(desk, "provider.down")
    assert desk.browser.get(f"/pay?{query()}").status_code == 503
    assert desk.browser.get("/").status_code == 200
    assert desk.browser.get(desk.browser.arrive()).status_code == 200


def test_a_lost_answer(desk: Stage) -> None:
    """What nobody heard is told again, and heard then."""
    page = desk.browser.arrive()
    let(desk, "notice.lost")
    desk.browser.press(page, f"{page}/pay")
    assert (len(notices_of(desk)), desk.state()) == (1, ("paid", False))
    desk.again()
    assert desk.state() == ("paid", True)


def test_an_old_notice(desk: Stage) -> None:
    """A stale notice has the signature of an hour ago, and nothing else is wrong with it."""
    page = desk.browser.arrive()
    let(desk, "notice.stale", seconds=3600)
    before = int(time.time())
    desk.browser.press(page, f"{page}/pay")
    (sent,) = notices_of(desk)
    assert abs(before - 3600 - int(sent.form["at"])) < 30


@pytest.mark.parametrize("kind", ["notice.forged", "notice.another_sum"])
def test_what_is_sent_beside(desk: Stage, kind: str) -> None:
    """What is forged goes out beside the true notice, which is heard."""
    page = desk.browser.arrive()
    let(desk, kind)
    desk.browser.press(page, f"{page}/pay")
    assert len(notices_of(desk)) == 2
    assert desk.state() == ("paid", True)


def test_copies_at_once(desk: Stage) -> None:
    """Copies of a notice are the same, and the first answer counts."""
    page = desk.browser.arrive()
    let(desk, "notice.copies", seconds=3)
    desk.browser.press(page, f"{page}/pay")
    assert len(notices_of(desk)) == 3
    assert len({request.get_data() for request in notices_of(desk)}) == 1
    assert desk.state() == ("paid", True)


def test_the_statement(desk: Stage) -> None:
    """The desk learns how each payment stands that it names, and of no other."""
    page = desk.browser.arrive()
    desk.browser.press(page, f"{page}/pay")
    client = desk.app.test_client()
    (told,) = client.get("/statement.json?code=p-0&code=p-1", headers=AS_DESK).json or []
    assert (told["code"], told["yen"], told["status"], told["heard"]) == ("p-1", 1200, "paid", True)
    assert client.get("/statement.json?code=p-0", headers=AS_DESK).json == []


def test_weather_of_the_provider_is_set_at_the_desk(
    desk: Stage, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The desk sets it over the wire, hears of each meeting, and takes it away again."""
    to_provider = requests.Session()
    platform = create_sandbox(
        SandboxSettings(
            public_url="http://platform.test",
            shop_url=SHOP,
            app_id="1",
            consumer_key="k",
            consumer_secret=SecretStr("s"),
            secret_key=SecretStr(COOKIES),
            database_url=SecretStr(f"sqlite:///{tmp_path}/sandbox.db"),
            keys=tmp_path_factory.mktemp("keys"),
            provider_url=PROVIDER,
            provider_token=DESK,
        ),
        to_provider,
    )
    to_provider.mount(PROVIDER, Wire(desk.app))
    desk.app.extensions["provider"].http.mount("http://platform.test", Wire(platform))
    browser = Browser(platform, "http://platform.test")

    def listed() -> list[html.HtmlElement]:
        return list(html.fromstring(browser.get("/log?kind=notice").text).cssselect("li[data-row]"))

    def standing() -> list[str]:
        page = html.fromstring(browser.get("/desk").text)
        return [
            f"{one.get('data-weather')} {one.get('data-left')}" for one in page.cssselect("[data-weather]")
        ]

    browser.press("/desk/weather", "/desk/weather", kind="provider.down", next="2")
    assert standing() == ["provider.down 2"]
    assert desk.browser.get(f"/pay?{query()}").status_code == 503
    assert standing() == ["provider.down 1"]
    assert [one["name"] for one in browser.get("/desk/happenings.json").json or []][-1] == "weather_met"
    browser.press("/desk", "/desk/weather/clear")
    assert desk.browser.get(f"/pay?{query()}").status_code == 303
    page = desk.browser.arrive()
    desk.browser.press(page, f"{page}/pay")
    assert listed() == []  # whose payment it is, the provider does not know
    with platform.app_context():
        with reading() as session:
            newest = session.scalars(select(Played.id).order_by(Played.made_at.desc())).first()
        wirelog.adopt(str(newest), {"p-1"})
    (row,) = listed()
    assert (row.get("data-payment"), row.get("data-status")) == ("p-1", "200")
    shown = browser.get(f"/log/{row.get('data-row')}").text
    assert "outcome = paid" in shown
    assert f"signature = {HIDDEN}" in shown
    stranger = Browser(platform, "http://platform.test")
    browser.press("/desk/weather", "/desk/weather", kind="provider.down", next="2")
    strip = html.fromstring(stranger.get("/desk").text).cssselect("[data-shared]")
    assert [one.get("data-bend") for one in strip] == ["provider.down"]
    browser.press("/", "/reset")
    assert desk.browser.get(f"/pay?{query()}").status_code == 303
    let(desk, "provider.down", number=999)  # of a stage that has been forgotten
    assert desk.browser.get(f"/pay?{query()}").status_code == 303
    assert desk.app.test_client().get("/weather", headers=AS_DESK).json == []
    anybody = platform.test_client()
    assert anybody.post("/desk/notices", base_url="http://platform.test").status_code == 401
    assert anybody.post("/desk/weather/1/met", base_url="http://platform.test").status_code == 401
