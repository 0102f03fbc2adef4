"""The sandbox's own pages say what is there, keep secrets, and act only on their own forms."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from lxml import html

from storefront.languages import LANGUAGES
from storefront.sandbox import wirelog
from storefront.sandbox.assumptions import ASSUMPTIONS, PLACES
from storefront.sandbox.cast import CAST
from storefront.sandbox.mixi import frame
from storefront.sandbox.settings import MIB, assumptions
from tests.sandbox.conftest import KEY, PLATFORM, SECRET, SHOP, Begin, Phone, Sap, Shop


@pytest.mark.parametrize("path", ["/", "/log", "/developer", "/nothing-here"])
@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_page_says_that_it_is_a_sandbox(phone: Phone, path: str, language: str) -> None:
    """The standing strip is on every page, in both languages."""
    text = phone.get(f"{path}?lang={language}").text
    assert 'class="strip"' in text
    assert f'<html lang="{language}">' in text
    assert "<script" not in text


@pytest.mark.parametrize("path", ["/", "/log", "/developer"])
def test_a_language_more(phone: Phone, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """A language without a translation is chosen like any other, and says everything in English."""
    monkeypatch.setitem(LANGUAGES, "eo", "Esperanto")
    text = phone.get(f"{path}?lang=eo").text
    assert '<html lang="eo">' in text
    assert "Hanako" in phone.get("/").text


def test_japanese_is_the_default(phone: Phone) -> None:
    """Without a wish the pages are Japanese; the browser's wish and the chosen language count."""
    assert '<html lang="ja"' in phone.get("/").text
    assert '<html lang="en"' in phone.get("/", headers={"Accept-Language": "en-GB"}).text
    phone.get("/?lang=ja")
    assert '<html lang="ja"' in phone.get("/", headers={"Accept-Language": "en-GB"}).text


def test_a_browser_says_little(phone: Phone) -> None:
    """Of a long list of languages the beginning is heard, as far as the last whole one."""
    others = "x," * 127
    for asked, spoken in ((f"en,{others}x", "en"), (f"{others}x,en", "ja"), (f"{others}enm", "ja")):
        assert f'<html lang="{spoken}"' in phone.get("/", headers={"Accept-Language": asked}).text


def test_home_moves_to_the_public_address(app: Flask) -> None:
    """A phone that came by another name of this machine is sent to the one its cookie is for."""
    answer = app.test_client().get("/", base_url="http://localhost:8001")
    assert answer.headers["Location"].startswith(PLATFORM)


@pytest.mark.parametrize("path", ["/desk", "/log", "/developer", "/phone/mobile", "/point/x"])
def test_other_hosts_are_refused(app: Flask, path: str) -> None:
    """Under a name that is not the sandbox's nothing is shown and nothing done."""
    for method in ("GET", "POST"):
        answer = app.test_client().open(path, method=method, base_url="http://rebound.example:8001")
        assert answer.status_code == 421


def test_a_name_that_no_host_has(app: Flask) -> None:
    """It is refused like any other that is not ours, with a page of ours."""
    answer = app.test_client().get("/desk", environ_overrides={"HTTP_HOST": "a..b"})
    assert (answer.status_code, "Content-Security-Policy" in answer.headers) == (421, True)


def test_home_shows_balances_and_payments(begin: Begin, phone: Phone) -> None:
    """After a purchase the home page shows what it cost, and its state."""
    buyer, purchase = begin()
    buyer.buy(purchase.url)
    text = phone.get("/").text
    assert 'data-persona="hanako" data-balance="49900"' in text
    assert f'data-payment="{purchase.code}" data-state="complete"' in text


def test_reset(begin: Begin, shop: Shop, sap: Sap, balance: Callable[[str], int]) -> None:
    """A reset is a fresh stage: full purses, empty lists, and nothing of before is touched."""
    buyer, purchase = begin()
    buyer.buy(purchase.url)
    buyer.press("/", "/reset")
    text = buyer.get("/").text
    assert 'data-persona="hanako" data-balance="50000"' in text
    assert purchase.code not in text
    assert (balance("hanako"), shop.status(purchase.code)) == (49_900, "complete")


