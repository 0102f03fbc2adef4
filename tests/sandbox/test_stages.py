"""A stage belongs to its browser: others can neither decide on it, nor read it, nor turn it."""

import re
from collections.abc import Callable

import pytest
from flask import Flask

from storefront.sandbox import clock, happenings, people, stage, store, wirelog
from storefront.sandbox.cast import CAST
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name
from storefront.sandbox.people import FIRST_STAGE, User
from storefront.sandbox.stage import Stage, Switch
from storefront.sandbox.wirelog import Exchange, Kind
from tests.sandbox.conftest import (
    PLATFORM,
    SHOP,
    TEST_XML,
    Begin,
    Phone,
    Purchase,
    Sap,
    Shop,
    first_stage,
    read_created,
)

pytestmark = pytest.mark.long


class Stranger(Phone):
    """Another browser, which has not been here before and is on no stage."""

    def __post_init__(self) -> None:
        pass


@pytest.fixture
def stranger(app: Flask) -> Stranger:
    return Stranger(app.test_client())


def played(phone: Phone) -> str:
    """The stage that this browser plays on."""
    with phone.client.session_transaction(base_url=PLATFORM) as browser:
        return str(browser.get(people.PLAYED, ""))


def owner_of(app: Flask, phone: Phone, key: str) -> str:
    """The id of a persona on this browser's stage."""
    with app.app_context():
        (user,) = [one for one in people.everyone(played(phone)) if one.persona_key == key]
        return user.owner_id


def test_a_look_makes_no_stage(app: Flask, stranger: Stranger) -> None:
    """Whoever only looks makes nothing; the first press makes a stage, and the next ones keep it."""
    for path in ("/", "/desk", "/desk/weather", "/desk/live", "/desk/outcomes", "/developer", "/log"):
        assert stranger.get(path).status_code == 200
    with app.app_context(), store.reading() as session:
        assert session.query(Stage).count() == 1
    stranger.belongs_to("hanako")
    first = played(stranger)
    stranger.belongs_to("taro", "pc")
    assert played(stranger) == first != FIRST_STAGE


def test_ids_of_their_own(app: Flask) -> None:
    """Each stage has a cast with ids of its own, of 13 characters; who tests the app is one person on all."""
    with app.test_request_context():
        made = [stage.make().id for _ in range(2)]
        casts = [{user.persona_key: user.owner_id for user in people.everyone(one)} for one in made]
    for persona in CAST:
        ids = {cast[persona.key] for cast in casts}
        assert ids == {persona.owner_id} if persona.is_everywhere else len(ids | {persona.owner_id}) == 3
        assert all(re.fullmatch(r"[0-9a-z]{13}", one) for one in ids)


def test_others_cannot_decide(begin: Begin, stranger: Stranger, balance: Callable[[str], int]) -> None:
    """A payment screen is closed to a browser on another stage, also to its person of the same name."""
    _, purchase = begin()
    path = purchase.url.removeprefix(PLATFORM)
    stranger.belongs_to("hanako")
    assert stranger.screen(purchase.url) == "closed"
    for action in ("buy", "cancel", "top-up"):
        answer = stranger.press("/", f"{path}/{action}", points="100")
        assert answer.status_code == 403
    assert balance("hanako") == 50_000


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("pay-back", {}),
        ("send", {"decision": "bought"}),
        ("send", {"fault": "unsigned"}),
        ("callback-by-phone", {"how": "bare"}),
        ("finish-of", {"persona": "taro"}),
    ],
)
def test_others_cannot_act(
    begin: Begin, stranger: Stranger, sap: Sap, action: str, more: dict[str, str]
) -> None:
    """Nothing is done to a payment from another stage's desk."""
    phone, purchase = begin()
    phone.buy(purchase.url)
    count = len(sap.heard)
    stranger.belongs_to("hanako")
    answer = stranger.press("/desk", f"/desk/actions/{action}", payment=purchase.code, **more)
    assert answer.status_code == 404
    assert len(sap.heard) == count
    assert phone.screen(purchase.url) == "bought"


