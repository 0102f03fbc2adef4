"""The door out: open where and while mixi allows it, and nobody leaves but past the warning."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask
from itsdangerous import TimestampSigner
from lxml import html
from pydantic import ValidationError
from sqlalchemy import update
from werkzeug.test import TestResponse

from storefront import Settings, clock
from storefront.db import transaction
from storefront.external.registration import (
    Certificate,
    Change,
    ChangeKind,
    Effect,
    Facts,
    Paper,
    Provider,
    Rule,
    Service,
    Sheet,
)
from storefront.external.signing import unsealed
from storefront.shop import customers, form_tokens
from storefront.shop.catalog import Price
from tests.databases import on_sqlite
from tests.external.conftest import (
    DAY,
    ISMS,
    MARK,
    MERCHANT,
    PAY,
    PAY_PAGE,
    PRICES,
    PROVIDER,
    SECRET,
    YEN,
    Browser,
    Enter,
    Outside,
    asked,
    fields_of,
    lawful,
    limit,
    notice,
    record,
    rule_in_words,
    tell,
    today,
)
from tests.street import (
    HANAKO,
    KANA,
    SETTINGS,
    SHOP,
    TARO,
    Container,
    ScriptedApi,
    at_once,
    claims,
    says,
    sentence,
    sign,
    words,
)

WAY = "/external/items/"
LANGUAGES = ("ja", "en")
changed = pytest.mark.changed


def ways(page: TestResponse) -> list[str]:
    """The ways to the warning that a page shows, and any form that would jump over it."""
    assert page.status_code == 200, page.text
    tree = html.fromstring(page.text)
    addresses = [str(one.get("href") or one.get("action")) for one in tree.cssselect("a[href], form")]
    return [address for address in addresses if "external" in address]


def forged_token(app: Flask, customer: str, item: str = "excalibur", yen: int = YEN) -> str:
    """The token of a warning page that was never shown."""
    with app.app_context():
        who = customers.identify("mixi", customer, clock.now())
        return form_tokens.seal(who.id, f"buy:external:{item}:{yen}")


def price_outside(hanako: Browser, yen: int) -> None:
    with hanako.app.app_context(), transaction() as session:
        session.execute(update(Price).filter_by(item_id="excalibur", channel="external").values(amount=yen))


def approve(app: Flask, **prices: int) -> None:
    """mixi has approved other prices."""
    record(app, replace(lawful(), prices={**PRICES, **prices}))


# The way to the door


def test_the_item_page_shows_the_way(hanako: Browser) -> None:
    """On a PC an item with a price in yen has a way to the warning beside its button, and no shorter one."""
    page = hanako.get("/items/excalibur", lang="en")
    assert ways(page) == ["/external/items/excalibur?lang=en"]
    (way,) = html.fromstring(page.text).cssselect(".way")
    (link,) = way.cssselect("a")
    assert (link.text or "").strip()
    assert "¥110" in link.cssselect(".amount")[0].text_content()


@pytest.mark.parametrize("item", ["loaf", "tidetable", "ticket"])
def test_only_what_has_a_price_outside(hanako: Browser, item: str) -> None:
    """What is sold for points alone has no way out, and no warning page."""
    assert ways(hanako.get(f"/items/{item}")) == []
    assert hanako.warning(item).status_code == 404


def test_no_registration_no_way(app: Flask, enter: Enter) -> None:
    """As long as nothing is recorded, no item shows a way."""
    assert ways(enter().get("/items/excalibur")) == []
    record(app, lawful())
    assert len(ways(enter().get("/items/excalibur"))) == 1


@pytest.mark.parametrize("path", ["/", "/inventory", "/history"])
def test_no_other_page_leads_out(hanako: Browser, path: str) -> None:
    """Shelf, bag and history know mixi's payment only."""
    assert ways(hanako.get(path)) == []


def test_the_legal_notice_names_both_payments(shop: Flask, enter: Enter) -> None:
    """Who may pay outside reads of it in the legal notice; who may not, does not."""
    assert "payment-outside" in says(enter().get("/legal", lang="en").text)
    assert "payment-outside" not in says(enter("smartphone").get("/legal", lang="en").text)