@pytest.mark.parametrize("path", ["/", "/developer", "/point/nothing", "/healthz", "/no-such-page"])
def test_nothing_is_for_search_engines(phone: Phone, path: str) -> None:
    """Every answer says that it is not to be indexed, and robots.txt closes the whole place."""
    assert phone.get(path).headers["X-Robots-Tag"] == "noindex"
    robots = phone.get("/robots.txt")
    assert (robots.mimetype, robots.text) == ("text/plain", "User-agent: *\nDisallow: /\n")


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("; charset=Shift_JIS", "cp932"),
        (";charset=shift_jis", "cp932"),
        ('; charset="x-sjis"', "cp932"),
        ("; CHARSET=Windows-31J", "cp932"),
        ("; charset=utf-8", "utf-8"),
        ("", "utf-8"),
        ("; charset=nonsense", "utf-8"),
        ("; charset=hex", "utf-8"),
    ],
)
def test_the_log_reads_the_charset(charset: str, codec: str) -> None:
    """A page is shown in the log as its charset says, with the signs that phones have beyond JIS."""
    text = "港の①番～剣"
    assert wirelog.text(f"text/html{charset}", text.encode(codec)) == text


def test_a_shift_jis_page_is_legible(
    phone: Phone, sap: Sap, logged: Callable[[], list[wirelog.Exchange]]
) -> None:
    """What the app said in Shift_JIS stands in the log in Japanese."""
    sap.says("/", "<body>灯台</body>".encode("cp932"), content_type="text/html; charset=Shift_JIS")
    phone.belongs_to("taro").page(f"{SHOP}/")
    assert logged()[0].answer == "<body>灯台</body>"


@pytest.mark.parametrize(
    "path",
    [
        "/phone",
        "/phone/mobile",
        "/phone/pc",
        "/developer/keys/pc",
        "/removals",
        "/reset",
        "/developer/switches/approved",
        "/developer/events",
    ],
)
def test_forms_from_elsewhere(phone: Phone, path: str) -> None:
    """A form without this browser's word is refused."""
    assert phone.post(path, data={"persona": "hanako"}).status_code == 400


def test_someone_who_is_not_in_the_cast(phone: Phone) -> None:
    """Nobody can be played who is not there, on any device."""
    for path in ("/phone", "/phone/mobile", "/phone/pc"):
        assert phone.press("/", path, persona="nobody").status_code == 400


def test_developer_page_keeps_the_secret(phone: Phone) -> None:
    """The consumer key is shown, the secret never."""
    text = phone.get("/developer").text
    assert KEY in text
    assert SECRET not in text


def test_an_empty_log_says_how_to_fill_it(phone: Phone) -> None:
    """Before the first request the log names the button."""
    assert "Open the app" in phone.get("/log?lang=en").text


def test_the_log_shows_both_directions(
    begin: Begin, phone: Phone, logged: Callable[[], list[wirelog.Exchange]]
) -> None:
    """Pages, API calls and callbacks are all there, newest first, with base strings."""
    buyer, purchase = begin()
    buyer.buy(purchase.url)
    kinds = [row.kind.value for row in logged()]
    assert kinds[0] == "callback"
    assert {"lifecycle", "page", "api", "callback"} == set(kinds)
    assert all(row.base_string for row in logged())
    assert purchase.code in phone.get("/log").text


def test_the_log_keeps_secrets(
    phone: Phone, sap: Sap, shop: Shop, logged: Callable[[], list[wirelog.Exchange]]
) -> None:
    """No signature and no form token is ever written down."""
    sap.says(
        "/",
        '<form><input type="hidden" name="token" value="verysecret"><input value="abc" type=hidden></form>',
    )
    phone.belongs_to("hanako").page(f"{SHOP}/?intent_token=verysecret")
    shop.create(secret="wrong")
    written = " ".join(f"{row.url} {row.base_string} {row.sent} {row.answer}" for row in logged())
    assert "verysecret" not in written
    assert "abc" not in written
    assert "oauth_signature=" not in written
    assert "opensocial_owner_id" in written


@pytest.mark.parametrize(
    "text",
    [
        'oauth_signature="aGVsbG8%3D"',
        "oauth_signature=aGVsbG8%3D&x=1",
        "oauth_signature%3DaGVsbG8%253D%26x",
        "token=aGVsbG8",
        "csrf_token%3DaGVsbG8%26x",
        "form_token%253DaGVsbG8%2526x",
    ],
)
def test_redaction(text: str) -> None:
    """Signatures and tokens are recognised in plain and escaped form."""
    assert "aGVsbG8" not in wirelog.redact(text)