def test_others_cannot_read(begin: Begin, app: Flask, stranger: Stranger) -> None:
    """The log, the payments and what happened are a stage's own; a row of it cannot be sent by others."""
    phone, purchase = begin()
    phone.buy(purchase.url)
    stranger.belongs_to("hanako")
    for path in ("/", "/log", "/desk", "/desk/live", "/developer", "/desk/happenings.json"):
        assert purchase.code not in stranger.get(path).text
    with app.app_context():
        rows, _ = wirelog.page(FIRST_STAGE, 1, None)
    for row in rows:
        sent = stranger.press("/desk", f"/log/{row.id}/resend", nonce="same")
        assert sent.status_code == 404


def test_others_cannot_turn(begin: Begin, stranger: Stranger, shop: Shop) -> None:
    """Weather, clock and switches of one stage are not another's."""
    phone, purchase = begin()
    stranger.press("/desk", "/desk/weather", kind="api.403")
    stranger.press("/desk", "/desk/clock", seconds="86400")
    stranger.press("/developer", "/developer/switches/approved", on="no")
    assert shop.create().status_code == 200
    assert phone.screen(purchase.url) == "confirm"
    assert "data-bend" not in phone.get("/").text
    stranger.press("/desk", "/desk/weather/1/clear")
    assert 'data-bend="approved"' in stranger.get("/").text


def test_others_weather_cannot_be_cleared(phone: Phone, stranger: Stranger) -> None:
    """A number that is another stage's clears nothing."""
    phone.press("/desk", "/desk/weather", kind="api.down")
    for number in range(1, 4):
        stranger.press("/desk", f"/desk/weather/{number}/clear")
    assert 'data-weather="api.down"' in phone.get("/desk").text


def test_the_api_knows_whose_stage_it_is(app: Flask, stranger: Stranger, shop: Shop) -> None:
    """A call in somebody's name meets the weather of their stage."""
    stranger.belongs_to("hanako")
    stranger.press("/desk", "/desk/weather", kind="api.403", persona="hanako")
    stranger.press("/desk", "/desk/weather", kind="api.401", persona="taro")
    assert shop.create(owner_of(app, stranger, "hanako")).status_code == 403
    assert shop.create(owner_of(app, stranger, "taro")).status_code == 401
    assert shop.create("jiro").headers.get("WWW-Authenticate") == 'OAuth oauth_problem="permission_denied"'


def test_the_tester_is_where_she_was_last(begin: Begin, app: Flask, stranger: Stranger, shop: Shop) -> None:
    """Who lives on every stage belongs to the one where she opened the app last."""
    phone, _ = begin("mika", TEST_XML)
    stranger.belongs_to("mika")
    phone.press("/desk", "/desk/weather", kind="api.403")
    assert shop.create("mika", TEST_XML).status_code == 200
    phone.belongs_to("mika")
    assert shop.create("mika", TEST_XML).status_code == 403


def test_points_of_one_stage(app: Flask, stranger: Stranger, shop: Shop, sap: Sap) -> None:
    """A purchase takes the points of its own stage's buyer."""
    stranger.belongs_to("hanako")
    purchase: Purchase = read_created(shop.create(owner_of(app, stranger, "hanako")))
    sap.redirects("/buy", purchase.url)
    stranger.page(f"{SHOP}/buy")
    assert stranger.buy(purchase.url) == "bought"
    with app.app_context(), store.reading() as session:
        balances = sorted(one.balance for one in session.query(User).filter(User.persona_key == "hanako"))
    assert balances == [49_900, 50_000]


def test_old_stages_are_forgotten(
    app: Flask, stranger: Stranger, monkeypatch: pytest.MonkeyPatch, shop: Shop
) -> None:
    """The oldest stages go with all that is on them; a browser that was on one begins anew."""
    stranger.belongs_to("hanako")
    shop.create(owner_of(app, stranger, "hanako"))
    old = played(stranger)
    monkeypatch.setattr(stage, "KEEP", 1)
    for _ in range(2):
        with app.test_request_context():
            stage.make()
    with app.app_context(), store.reading() as session:
        tables = [table for table in store.Base.metadata.sorted_tables if "stage_id" in table.columns]
        for table in tables:
            assert not session.query(table).filter(table.c.stage_id == old).count(), table.name
    assert stranger.get("/").status_code == 200
    stranger.belongs_to("hanako")
    assert played(stranger) != old