# The warning


@changed(legal_contact="03-0000-0000, on weekdays")
def test_the_warning_says_everything(hanako: Browser) -> None:
    """Where to, whose place that is, its certificates, what for, how much, and that mixi has no part."""
    for language, item in (("en", "Excalibur"), ("ja", "エクスカリバー")):
        page = hanako.warning(lang=language).text
        assert says(page) >= {"leaving", "another-company", "new-window", "no-returns"}
        assert bool(KANA.search(sentence(page, "another-company"))) == (language == "ja")
        assert MARK in sentence(page, "privacy-mark")
        assert ISMS in sentence(page, "isms")
        text = words(page)
        for fact in (item, "110", PAY.name, PROVIDER, "03-0000-0000, on weekdays"):
            assert fact in text


@on_sqlite
@pytest.mark.parametrize(
    ("provider", "shown"),
    [
        (replace(PAY, isms=Certificate()), {"privacy-mark": MARK}),
        (replace(PAY, privacy_mark=Certificate()), {"isms": ISMS}),
        (replace(PAY, isms=Certificate(ISMS, until=today() - DAY)), {"privacy-mark": MARK}),
    ],
)
def test_only_the_certificates_it_holds(
    app: Flask, enter: Enter, provider: Provider, shown: dict[str, str]
) -> None:
    """A certificate that the provider does not hold is not named."""
    record(app, replace(lawful(), providers=(provider,)))
    page = enter().warning(lang="en").text
    assert says(page) & {"privacy-mark", "isms"} == shown.keys()
    assert all(number in sentence(page, said) for said, number in shown.items())


@on_sqlite
def test_the_warning_names_the_provider_of_the_door(app: Flask, enter: Enter) -> None:
    """Of several registered providers the one that is named is the one that the button leads to."""
    other = Provider("Rival Pay", "https://rival.example", (), Certificate("99999999"), listed=True)
    record(app, replace(lawful(), providers=(other, PAY)))
    text = words(enter().warning().text)
    assert PAY.name in text
    assert "Rival" not in text
    assert "99999999" not in text


def test_back_weighs_as_much_as_on(hanako: Browser) -> None:
    """Neither way looks like the better one, and going on opens a window that cannot reach back."""
    (form,) = html.fromstring(hanako.warning(lang="en").text).cssselect("form.twins")
    (back,), (on,) = form.cssselect("a"), form.cssselect("button")
    assert back.get("class") == on.get("class") == "button plain"
    assert back.get("href") == "/items/excalibur?lang=en"
    assert PAY.name in on.text_content()
    assert (form.get("target"), form.get("rel"), form.get("method")) == ("_blank", "noopener", "post")
    assert "autofocus" not in html.tostring(form, encoding="unicode")


def test_the_warning_is_shown_every_time(hanako: Browser) -> None:
    """However often somebody has gone on, the way leads to the warning, and the warning only to its form."""
    for _ in range(3):
        (way,) = ways(hanako.get("/items/excalibur"))
        assert way.startswith(WAY)
        page = hanako.get(way)
        assert (page.status_code, "Location" in page.headers) == (200, False)
        assert "data-page" in page.text
        assert hanako.go_on().status_code == 303
    assert hanako.get("/external/payments").status_code == 405
    # Nothing kept in the browser, and nothing in an address, stands for having read it.
    assert hanako.post("/external/payments", {"item": "excalibur"}, seen="yes").status_code == 400


def test_going_on(hanako: Browser, outside: Outside) -> None:
    """The buyer goes to the registered address and no other, with all of the payment under our seal."""
    answer = hanako.go_on(lang="en")
    assert answer.status_code == 303
    said = unsealed(asked(answer.location), SECRET, int(time.time()), 5)
    code, back = said["payment"], urlsplit(said.pop("back"))
    assert said == {
        "merchant": MERCHANT,
        "payment": code,
        "item": "Excalibur",
        "yen": "110",
        "lang": "en",
    }
    assert f"{back.scheme}://{back.netloc}{back.path}" == f"{SHOP}/external/payments/{code}"
    assert dict(parse_qsl(back.query)).keys() == {"seal", "lang"}
    payment = outside.payment(code)
    assert (payment.item_name, payment.yen, payment.status.value) == ("Excalibur", 110, "create")
    assert (outside.grants(), outside.entries()) == ([], [])
    assert SECRET not in answer.location