@pytest.mark.parametrize(
    "page",
    [
        "<input type='hidden' name=a value='aGVsbG8'>",
        "<INPUT value=aGVsbG8 type=hidden>",
        "<input type=hidden value=aGVsbG8",
        '<button class="x" name="a" value="aGVsbG8-aGVsbG8-aGVsbG8">',
    ],
)
def test_what_a_form_hides(page: str) -> None:
    """What a page hides in a form is found in any order, and where the page is cut."""
    assert "aGVsbG8" not in wirelog.redact(f"<p>1 {page}")
    assert "seen" in wirelog.redact("<input type=text value=seen><button name=a value='seen'>")


@pytest.mark.parametrize(
    "piece", ["token", "<input ", "<button ", "<input type=hidden value=a ", "session_", "x"]
)
def test_redaction_is_one_pass(piece: str) -> None:
    """A body of the largest size is read in one pass, whatever stands in it."""
    body = (piece * (MIB // len(piece))).encode() + b" "
    assert wirelog.text("text/xml", body).endswith(wirelog.CUT)


@pytest.mark.parametrize("piece", [b"<img ", b"<body "])
def test_dressing_is_one_pass(piece: bytes) -> None:
    """A page of tags that never end is read in one pass, too, and stays as it came."""
    page = piece * (MIB // 4 // len(piece))
    assert frame.dress(page, "", "", str) == page


def test_redaction_leaves_the_method_alone() -> None:
    """The signature method is no secret."""
    assert wirelog.redact("oauth_signature_method=HMAC-SHA1") == "oauth_signature_method=HMAC-SHA1"


NO_ROW = "9" * 20


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", f"/log/{NO_ROW}", 404),
        ("get", f"/desk/walks/{NO_ROW}", 404),
        ("get", f"/desk/walks/{NO_ROW}.json", 404),
        ("get", f"/desk/happenings.json?after={NO_ROW}", 200),
        ("post", f"/desk/weather/{NO_ROW}/clear", 404),
        ("post", f"/log/{NO_ROW}/resend", 404),
    ],
)
def test_a_number_that_no_row_has(phone: Phone, method: str, path: str, status: int) -> None:
    """A number too large for any row leads nowhere, and is no error of ours."""
    answer = phone.get(path) if method == "get" else phone.press("/", path)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("/desk/weather", {"kind": "api.down", "seed": NO_ROW}),
        ("/desk/walkthroughs/first-purchase/begin", {"price": "9" * 5000}),
    ],
)
def test_a_number_that_nobody_counts_to(phone: Phone, action: str, fields: dict[str, str]) -> None:
    """A number too large to be meant is 400."""
    assert phone.press("/", action, **fields).status_code == 400


@pytest.mark.parametrize("path", ["/?moved", "/desk"])
def test_another_name_of_ours(app: Flask, path: str) -> None:
    """By another host's name there is nothing to see, at home either."""
    assert app.test_client().get(path, base_url="http://evil.test").status_code == 421


