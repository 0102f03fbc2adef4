"""Weather strikes where, as often and for whom it says; and nothing it forges moves a point."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from pydantic import SecretStr
from werkzeug import Request, Response

from storefront.mixi import signing
from storefront.sandbox import clock, happenings, stage, strokes, weather, wirelog
from storefront.sandbox.happened import Name
from storefront.sandbox.kinds import KINDS
from storefront.sandbox.mixi import api
from storefront.sandbox.mixi.caller import Fault
from storefront.sandbox.people import FIRST_STAGE
from storefront.sandbox.weather import Unknown
from tests.sandbox.conftest import (
    KEY,
    PLATFORM,
    SECRET,
    SHOP,
    Begin,
    Phone,
    Sap,
    Shop,
    first_stage,
    ok,
    owner,
    read_created,
)

pytestmark = pytest.mark.long
CALLBACK = f"{SHOP}/callback"
Logged = Callable[[], list[wirelog.Exchange]]
Happened = Callable[[], list[Name]]


@pytest.fixture
def happened(app: Flask) -> Happened:
    """What happened on the first stage, in order."""

    def happened() -> list[Name]:
        with app.app_context():
            return [row.name for row in happenings.since(FIRST_STAGE)]

    return happened


def let(phone: Phone, kind: str, **more: object) -> None:
    """Set weather at the desk; once, if nothing else is said."""
    words = {name: str(value) for name, value in {"next": 1, **more}.items() if value is not None}
    answer = phone.press("/desk/weather", "/desk/weather", kind=kind, **words)
    assert answer.status_code == 303, answer.text


def callbacks(sap: Sap) -> list[Request]:
    return [request for request in sap.heard if request.path == "/callback"]


def believed(request: Request, window: int = 60) -> signing.Signed:
    """What the callback says, as a SAP reads it; or BadSignature."""
    return signing.Consumer(KEY, (SECRET,)).verify(
        "GET",
        CALLBACK,
        request.query_string,
        request.headers.get("Authorization"),
        now=int(clock.now().timestamp()),
        window=window,
    )


# How often, for whom


def test_once(begin: Begin, sap: Sap) -> None:
    """What comes for the next one strikes once; the next is as ever."""
    phone, purchase = begin()
    let(phone, "callback.undelivered")
    assert phone.buy(purchase.url) == "failed"
    assert phone.buy(purchase.url) == "bought"
    assert len(callbacks(sap)) == 1


def test_until_cleared(begin: Begin, shop: Shop) -> None:
    """Weather without a number stays until somebody clears it."""
    phone, _ = begin()
    let(phone, "api.403", next=None)
    assert [shop.create().status_code for _ in range(3)] == [403] * 3
    phone.press("/desk/weather", "/desk/weather/clear")
    assert shop.create().status_code == 200


@pytest.mark.parametrize("whose", ["hanako", "taro"])
def test_one_person(begin: Begin, shop: Shop, whose: str) -> None:
    """Weather for one person lets all others be."""
    for key in ("hanako", "taro"):
        phone, _ = begin(key)
    let(phone, "api.403", persona=whose, next=None)
    met = {key for key in ("hanako", "taro") if shop.create(key).status_code == 403}
    assert met == {whose}


def test_one_payment(begin: Begin, balance: Callable[[str], int]) -> None:
    """Weather for one payment lets its buyer's others be."""
    phone, first = begin()
    _, second = begin()
    let(phone, "callback.undelivered", payment=first.code, next=None)
    assert (phone.buy(second.url), phone.buy(first.url)) == ("bought", "failed")
    assert balance("hanako") == 49_900


def test_the_narrowest_counts(begin: Begin, shop: Shop, app: Flask) -> None:
    """Of one kind that is set for all, for a person and for a payment, the payment's is taken first."""
    phone, purchase = begin()
    for more in ({}, {"persona": "hanako"}, {"payment": purchase.code}):
        let(phone, "callback.undelivered", **more)
    left = []
    for _ in range(3):
        phone.buy(purchase.url)
        with app.app_context():
            rows = weather.standing(first_stage())
            left.append([(bool(row.point_code), bool(row.owner_id)) for row in rows])
    assert left == [[(False, False), (False, True)], [(False, False)], []]