def test_each_time_another_payment(hanako: Browser, outside: Outside) -> None:
    """Whoever reads the warning anew and goes on, makes another payment, for the price of that moment."""
    first = hanako.leave()
    price_outside(hanako, 220)
    approve(hanako.app, excalibur=220)
    second = hanako.leave()
    assert first != second
    assert (outside.payment(first).yen, outside.payment(second).yen) == (110, 220)


# Who may not leave


def refused(answer: TestResponse) -> str:
    """What a closed door says."""
    assert answer.status_code == 403, answer.text
    assert PAY_PAGE not in str(answer.headers)
    return answer.text


def both(ask: Callable[[str], list[TestResponse]]) -> dict[str, list[str]]:
    """What warning page and form answer, in each language."""
    return {language: [refused(answer) for answer in ask(language)] for language in LANGUAGES}


@pytest.mark.parametrize(
    "settings_of_the_test",
    [
        pytest.param("closed on smartphones"),
        pytest.param("open on smartphones", marks=changed(external_on_smartphone=True)),
    ],
)
def test_never_on_mobile(
    shop: Flask, container: Container, outside: Outside, settings_of_the_test: str
) -> None:
    """On a mobile phone there is no way, no warning and no payment, whatever the settings say."""
    form = {"item": "excalibur", "token": forged_token(shop, HANAKO)}

    def ask(language: str) -> list[TestResponse]:
        return [
            container.get(f"{WAY}excalibur", lang=language),
            container.post("/external/payments", form, lang=language),
        ]

    for language, pages in both(ask).items():
        assert all(rule_in_words(shop, Rule.NEVER_ON_MOBILE, language) in words(page) for page in pages)
    assert "external" not in container.get("/items/excalibur").text
    assert "payment-outside" not in says(container.get("/legal").text)
    assert outside.payments() == 0


def test_not_on_a_smartphone(shop: Flask, enter: Enter, outside: Outside) -> None:
    """mixi says nothing of smartphones, so there the shop says so, in the visitor's language."""
    phone = enter("smartphone")
    form = {"item": "excalibur", "token": forged_token(shop, HANAKO)}

    def ask(language: str) -> list[TestResponse]:
        answers = [phone.warning(lang=language), phone.post("/external/payments", form, lang=language)]
        assert ways(phone.get("/items/excalibur", lang=language)) == []
        return answers

    for language, pages in both(ask).items():
        assert all(rule_in_words(shop, Rule.SMARTPHONE_SILENT, language) in words(page) for page in pages)
    assert outside.payments() == 0


@changed(external_on_smartphone=True)
def test_on_a_smartphone_if_the_operator_says_so(shop: Flask, enter: Enter, outside: Outside) -> None:
    """The setting opens the same door on smartphones: way, warning, payment."""
    phone = enter("smartphone")
    assert len(ways(phone.get("/items/excalibur"))) == 1
    assert outside.status(phone.leave()).value == "create"


def sent_alone(facts: Facts) -> Facts:
    return replace(facts, registered_before=True, registration=Paper(), application=Paper(signed=True))


def about_pay(effect: Effect, approved_on: date | None) -> Change:
    """A change that adds or terminates the provider."""
    sent = Paper(today() - 9 * DAY, signed=True)
    return Change(
        ChangeKind.PROVIDER, "another provider", sent, approved_on, effect=effect, provider=PAY.name
    )