def test_the_log_is_paged(
    phone: Phone, logged: Callable[[], list[wirelog.Exchange]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older rows are on the next page, and the oldest are forgotten."""
    monkeypatch.setattr(wirelog, "PAGE", 2)
    monkeypatch.setattr(wirelog, "KEEP", 3)
    phone.belongs_to("hanako")
    for number in range(5):
        phone.page(f"{SHOP}/page{number}")
    assert "page4" in phone.get("/log").text
    assert "page2" in phone.get("/log?page=2").text
    assert "page1" not in phone.get("/log?page=2").text
    assert phone.get("/log?page=99999999999999999999&kind=nothing").status_code == 200


def test_what_the_app_says_is_shown_as_text(phone: Phone, sap: Sap) -> None:
    """An answer in the log cannot become markup."""
    sap.says("/", "<script>alert(1)</script>")
    phone.belongs_to("hanako").page(f"{SHOP}/")
    assert "<script>" not in phone.get("/log").text


def test_healthz(app: Flask) -> None:
    """The process says that it is there."""
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "ok", "text/plain")


def test_a_crash_shows_no_traceback(app: Flask, phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a defect of the sandbox ends on a well-made page."""
    monkeypatch.setattr("storefront.sandbox.phone.people.everyone", lambda: 1 / 0)
    answer = phone.get("/?lang=en")
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert "No points were moved" in answer.text


def test_an_old_store_is_thrown_away(
    make: Callable[..., Flask], tmp_path: Path, phone: Phone, begin: Begin
) -> None:
    """A file of another version is emptied and filled anew."""
    begin()
    with sqlite3.connect(tmp_path / "sandbox.db") as file:
        file.execute("PRAGMA user_version = 999")
    make()
    with sqlite3.connect(tmp_path / "sandbox.db") as file:
        assert file.execute("SELECT count(*) FROM payment").fetchone() == (0,)
        assert file.execute("SELECT count(*) FROM user").fetchone() == (len(CAST),)


def test_a_store_of_other_tables_is_thrown_away(make: Callable[..., Flask], tmp_path: Path) -> None:
    """Whatever tables a file of another version has, and however they refer to each other, it begins anew."""
    (tmp_path / "sandbox.db").unlink()
    with sqlite3.connect(tmp_path / "sandbox.db") as file:
        file.execute("CREATE TABLE user (owner_id TEXT PRIMARY KEY)")
        file.execute("CREATE TABLE payment (code TEXT, owner_id TEXT NOT NULL REFERENCES user (owner_id))")
        file.execute("CREATE TABLE application (app_id TEXT)")
        file.execute("INSERT INTO user VALUES ('somebody')")
        file.execute("INSERT INTO payment VALUES ('code', 'somebody')")
        file.execute("PRAGMA user_version = 5")
    make()
    with sqlite3.connect(tmp_path / "sandbox.db") as file:
        names = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert file.execute("SELECT count(*) FROM payment").fetchone() == (0,)
    assert {"stage", "weather"} <= names
    assert "application" not in names


def test_a_new_process_keeps_the_store(
    make: Callable[..., Flask], balance: Callable[[str], int], begin: Begin
) -> None:
    """Starting again changes nothing."""
    phone, purchase = begin()
    phone.buy(purchase.url)
    make()
    assert balance("hanako") == 49_900


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_assumption_is_shown(phone: Phone, language: str) -> None:
    """One page lists each rule that no source states, with the setting that changes it, if any."""
    page = " ".join(html.fromstring(phone.get(f"/assumptions?lang={language}").text).text_content().split())
    for name in assumptions():
        assert page.count(f"SANDBOX_{name.upper()} ") == 1
    assert set(PLACES) == set(ASSUMPTIONS)
    listed = [rule for rules in ASSUMPTIONS.values() for rule in rules]
    assert len(set(listed)) == len(listed)
    for rule in listed:
        assert (rule in page) == (language == "en")


def test_the_environment_counts_at_a_start(make: Callable[..., Flask]) -> None:
    """What it says of a switch holds from each start on, until the page turns it; else all stays."""
    make(hold_events=True)
    phone = Phone(make(in_development=True).test_client())
    names = ("in_development", "hold_events", "approved")
    assert [rule(phone, name) for name in names] == ["yes", "yes", "yes"]
    phone.press("/developer", "/developer/switches/in_development", on="no")
    assert rule(phone, "in_development") == "no"
    assert rule(Phone(make(in_development=True).test_client()), "in_development") == "yes"
    assert rule(Phone(make(approved=False).test_client()), "approved") == "no"


def test_every_mark_leads_to_the_assumptions(phone: Phone) -> None:
    """Wherever something is said to be ours, a press tells what that means."""
    page = html.fromstring(phone.get("/developer?lang=en").text)
    marks = [mark for mark in page.cssselect(".badge") if mark.text_content() == "ours"]
    assert marks
    assert all(str(mark.get("href")).startswith("/assumptions") for mark in marks)


def rule(phone: Phone, name: str) -> str:
    """What the table of rules says of a switch."""
    page = html.fromstring(phone.get("/assumptions?lang=en").text)
    (code,) = (one for one in page.cssselect("table.rules code") if one.text == f"SANDBOX_{name.upper()}")
    (row,) = code.iterancestors("tr")
    return str(row.cssselect("td.value")[0].text_content())


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/", "/"),
        ("/desk", "/desk"),
        ("/desk/outcomes", "/desk"),
        ("/desk/side", "/desk"),
        ("/desk/signatures", "/desk"),
        ("/situation", "/desk"),
        ("/desk/books", "/desk/books"),
        ("/desk/walkthroughs", "/desk/walkthroughs"),
        ("/desk/walkthroughs/lost-ok", "/desk/walkthroughs"),
        ("/log", "/log"),
        ("/assumptions", "/developer"),
    ],
)
def test_the_navigation_says_where_one_is(phone: Phone, path: str, where: str) -> None:
    """One entry is marked, on the pages below it, too."""
    found = html.fromstring(phone.get(path).text).cssselect("header.top [aria-current]")
    assert [one.get("href") for one in found] == [where]