def test_a_call_of_the_api(begin: Begin, shop: Shop) -> None:
    """Weather for creating alone leaves confirming alone, and the other way round."""
    phone, purchase = begin()
    let(phone, "api.403", api="create")
    assert shop.confirm(purchase.code).status_code == 200
    assert shop.create().status_code == 403
    let(phone, "api.403", api="confirm")
    assert shop.create().status_code == 200
    assert shop.confirm(purchase.code).status_code == 403


def test_by_chance(begin: Begin, shop: Shop) -> None:
    """Weather by chance strikes some, and with the same seed the same ones."""

    def run(seed: int) -> list[int]:
        phone.press("/desk/weather", "/desk/weather/clear")
        let(phone, "api.403", next=None, chance=50, seed=seed)
        return [shop.create().status_code for _ in range(12)]

    phone, _ = begin()
    runs = [run(seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert set(runs[0]) == {200, 403}


def test_chances_are_as_said() -> None:
    """Of many meetings about so many strike as the chance says; without one all do."""
    for chance in (1, 30, 99):
        struck = sum(strokes.falls(7, "api.down", number, chance) for number in range(10_000))
        assert abs(struck - 100 * chance) < 150
    assert all(strokes.falls(7, "api.down", number, None) for number in range(100))


def test_two_at_once_take_it_once(app: Flask) -> None:
    """Of many who meet the next one at the same moment one is struck."""
    with app.app_context():
        on = first_stage()
        weather.set(on, "callback.lost", left=3)
    barrier, met = threading.Barrier(12), []

    def meet() -> None:
        barrier.wait()
        with app.app_context():
            met.append(weather.take(on, "callback.lost"))

    threads = [threading.Thread(target=meet) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in met) == 3


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "api.none"},
        {"kind": ""},
        {"kind": "api.down", "seconds": "3"},
        {"kind": "api.slow", "seconds": "0"},
        {"kind": "api.slow", "seconds": "31"},
        {"kind": "api.slow", "seconds": "soon"},
        {"kind": "api.down", "next": "0"},
        {"kind": "api.down", "chance": "0"},
        {"kind": "api.down", "chance": "101"},
        {"kind": "api.down", "persona": "nobody"},
        {"kind": "api.down", "api": "delete"},
    ],
)
def test_weather_that_nobody_knows(phone: Phone, words: dict[str, str]) -> None:
    """An unknown kind, and numbers that no kind has, are refused, and nothing is set."""
    assert phone.press("/desk/weather", "/desk/weather", **words).status_code == 400
    assert "data-weather" not in phone.get("/desk").text