# For each rule, the lawful registration with nothing but that rule broken.
BROKEN: dict[Rule, Callable[[Facts], Facts]] = {
    Rule.PROVIDER_LISTED: lambda facts: replace(facts, providers=(replace(PAY, listed=False),)),
    Rule.PROVIDER_APPROVED: lambda facts: replace(
        facts, providers=(replace(PAY, listed=False),), changes=(about_pay(Effect.ADD, None),)
    ),
    Rule.PROVIDER_TERMINATED: lambda facts: replace(facts, changes=(about_pay(Effect.TERMINATE, today()),)),
    Rule.PRICE_APPROVED: lambda facts: replace(facts, prices={**PRICES, "excalibur": YEN + 1}),
    Rule.PROVIDER_CERTIFIED: lambda facts: replace(
        facts,
        providers=(replace(PAY, privacy_mark=Certificate(MARK, until=today() - DAY), isms=Certificate()),),
    ),
    Rule.STABLE_OPERATION: lambda facts: replace(facts, stable=False),
    Rule.FOURTEEN_DAYS: lambda facts: replace(facts, launched_on=today() - 14 * DAY),
    Rule.AUTHORISED_SIGNATURE: lambda facts: replace(
        facts, registration=replace(facts.registration, signed=False)
    ),
    Rule.PACKAGE_SENT: lambda facts: replace(facts, registration=replace(facts.registration, sent_on=None)),
    Rule.APPLICATION_SENT: sent_alone,
    Rule.RECEIPT_MAIL: lambda facts: replace(
        facts, registration=replace(facts.registration, received_on=None)
    ),
    Rule.STOPPED_BY_MIXI: lambda facts: replace(facts, stopped_on=today()),
}
# The device's rules have tests of their own, and what only warns has another.
NEVER_FIRST = {Rule.ANY_PROVIDER, Rule.CHECK_SHEET, Rule.CHANGE_APPROVED, Rule.CHANGE_SHEET}
NEVER_FIRST |= {Rule.SERVICE_APPROVED, Rule.NEW_COPY}


def test_every_rule_is_tried() -> None:
    """No rule that can close the door is left out below."""
    assert set(Rule) - set(BROKEN) - NEVER_FIRST == {Rule.NEVER_ON_MOBILE, Rule.SMARTPHONE_SILENT}


def test_a_broken_rule_closes_the_door(hanako: Browser, outside: Outside) -> None:
    """With one rule broken the way is gone, and warning and form, even one that lay open, name the rule."""
    form = hanako.form()

    def ask(language: str) -> list[TestResponse]:
        assert ways(hanako.get("/items/excalibur", lang=language)) == []
        return [hanako.warning(lang=language), hanako.post("/external/payments", form, lang=language)]

    for rule, broken in BROKEN.items():
        record(hanako.app, broken(lawful()))
        for language, pages in both(ask).items():
            assert all(rule_in_words(hanako.app, rule, language) in words(page) for page in pages), rule
    assert outside.payments() == 0
    record(hanako.app, lawful())
    assert hanako.post("/external/payments", form).status_code == 303


def test_a_price_closes_one_item(hanako: Browser) -> None:
    """An item whose price waits for its approval has no door; the others keep theirs."""
    price_outside(hanako, YEN + 1)
    assert [len(ways(hanako.get(f"/items/{item}"))) for item in ("excalibur", "lantern")] == [0, 1]
    assert (hanako.warning().status_code, hanako.warning("lantern").status_code) == (403, 200)
    approve(hanako.app, excalibur=YEN + 1)
    assert hanako.warning().status_code == 200


def test_begun_before_the_door_closed(hanako: Browser, outside: Outside) -> None:
    """Whoever was let out lawfully gets what they paid for, though the price has changed since."""
    code = hanako.leave()
    price_outside(hanako, YEN + 1)
    assert tell(hanako.app, notice(code)).text == "OK"
    assert len(outside.grants()) == 1


@on_sqlite
def test_the_warning_names_the_services(app: Flask, enter: Enter) -> None:
    """The ways to pay that a paper names are named; one that waits is not."""
    more = (*PAY.services, Service("convenience store"))
    record(app, replace(lawful(), providers=(replace(PAY, services=more),)))
    assert sentence(enter().warning(lang="en").text, "services") == "card"