def test_one_browser_forgets_its_own(app: Flask, stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever begins anew again and again loses his own stages, nobody else's."""
    stranger.belongs_to("hanako")
    monkeypatch.setattr(stage, "KEEP", 4)
    monkeypatch.setattr(stage, "MOST_OF_ONE", 2)
    with app.test_request_context():
        for _ in range(6):
            stage.make()
    with app.app_context():
        assert stage.by_id(played(stranger))


def test_one_address_forgets_its_own(app: Flask, stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does whoever comes as a new browser each time, from one address."""
    stranger.belongs_to("hanako")
    monkeypatch.setattr(stage, "KEEP", 4)
    monkeypatch.setattr(stage, "MOST_FROM_ONE", 2)
    for _ in range(6):
        with app.test_request_context(environ_base={"REMOTE_ADDR": "192.0.2.7"}):
            stage.make()
    with app.app_context():
        assert stage.by_id(played(stranger))


def test_a_team_at_one_address(
    app: Flask, stranger: Stranger, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    """A stage that its browser came back to is not pushed out by those of its address to which nobody did."""
    stranger.belongs_to("hanako")
    later(90)
    stranger.get("/desk")
    monkeypatch.setattr(stage, "MOST_FROM_ONE", 4)
    monkeypatch.setattr(stage, "MOST_LEFT", 2)
    with app.app_context():
        address = stage.by_id(played(stranger))
        assert address
    for _ in range(6):
        with app.test_request_context(environ_base={"REMOTE_ADDR": address.made_from}):
            newest = stage.make().id
    with app.app_context(), store.reading() as session:
        left = session.query(Stage).filter(Stage.made_from == address.made_from).count()
        assert (left, bool(stage.by_id(played(stranger))), bool(stage.by_id(newest))) == (3, True, True)


@pytest.mark.parametrize(("proxies", "is_believed"), [(0, False), (1, True)])
def test_who_stands_behind_a_proxy(make: Callable[..., Flask], proxies: int, is_believed: bool) -> None:
    """Where a stage was made is what a proxy of ours says, and nobody else."""
    app = make(proxies=proxies)
    client = app.test_client()
    client.environ_base["HTTP_X_FORWARDED_FOR"] = "198.51.100.9, 192.0.2.7"
    Stranger(client).belongs_to("hanako")
    with app.app_context(), store.reading() as session:
        made_from = {one.made_from for one in session.query(Stage)}
    assert ("192.0.2.7" in made_from, "198.51.100.9" in made_from) == (is_believed, False)


def test_a_stage_is_read_once_a_request(inside: Flask) -> None:
    """A page reads its stage once, and anew after it has turned something."""
    on = first_stage()
    assert first_stage() is on
    stage.turn_clock(on, 60)
    assert (first_stage().clock_seconds, on.clock_seconds) == (60, 0)
    stage.turn(on, Switch.APPROVED, on=False)
    assert not first_stage().approved
    stage.sign_with(on, Device.PC, "pc_2", instead_of=on.pc_key)
    assert first_stage().pc_key == "pc_2"


def test_who_is_still_there_keeps_the_stage(
    app: Flask, stranger: Stranger, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    """Those go first that have not been used for longest, however long ago the others were made."""
    stranger.belongs_to("hanako")
    old = played(stranger)
    monkeypatch.setattr(stage, "KEEP", 2)
    later(90)
    with app.test_request_context():
        unused = stage.make().id
    later(90)
    stranger.get("/desk")
    with app.test_request_context():
        stage.make()
        assert (stage.by_id(old) is None, stage.by_id(unused) is None) == (False, True)


def test_what_is_under_way_on_a_forgotten_stage(inside: Flask) -> None:
    """A stage forgotten while its callback is under way leaves nobody stumbling over it."""
    happenings.note("forgotten", Name.PAYMENT_FAILED)
    assert happenings.newest("forgotten", 1) == []
    assert wirelog.record(exchange("forgotten")) == 0


def test_nothing_of_what_happened_on_a_forgotten_stage(inside: Flask) -> None:
    """With a row that nobody keeps goes what happened by it; what happened elsewhere stays."""
    with inside.test_request_context():
        kept = stage.make().id
    happened = [happenings.line(one, Name.PAGE_SHOWN) for one in (kept, "forgotten")]
    assert wirelog.record(exchange(kept), happened) == 0
    assert (wirelog.page(kept, 1)[0], happenings.newest(kept, 1)) == ([], [])
    row = wirelog.record(exchange(kept), happened[:1])
    assert [one.wire_id for one in happenings.newest(kept, 9)] == [row]


def test_the_log_of_all_stages_has_an_end(inside: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest rows go first, whosever they are."""
    monkeypatch.setattr(wirelog, "KEEP_IN_ALL", 3)
    monkeypatch.setattr(wirelog, "COUNTED", 1)
    with inside.test_request_context():
        stages = [stage.make().id for _ in range(2)]
    for number in range(6):
        wirelog.record(exchange(stages[number % 2]))
    assert [len(wirelog.page(one, 1)[0]) for one in stages] == [1, 2]


def test_what_strangers_send_has_a_small_place(inside: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much comes that names nobody we know, it pushes out nothing but its own kind."""
    for name, bound in {"KEEP_OF_STRANGERS": 2, "KEEP_IN_ALL": 3, "COUNTED": 1}.items():
        monkeypatch.setattr(wirelog, name, bound)
    with inside.test_request_context():
        mine = stage.make().id
    kept = [wirelog.record(exchange(mine)), wirelog.record(exchange(None, Kind.NOTICE))]
    flood = [wirelog.record(exchange(None, Kind.API)) for _ in range(9)]
    assert [row.id for row in wirelog.page(mine, 1)[0]] == [flood[-1], flood[-2], kept[0]]
    with store.reading() as session:
        assert session.get(Exchange, kept[1])


def exchange(stage_id: str | None, kind: Kind = Kind.PAGE) -> Exchange:
    return Exchange(
        stage_id=stage_id,
        at=clock.now(),
        kind=kind,
        method="GET",
        url=SHOP,
        base_string="",
        milliseconds=1,
        good=True,
        verdict="",
    )


def test_mine_is_the_newest(app: Flask) -> None:
    """Of several stages that one browser made for a situation, the last is the one that counts."""
    with app.test_request_context():
        _, second = (stage.make(situation="who=hanako") for _ in range(2))
        newest = stage.mine("who=hanako")
        assert newest
        assert newest.id == second.id
        assert stage.mine("who=taro") is None
    with app.test_request_context():
        assert stage.mine("who=hanako") is None


@pytest.mark.parametrize("device", ["mobile", "smartphone"])
def test_who_lives_everywhere_decides_where_it_was_begun(
    app: Flask, shop: Shop, sap: Sap, stranger: Stranger, device: str
) -> None:
    """Another browser that opened the app as the same person last gets neither the payment nor its rows."""
    phone = Phone(app.test_client())
    phone.press("/", "/reset")
    phone.belongs_to("mika", device)
    stranger.press("/", "/reset")
    stranger.belongs_to("mika", device)
    purchase = read_created(shop.create("mika", TEST_XML))
    screen = purchase.url.removeprefix(PLATFORM)
    if device == "mobile":
        sap.redirects("/buy", purchase.url)
        phone.page(f"{SHOP}/buy")
    assert phone.get(screen).status_code == 200
    assert stranger.get(screen).status_code == 403
    assert purchase.code in phone.get("/log").text
    assert purchase.code not in stranger.get("/log").text + stranger.get("/desk").text
    assert phone.buy(purchase.url) == "bought"