def test_no_more_than_a_page_can_show(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage has an end of its weather; the desk says so, and the first ones stand."""
    monkeypatch.setattr(weather, "MOST_OF_ONE", 2)
    for kind in ("api.down", "api.slow", "api.drip"):
        let(phone, kind)
    text = phone.get("/desk?lang=en").text
    assert "no more was set" in text
    assert text.count("data-weather=") == 2


def test_no_more_for_everybody(inside: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """What strikes on all stages has an end, whoever sets it; what is a stage's own has not, by that."""
    monkeypatch.setattr(weather, "MOST_SHARED", 1)
    with inside.test_request_context():
        another = stage.make()
    weather.set(another, "provider.down")
    with pytest.raises(weather.Enough):
        weather.set(first_stage(), "notice.lost")
    weather.set(first_stage(), "api.down")


def test_every_kind_says_what_it_is(phone: Phone) -> None:
    """The page of the weather names all kinds; what nobody here could do is marked with the reason."""
    text = phone.get("/desk/weather?lang=en").text
    for name in KINDS:
        assert name in text
    assert "not available here" in text
    assert 'value="shop.frozen"' not in text
    assert 'value="api.down"' in text


def test_each_meeting_is_told(begin: Begin, logged: Logged, app: Flask) -> None:
    """Weather that struck is a happening, and the row of the log that it touched says so."""
    phone, purchase = begin()
    let(phone, "callback.undelivered")
    phone.buy(purchase.url)
    assert logged()[0].weather == "callback.undelivered"
    with app.app_context():
        met = [row for row in happenings.since(FIRST_STAGE) if row.name is Name.WEATHER_MET]
    assert [(row.point_code, row.facts["kind"]) for row in met] == [(purchase.code, "callback.undelivered")]


@pytest.mark.parametrize("kind", ["shop.frozen", "shop.database", "provider.down", "notice.lost"])
def test_what_nobody_here_can_do(phone: Phone, kind: str) -> None:
    """Weather of a neighbour who is not there is not set, and the desk says so."""
    let(phone, kind)
    text = phone.get("/desk?lang=en").text
    assert "nothing was set" in text
    assert "data-weather" not in text


@pytest.mark.parametrize("holds", [True, False], ids=["held", "held for another stage"])
def test_the_shops_own_machine(make: Callable[..., Flask], sap: Sap, holds: bool) -> None:
    """Whoever started the shop is told to hold it just before it is asked; if they cannot, none was met."""
    sap.says("/frozen", status=204 if holds else 409)
    phone = Phone(make(machine_url="http://machine.test", machine_token=SecretStr("word")).test_client())
    shop = Shop(phone.client.application)
    let(phone, "shop.frozen", seconds=12)
    phone.belongs_to("hanako")
    purchase = read_created(shop.create())
    sap.redirects("/buy", purchase.url)
    phone.page(f"{SHOP}/buy")
    phone.buy(purchase.url)
    held, asked = sap.heard[-2:]
    assert (held.path, held.json, held.headers["Authorization"]) == (
        "/frozen",
        {"seconds": 12},
        "Bearer word",
    )
    assert asked.path == "/callback"
    met = '"kind":"shop.frozen","seconds":12' in phone.get("/desk/happenings.json").text.replace(" ", "")
    in_the_row = "shop.frozen" in phone.get("/log?kind=callback").text.partition('class="wire"')[2]
    still_set = 'data-weather="shop.frozen" data-left="1" data-met="0"' in phone.get("/desk").text
    assert (met, in_the_row, still_set) == (holds, holds, not holds)


# Callbacks


def test_undelivered(begin: Begin, sap: Sap, balance: Callable[[str], int], logged: Logged) -> None:
    """A callback that is not delivered is not heard by the app, and takes nothing."""
    phone, purchase = begin()
    let(phone, "callback.undelivered")
    assert phone.buy(purchase.url) == "failed"
    assert not callbacks(sap)
    assert balance("hanako") == 50_000
    assert (logged()[0].status, logged()[0].good) == (None, False)


def test_lost(begin: Begin, sap: Sap, shop: Shop, balance: Callable[[str], int], logged: Logged) -> None:
    """An OK that nobody hears takes nothing, though the app has said it; the log shows what it said."""
    phone, purchase = begin()
    let(phone, "callback.lost")
    assert phone.buy(purchase.url) == "failed"
    assert len(callbacks(sap)) == 1
    assert (balance("hanako"), shop.status(purchase.code)) == (50_000, "create")
    (row,) = [row for row in logged() if row.kind is wirelog.Kind.CALLBACK]
    assert (row.status, row.answer, row.good, row.points_moved) == (200, "OK", False, 0)


def test_queued(begin: Begin, sap: Sap, logged: Logged) -> None:
    """A queued callback is as old as its queue is long; an OK in what is left of its time counts."""
    phone, purchase = begin()
    let(phone, "callback.queued", seconds=6)
    before = int(clock.now().timestamp())
    assert phone.buy(purchase.url) == "bought"
    stamp = believed(callbacks(sap)[0]).timestamp
    assert before - 7 <= stamp <= before - 5
    assert logged()[0].queued_seconds == 6


def test_queued_too_long(begin: Begin, sap: Sap, balance: Callable[[str], int]) -> None:
    """When the queue has used all of the time an OK comes too late, and takes nothing."""
    phone, purchase = begin()
    let(phone, "callback.queued", seconds=14)
    assert phone.buy(purchase.url) == "failed"
    assert balance("hanako") == 50_000


def test_copies(begin: Begin, sap: Sap, balance: Callable[[str], int]) -> None:
    """Copies arrive at once, each with a nonce of its own, and one takes the points."""
    phone, purchase = begin()
    together = threading.Barrier(8)

    def crowd(request: Request) -> Response:
        together.wait(30)
        return ok(request)

    sap.scripts["/callback"] = crowd
    let(phone, "callback.copies", seconds=8)
    assert phone.buy(purchase.url) == "bought"
    assert len({believed(request).oauth["oauth_nonce"] for request in callbacks(sap)}) == 8
    assert balance("hanako") == 49_900


def test_replayed(begin: Begin, sap: Sap, balance: Callable[[str], int]) -> None:
    """A replayed callback is the same to the last byte, and takes nothing twice."""
    phone, purchase = begin()
    let(phone, "callback.replayed")
    assert phone.buy(purchase.url) == "bought"
    first, second = callbacks(sap)
    assert first.query_string == second.query_string
    assert first.headers["Authorization"] == second.headers["Authorization"]
    assert balance("hanako") == 49_900


@pytest.mark.parametrize(("press", "asked"), [("buy", ["20", "10"]), ("cancel", ["10", "20"])])
def test_reversed(begin: Begin, sap: Sap, press: str, asked: list[str]) -> None:
    """The other decision goes out first, and what the app says to each counts."""
    phone, purchase = begin()
    let(phone, "callback.reversed")
    phone.buy(purchase.url, press)
    assert [request.args["status"] for request in callbacks(sap)] == asked
    assert phone.screen(purchase.url) == {"buy": "cancelled", "cancel": "bought"}[press]


def is_shown(fault: Fault, request: Request, code: str) -> bool:
    """Whether the callback has this fault, and the signature that goes with it."""
    try:
        signed = believed(request)
    except signing.BadSignature:
        wrong = (Fault.ALTERED, Fault.UNSIGNED, Fault.WRONG_KEY, Fault.STALE)
        return fault in wrong and (fault is Fault.UNSIGNED) == ("Authorization" not in request.headers)
    return {
        Fault.UNKNOWN_CODE: signed.one("point_code") != code,
        Fault.ANOTHER_OWNER: signed.one("opensocial_owner_id") not in (owner("hanako"), ""),
        Fault.ANOTHER_APP: signed.one("opensocial_app_id") != "4242",
    }.get(fault, False)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("refuses", [True, False])
def test_what_is_forged_moves_nothing(
    begin: Begin, sap: Sap, balance: Callable[[str], int], logged: Logged, fault: Fault, refuses: bool
) -> None:
    """Forged callbacks go out beside the true one; only that takes points. Right is an app that refuses."""
    phone, purchase = begin()
    heard: list[Request] = []

    def app(request: Request) -> Response:
        heard.append(request)
        forged = len(heard) == 1
        return Response("no", 401) if (refuses and forged) or not forged else ok(request)

    sap.scripts["/callback"] = app
    let(phone, fault.kind)
    assert phone.buy(purchase.url) == "failed"
    assert balance("hanako") == 50_000
    assert is_shown(fault, heard[0], purchase.code)
    assert believed(heard[1]).one("point_code") == purchase.code
    (row,) = [row for row in logged() if row.weather]
    assert (row.weather, row.good) == (fault.kind, refuses)


# The point API


def test_api_slow(begin: Begin, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow API answers after its seconds, as ever."""
    phone, _ = begin()
    slept: list[float] = []
    monkeypatch.setattr("storefront.sandbox.mixi.api.sleep", slept.append)
    let(phone, "api.slow", seconds=9)
    read_created(shop.create())
    assert slept == [9]


def test_api_drip(begin: Begin, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dripping answer is whole in the end."""
    phone, _ = begin()
    slept: list[float] = []
    monkeypatch.setattr("storefront.sandbox.mixi.api.sleep", slept.append)
    let(phone, "api.drip", seconds=5)
    read_created(shop.create())
    assert len(slept) == 5


@pytest.mark.parametrize("kind", ["api.slow", "api.down", "api.401", "platform.maintenance"])
def test_what_is_forged_meets_no_weather(
    begin: Begin, shop: Shop, happened: Happened, logged: Logged, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A request that nobody has signed meets no weather, uses none up, and stands in no log as somebody's."""
    phone, _ = begin()
    slept: list[float] = []
    monkeypatch.setattr("storefront.sandbox.mixi.api.sleep", slept.append)
    let(phone, kind)
    before = happened()
    assert shop.create(secret="wrong").status_code == 401
    row = logged()[0]
    assert (row.stage_id, row.owner_id, row.weather, row.sent) == (None, None, "", "")
    assert (slept, happened()) == ([], before)
    read_created(shop.create()) if kind == "api.slow" else None
    assert slept == ([3] if kind == "api.slow" else [])


def test_few_are_kept_waiting(begin: Begin, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many slow or dripping answers at once only so many wait, and the others come at once and whole."""
    phone, _ = begin()
    monkeypatch.setattr("storefront.sandbox.mixi.api.BEDS", threading.BoundedSemaphore(1))
    api.BEDS.acquire()
    for kind in ("api.slow", "api.drip"):
        let(phone, kind, seconds=30)
        read_created(shop.create())


@pytest.mark.parametrize("kind", ["api.down", "api.lost"])
def test_a_cut_line(begin: Begin, shop: Shop, logged: Logged, happened: Happened, kind: str) -> None:
    """On a cut line nothing is answered: before anything was done, or after."""
    phone, _ = begin()
    let(phone, kind)
    count = happened().count(Name.PAYMENT_CREATED)
    with pytest.raises(ConnectionResetError):
        shop.create()
    assert happened().count(Name.PAYMENT_CREATED) - count == {"api.down": 0, "api.lost": 1}[kind]
    assert (logged()[0].status, logged()[0].good, logged()[0].weather) == (None, False, kind)


@pytest.mark.parametrize(
    ("kind", "status", "header"),
    [("api.401", 401, "WWW-Authenticate"), ("api.403", 403, ""), ("api.throttled", 503, "Retry-After")],
)
def test_api_refuses(
    begin: Begin, shop: Shop, happened: Happened, kind: str, status: int, header: str
) -> None:
    """A refusal by the weather is one like any other, and creates nothing."""
    phone, _ = begin()
    let(phone, kind)
    answer = shop.create()
    assert answer.status_code == status
    assert not header or header in answer.headers
    assert happened()[-1] is Name.API_REFUSED


def test_api_rubbish(begin: Begin, shop: Shop, happened: Happened) -> None:
    """Rubbish comes with 200, and nothing was created."""
    phone, _ = begin()
    count = happened().count(Name.PAYMENT_CREATED)
    let(phone, "api.rubbish")
    answer = shop.create()
    assert (answer.status_code, "<id>" in answer.text) == (200, False)
    assert happened().count(Name.PAYMENT_CREATED) == count


def test_foreign_link(begin: Begin, shop: Shop) -> None:
    """The payment is there, and its screen is said to stand on another host."""
    phone, _ = begin()
    let(phone, "api.foreign_link")
    purchase = read_created(shop.create())
    assert not purchase.url.startswith(PLATFORM)
    assert shop.status(purchase.code) == "create"


# The payment screen, and the platform


def test_screen_expired(begin: Begin, balance: Callable[[str], int]) -> None:
    """The time of this screen is up, and stays up."""
    phone, purchase = begin()
    let(phone, "screen.expired")
    assert [phone.screen(purchase.url) for _ in range(2)] == ["expired"] * 2
    assert balance("hanako") == 50_000


def test_no_link(begin: Begin) -> None:
    """The result has no link back, however often it is looked at; the next purchase has one."""
    phone, purchase = begin()
    let(phone, "screen.no_link")
    phone.buy(purchase.url)
    path = purchase.url.removeprefix(PLATFORM)
    assert ["data-finish" in phone.get(path).text for _ in range(2)] == [False, False]
    _, other = begin()
    phone.buy(other.url)
    assert "data-finish" in phone.get(other.url.removeprefix(PLATFORM)).text


def test_no_top_up(begin: Begin) -> None:
    """While no points can be obtained the screen says so."""
    phone, purchase = begin("yuki")
    let(phone, "topup.maintenance")
    path = purchase.url.removeprefix(PLATFORM)
    assert 'data-no-top-up="maintenance"' in phone.get(path).text
    assert 'data-no-top-up="maintenance"' not in phone.get(path).text


def test_maintenance_is_everywhere(begin: Begin, shop: Shop) -> None:
    """A closed platform is closed everywhere: container, start, payment screen, API."""
    phone, purchase = begin()
    let(phone, "platform.maintenance", next=None)
    token = {"persona": "hanako"}
    closed = [
        phone.page(f"{SHOP}/"),
        phone.press("/", "/phone/mobile", **token),
        phone.press("/", "/phone/pc", **token),
        phone.get(purchase.url.removeprefix(PLATFORM)),
        shop.create(),
    ]
    assert [answer.status_code for answer in closed] == [503] * 5
    assert phone.get("/").status_code == 200


@pytest.mark.parametrize("seconds", [700, -700, 1])
def test_a_clock_that_is_off(begin: Begin, sap: Sap, seconds: int) -> None:
    """The platform signs by a clock that is off by so much; its own pages and points go by the right one."""
    phone, purchase = begin()
    let(phone, "clock.skew", seconds=seconds)
    before = int(clock.now().timestamp())
    assert phone.buy(purchase.url) == "bought"
    assert abs(believed(callbacks(sap)[0], window=1000).timestamp - before - seconds) <= 2


def test_a_clock_that_is_off_in_a_start_address(phone: Phone) -> None:
    """A start address is signed by the same clock."""
    let(phone, "clock.skew", seconds=700, next=None)
    found = dict(pair.split("=") for pair in phone.opens("hanako", "pc").partition("?")[2].split("&"))
    assert 690 <= int(found["oauth_timestamp"]) - clock.now().timestamp() <= 700


def test_the_strip_says_what_bends_the_world(phone: Phone) -> None:
    """Weather, clock and switches stand in the strip of every page, and nothing does when all is normal."""
    for path in ("/", "/desk", "/log", "/developer", "/nothing"):
        assert "data-bend" not in phone.get(path).text
    let(phone, "api.down")
    phone.press("/desk", "/desk/clock", seconds="180")
    phone.press("/desk", "/desk/switches/approved", on="no")
    for path in ("/", "/desk", "/log", "/developer", "/nothing"):
        text = phone.get(path).text
        assert all(f'data-bend="{name}"' in text for name in ("api.down", "clock", "approved"))


def test_weather_needs_a_number_that_it_has(inside: Flask) -> None:
    """A kind without seconds is given none, and one that has them gets the usual ones."""
    on = first_stage()
    assert weather.set(on, "api.slow").seconds == KINDS["api.slow"].seconds
    with pytest.raises(Unknown):
        weather.set(on, "api.down", seconds=1)


# The clock


def test_a_turned_clock_lets_screens_expire(begin: Begin, sap: Sap) -> None:
    """Three minutes on, the payment screen has expired; back to now it has not."""
    phone, purchase = begin()
    phone.press("/desk", "/desk/clock", seconds="181")
    assert phone.screen(purchase.url) == "expired"
    phone.press("/desk", "/desk/clock", to="now")
    assert phone.screen(purchase.url) == "confirm"


def test_a_turned_clock_never_signs(begin: Begin, sap: Sap, shop: Shop) -> None:
    """A day on, signatures are of this moment; dates in callback and answer are of the stage."""
    phone, _ = begin()
    phone.press("/desk", "/desk/clock", seconds="86400")
    phone, purchase = begin()
    assert phone.buy(purchase.url) == "bought"
    asked = callbacks(sap)[0]
    assert abs(believed(asked).timestamp - clock.now().timestamp()) < 10
    tomorrow = clock.stamp(clock.now() + timedelta(days=1))[:13]
    assert asked.args["updated"][:13] == tomorrow
    assert f"<updated>{tomorrow}" in shop.confirm(purchase.code).text


def test_who_has_not_been_there_for_long(begin: Begin, shop: Shop) -> None:
    """A day on, the API refuses who has not been in the app since."""
    phone, _ = begin()
    phone.press("/desk", "/desk/clock", seconds="86500")
    assert shop.create().status_code == 401
    phone.page(f"{SHOP}/")
    assert shop.create().status_code == 200


def test_next_month(phone: Phone, app: Flask) -> None:
    """Next month is the first of the month that follows, once more and once more."""
    for number in (1, 2, 14):
        phone.press("/desk", "/desk/clock", to="now")
        for _ in range(number):
            phone.press("/desk", "/desk/clock", to="next-month")
        with app.app_context():
            shown = first_stage().now()
        today = clock.now()
        months = (shown.year - today.year) * 12 + shown.month - today.month
        assert (months, shown.day) == (number, 1)


def test_a_clock_has_an_end(phone: Phone) -> None:
    """No clock is turned to where dates end."""
    assert phone.press("/desk", "/desk/clock", seconds="99999999999").status_code == 400