@pytest.mark.parametrize("rule", BROKEN)
def test_mixi_still_sells(shop: Flask, enter: Enter, api: ScriptedApi, rule: Rule) -> None:
    """A closed door out is no closed shop: points are taken as ever."""
    record(shop, BROKEN[rule](lawful()))
    browser = enter()
    fields = fields_of(browser.get("/items/excalibur").text, "/mixi/payments")
    answer = browser.post("/mixi/payments", fields)
    assert (answer.status_code, answer.location) == (302, api.href)


CLOSES_NOTHING: dict[str, dict[str, Any]] = {
    "overdue sheet": {"sheet": Sheet(deadline=date(2010, 3, 1))},
    "change not approved": {"changes": (Change(ChangeKind.PRICE, "dearer", Paper(signed=True)),)},
    "overdue sheet of a change": {
        "changes": (Change(ChangeKind.PRICE, "dearer", sheet=Sheet(date(2010, 3, 1))),)
    },
    "another provider": {"providers": (PAY, Provider("unlisted"))},
}


@on_sqlite
def test_what_closes_nothing(app: Flask, enter: Enter) -> None:
    """A sheet that is late and a change that waits are the operator's worry; buyers may go on."""
    for what, change in CLOSES_NOTHING.items():
        record(app, replace(lawful(), **change))
        assert enter().go_on().status_code == 303, what


@changed(external_provider_url="")
def test_without_a_provider(shop: Flask, enter: Enter, outside: Outside) -> None:
    """A shop without a provider has no door, and says just that, not that some condition is not met."""
    hanako = enter()
    form = {"item": "excalibur", "token": forged_token(shop, HANAKO)}

    def ask(language: str) -> list[TestResponse]:
        assert ways(hanako.get("/items/excalibur", lang=language)) == []
        return [hanako.warning(lang=language), hanako.post("/external/payments", form, lang=language)]

    pages = both(ask)
    assert outside.payments() == 0
    assert {frozenset(says(page)) for language in LANGUAGES for page in pages[language]} == {
        frozenset({"nothing-paid", "no-provider"})
    }


OTHER_SITES = (
    "https://provider.test:8002",
    "http://provider.test",
    "http://provider.test:8003",
    "http://pay.provider.test:8002",
    "http://test:8002",
    "",
)


def test_a_provider_that_is_not_the_registered_one(app: Flask, enter: Enter, outside: Outside) -> None:
    """The configured provider's scheme, host and port are the registered ones, or the door stays closed."""
    hanako, listed = enter(), rule_in_words(app, Rule.PROVIDER_LISTED, "en")
    form = {"item": "excalibur", "token": forged_token(app, HANAKO)}
    for site in OTHER_SITES:
        record(app, replace(lawful(), providers=(replace(PAY, site=site),)))
        assert ways(hanako.get("/items/excalibur")) == [], site
        assert listed in refused(hanako.warning(lang="en")), site
        assert listed in refused(hanako.post("/external/payments", form, lang="en")), site
    assert outside.payments() == 0


# Where a provider may be


def configured(url: str) -> Settings:
    return Settings.model_validate(
        {
            **SETTINGS,
            "mixi_platform_hosts": "platform.test,127.0.0.1:8001",
            "external_provider_url": url,
            "external_merchant": MERCHANT,
            "external_secret": SECRET,
        }
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://mixi.jp/pay",
        "https://pay.mixi.jp/pay",
        "https://PAY.Mixi.JP/pay",
        "https://mixi.jp:8443/pay",
        "https://pay.mixi.jp./pay",
        "https://mixi.co.jp/pay",
        "https://a.b.mixi.co.jp/pay",
        "https://ma.mixi.net/pay",
        "http://platform.test/pay",
        "http://platform.test:8002/pay",
        "http://platform.test./pay",
        "http://127.0.0.1:8001/pay",
        "ftp://pay.example.com/pay",
        "javascript:alert(1)",
        "javascript://pay.example.com/%0aalert(1)",
        "data:text/html,pay",
        "//pay.example.com/pay",
        "pay.example.com/pay",
        "https:///pay",
        "https://user@pay.example.com/pay",
        "https://user:word@pay.example.com/pay",
        "https://:word@pay.example.com/pay",
        "https://@pay.example.com/pay",
        "https://mixi.jp\\.example.com/pay",
        "https://pay.example.com\\@mixi.jp/pay",
        "https://pay.example.com:port/pay",
        "https://pay.example.com:99999/pay",
        "https://pay.example.com/pay?shop=1",
        "https://pay.example.com/pay#top",
    ],
)
def test_addresses_that_no_provider_has(url: str) -> None:
    """Not mixi's nor the platform's, http or https, without a name, a query, or what browsers read anew."""
    with pytest.raises(ValidationError, match=r"(?i)external_provider_url"):
        configured(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        PAY_PAGE,
        "https://pay.example.com",
        "https://notmixi.jp/pay",
        "https://mixi.jp.example.com/pay",
        "http://127.0.0.1:8002/pay",
    ],
)
def test_addresses_that_a_provider_may_have(url: str) -> None:
    """Any other address of http or https is the operator's choice; none is no door."""
    assert configured(url).external_provider_url == url


# The token of the warning page


def token_of_mixis_form(hanako: Browser, enter: Enter) -> str:
    price_outside(hanako, 100)  # the same number as in points
    approve(hanako.app, excalibur=100)
    return fields_of(hanako.get("/items/excalibur").text, "/mixi/payments")["token"]


def token_of_somebody_else(hanako: Browser, enter: Enter) -> str:
    return enter(who=TARO).form()["token"]


def token_of_another_item(hanako: Browser, enter: Enter) -> str:
    return hanako.form("lantern")["token"]


def token_at_another_price(hanako: Browser, enter: Enter) -> str:
    return forged_token(hanako.app, HANAKO, yen=YEN - 1)


def token_of_half_an_hour_ago(hanako: Browser, enter: Enter) -> str:
    return token_of(hanako, 1802)


def token_of(hanako: Browser, seconds_ago: int) -> str:
    with pytest.MonkeyPatch.context() as past:
        past.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time()) - seconds_ago)
        return forged_token(hanako.app, HANAKO)


def token_with_another_end(hanako: Browser, enter: Enter) -> str:
    token = hanako.form()["token"]
    return token[:-2] + ("AA" if token[-2:] != "AA" else "BB")


@pytest.mark.parametrize(
    "made",
    [
        token_of_mixis_form,
        token_of_somebody_else,
        token_of_another_item,
        token_at_another_price,
        token_of_half_an_hour_ago,
        token_with_another_end,
        lambda hanako, enter: "",
        lambda hanako, enter: "x",
    ],
)
def test_only_the_warning_pages_own_token(
    hanako: Browser, enter: Enter, outside: Outside, made: Callable[[Browser, Enter], str]
) -> None:
    """Nobody goes on but from the warning page of this item at this price, shown to them, and lately."""
    answer = hanako.post("/external/payments", {"item": "excalibur", "token": made(hanako, enter)})
    assert (answer.status_code, "Location" in answer.headers) == (400, False)
    assert outside.payments() == 0


def test_a_token_is_good_for_half_an_hour(hanako: Browser) -> None:
    """The token refused above for its age is refused for nothing else."""
    fields = {"item": "excalibur", "token": token_of(hanako, 1700)}
    assert hanako.post("/external/payments", fields).status_code == 303


@on_sqlite
@pytest.mark.parametrize(("token", "status"), [("a stale one", 400), ("", 409)])
def test_whoever_pays_yen_is_not_told_of_points(hanako: Browser, token: str, status: int) -> None:
    """A refused form says that nothing was paid, not that no points were used."""
    limit(hanako.app, "excalibur", stock=0)
    fields = {"item": "excalibur", "token": token or forged_token(hanako.app, HANAKO)}
    answer = hanako.post("/external/payments", fields, lang="en")
    assert answer.status_code == status
    assert "points" not in words(answer.text).lower()


def test_the_warnings_token_buys_nothing_for_points(
    hanako: Browser, api: ScriptedApi, outside: Outside
) -> None:
    """What was sealed for the door out is no buy form of mixi's."""
    assert hanako.post("/mixi/payments", hanako.form()).status_code == 400
    assert api.requests == []


def test_the_price_has_changed(hanako: Browser, outside: Outside) -> None:
    """A warning page that shows yesterday's price leads nowhere."""
    fields = hanako.form()
    price_outside(hanako, 111)
    approve(hanako.app, excalibur=111)
    assert hanako.post("/external/payments", fields).status_code == 400
    assert outside.payments() == 0


def test_no_such_item(hanako: Browser, outside: Outside) -> None:
    """What is not sold outside cannot be asked for."""
    form = hanako.form()
    for item in ("", "nowhere", "loaf", "a b", "excalibur\0"):
        assert hanako.post("/external/payments", {**form, "item": item}).status_code == 404, item
    assert outside.payments() == 0


def test_a_double_tap(hanako: Browser, outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same form sent twice is one payment and leads to one address, in whatever language."""
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    fields = hanako.form()
    first, second = (hanako.post("/external/payments", fields).location for _ in range(2))
    assert first == second
    moment += timedelta(minutes=1)
    later = asked(hanako.post("/external/payments", fields, lang="en").location)
    assert (later["payment"], later["item"]) == (asked(first)["payment"], asked(first)["item"])
    assert outside.payments() == 1


def test_eight_taps_at_once(
    shop: Flask, enter: Enter, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight windows send one form at the same moment: one payment, one address."""
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    windows = [enter() for _ in range(8)]
    fields = windows[0].form()
    addresses: list[str | None] = []

    def press(window: Browser) -> None:
        addresses.append(window.post("/external/payments", fields).location)

    at_once(*[partial(press, window) for window in windows])
    assert len(set(addresses)) == 1
    assert addresses[0]
    assert outside.payments() == 1


# Names


NAMES = (
    'Salt & "Pepper" <b>',
    "塩&胡椒",
    "a=b&yen=1",
    "100% + 1/2",
    "'; DROP TABLE item; --",
    "灯台守の外套 🗼",
)


def test_names_of_items(hanako: Browser, outside: Outside) -> None:
    """Whatever an item is called, the page shows it, the seal holds, and the provider reads it so."""
    for name in NAMES:
        limit(hanako.app, "excalibur", names={"ja": name, "en": name})
        page = hanako.warning()
        assert name in words(page.text)
        assert "<b>" not in page.text
        said = unsealed(asked(str(hanako.go_on().location)), SECRET, int(time.time()), 5)
        assert (said["item"], said["yen"]) == (name, "110")
        assert name in words(hanako.finish(said["payment"]).text)


# Not for sale


def too_young(hanako: Browser) -> None:
    with hanako.app.app_context(), transaction() as session:
        session.execute(update(customers.Customer).values(born=clock.now().date() - 12 * 365 * DAY))


def bought_already(hanako: Browser) -> None:
    limit(hanako.app, "coat", per_customer=1)
    assert tell(hanako.app, notice(hanako.leave("coat"), yen="5280")).text == "OK"


NOT_FOR_SALE = [
    pytest.param(lambda hanako: limit(hanako.app, "coat", stock=0), "sold_out", id="sold out"),
    pytest.param(
        lambda hanako: limit(hanako.app, "coat", on_sale_until=clock.now() - DAY), "over", id="over"
    ),
    pytest.param(
        lambda hanako: limit(hanako.app, "coat", on_sale_from=clock.now() + DAY), "not_yet", id="not yet"
    ),
    pytest.param(bought_already, "limit_reached", id="limit reached"),
    pytest.param(lambda hanako: None, "stopped", id="stopped", marks=changed(selling=False)),
    pytest.param(
        lambda hanako: None,
        "age_unknown",
        id="age unknown",
        marks=changed(under_age_limits={15: 5000}),
    ),
    pytest.param(
        too_young,
        "age_limit",
        id="too young",
        marks=changed(under_age_limits={15: 5000}),
    ),
]


@pytest.mark.parametrize(("happens", "reason"), NOT_FOR_SALE)
def test_not_for_sale(
    hanako: Browser, outside: Outside, happens: Callable[[Browser], None], reason: str
) -> None:
    """In place of the button the page says why there is none; a form sent all the same is refused."""
    happens(hanako)
    before = outside.payments()
    page = hanako.warning("coat", lang="en")
    assert page.status_code == 200
    assert reason in says(page.text)
    assert [form for form in html.fromstring(page.text).forms if "external" in str(form.action)] == []
    assert 'href="/items/coat?lang=en"' in page.text
    fields = {"item": "coat", "token": forged_token(hanako.app, HANAKO, "coat", 5280)}
    answer = hanako.post("/external/payments", fields, lang="en")
    assert (answer.status_code, "Location" in answer.headers) == (409, False)
    assert reason in says(answer.text)
    assert outside.payments() == before


@changed(selling=False)
def test_no_way_while_nothing_is_sold(hanako: Browser) -> None:
    """While the shop sells nothing, no item shows a way out."""
    assert ways(hanako.get("/items/excalibur")) == []


def test_yen_do_not_know_the_limit_of_points(hanako: Browser) -> None:
    """The most that mixi lets one purchase cost is a limit for points: a dear telescope is sold outside."""
    assert asked(str(hanako.go_on("telescope").location))["yen"] == "10780"


@changed(under_age_limits={15: 300})
def test_yen_count_toward_the_limit_of_the_young(hanako: Browser, outside: Outside) -> None:
    """What was paid outside this month counts for the next purchase."""
    too_young(hanako)
    assert tell(hanako.app, notice(hanako.leave())).text == "OK"
    assert tell(hanako.app, notice(hanako.leave())).text == "OK"
    assert "age_limit" in says(hanako.warning(lang="en").text)


# Strangers


def test_strangers(hanako: Browser, outside: Outside) -> None:
    """Who did not come in by mixi sees no warning, makes no payment and reads of none."""
    code = hanako.leave()
    client = hanako.app.test_client()
    answers = [
        client.get(f"{WAY}excalibur"),
        client.post("/external/payments", data={"item": "excalibur", "token": "x"}),
        client.post("/external/payments", data={"item": "excalibur"}),
        client.get(f"/external/payments/{code}"),
    ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert not any(PROVIDER in answer.text or code in answer.text for answer in answers)
    assert outside.payments() == 1


def test_forged_visitors(shop: Flask) -> None:
    """Whoever claims to be somebody without mixi's signature is a stranger here as well."""
    assert shop.test_client().get(f"{WAY}excalibur?opensocial_owner_id={HANAKO}").status_code == 401
    target = f"{WAY}excalibur?{urlencode(claims(HANAKO))}"
    assert shop.test_client().get(target, headers=sign("GET", target, secret="another")).status_code == 401


@on_sqlite
def test_the_facts_of_the_way_out(hanako: Browser, outside: Outside) -> None:
    """The way, the warning and the page after it say in facts what they say in words."""
    item = html.fromstring(hanako.get("/items/excalibur").text)
    assert [one.get("data-way") for one in item.cssselect("[data-way]")] == ["external"]
    warning = html.fromstring(hanako.warning().text)
    assert warning.cssselect("main")[0].get("data-page") == "warning"
    assert warning.cssselect("[data-item]")[0].get("data-amount") == str(YEN)
    code = hanako.leave()
    back = html.fromstring(hanako.finish(code).text)
    assert back.cssselect("main")[0].get("data-page") == "finish"
    assert [(one.get("data-payment"), one.get("data-state")) for one in back.cssselect("[data-payment]")] == [
        (code, "create")
    ]


@on_sqlite
def test_a_closed_way_has_a_word(container: Container) -> None:
    """On a mobile phone the page in place of the warning is called closed, and names its rule."""
    closed = html.fromstring(container.get(f"{WAY}excalibur").text)
    assert closed.cssselect("main")[0].get("data-page") == "closed"
    assert closed.cssselect("main")[0].get("data-reason") == Rule.NEVER_ON_MOBILE.value
