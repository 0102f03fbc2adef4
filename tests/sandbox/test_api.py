"""The point API takes a properly signed, well-formed request, and says why it takes no other."""

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask

from storefront.mixi import signing
from storefront.sandbox import wirelog
from storefront.sandbox.mixi import atom, payments
from storefront.sandbox.people import FIRST_STAGE
from storefront.sandbox.signing import body_hash
from storefront.sandbox.wirelog import Filter, Kind
from tests.sandbox.conftest import API, PLATFORM, TEST_XML, XML, Phone, Purchase, Shop, owner, read_created


@pytest.fixture(autouse=True)
def _opened(phone: Phone) -> None:
    """Hanako and Taro have opened the app."""
    for key in ("taro", "hanako"):
        phone.belongs_to(key).page("http://shop.test/")


def test_create_answers_with_a_code_and_the_payment_screen(shop: Shop) -> None:
    """A signed request for one item is answered by an entry with a code and a related link."""
    answer = shop.create()
    created = read_created(answer)
    assert answer.content_type == "application/atom+xml;type=entry;charset=utf-8"
    assert len(created.code) <= 40
    assert created.url.startswith(f"{PLATFORM}/point/")
    assert 'rel="related"' in answer.text
    assert re.search(r"<updated>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ</updated>", answer.text)


def test_every_payment_has_its_own_code(shop: Shop) -> None:
    """Two equal requests are two payments."""
    assert read_created(shop.create()).code != read_created(shop.create()).code


def test_attribute_order_of_the_link_varies() -> None:
    """Nobody can rely on the order of the link's attributes."""
    links = {atom.write_created(code, "now", "http://x/").index(b"rel=") for code in ("aaa", "aab")}
    assert len(links) == 2


def test_confirm_repeats_the_request_and_tells_the_state(shop: Shop) -> None:
    """A confirmation carries the item, both addresses and the state of the payment."""
    code = read_created(shop.create()).code
    answer = shop.confirm(code)
    assert answer.status_code == 200
    for part in (
        "エクスカリバー",
        'id="excalibur"',
        'point="100"',
        "http://shop.test/callback",
        f"<id>{code}</id>",
    ):
        assert part in answer.text
    assert "<point:status>create</point:status>" in answer.text


def test_confirm_marks_a_test_purchase(shop: Shop) -> None:
    """A test purchase says so in its confirmation."""
    code = read_created(shop.create(xml=TEST_XML)).code
    assert '<point:status is_test="true">create</point:status>' in shop.confirm(code).text


def test_unknown_code(shop: Shop) -> None:
    """A code nobody was given is 404."""
    assert shop.confirm("nosuchcode").status_code == 404


def test_code_of_another_user(shop: Shop) -> None:
    """Another user's payment is 403."""
    assert shop.confirm(read_created(shop.create("hanako")).code, "taro").status_code == 403


BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"secret": "wrong"}, "signature_invalid"),
    ({"consumer_key": "someoneelse"}, "consumer_key_unknown"),
    ({"timestamp": 1254282755}, "timestamp_refused"),
    ({"version": "2.0"}, "version_rejected"),
    ({"signature_method": "RSA-SHA1"}, "signature_method_rejected"),
    ({"nonce": None}, "parameter_absent"),
    ({"body_hash": None}, "parameter_absent"),
    ({"body_hash": "wrong"}, "parameter_rejected"),
    ({"sent": XML.replace("100", "10").encode()}, "parameter_rejected"),
    ({"signed_url": API.replace("http:", "ftp:")}, "signature_invalid"),
    ({"version": None}, "parameter_absent"),
)


def test_bad_signatures_are_refused(shop: Shop) -> None:
    """Whatever is wrong with the signature is 401 and named in WWW-Authenticate."""
    for options, problem in BAD:
        answer = shop.create(**options)
        assert answer.status_code == 401, options
        assert f'oauth_problem="{problem}"' in answer.headers["WWW-Authenticate"], options
        assert answer.mimetype == "text/plain", options


def test_a_bad_signature_is_answered_with_the_base_string(shop: Shop) -> None:
    """Whoever signed wrongly is shown what should have been signed."""
    answer = shop.create(secret="wrong")
    found = re.search(r'oauth_problem_advice="([^"]+)"', answer.headers["WWW-Authenticate"])
    assert found
    base = unquote(found[1])
    assert base.startswith("POST&http%3A%2F%2Fplatform.test%3A8001%2Fatom%2Fmobile%2Fpoint%2F%40me&")
    assert base in answer.text


def test_an_unsigned_request_is_refused(app: Flask) -> None:
    """Without an Authorization header there is no answer but 401."""
    answer = app.test_client().post("/atom/mobile/point/@me", data=XML.encode())
    assert answer.status_code == 401


def test_a_nonce_counts_once(shop: Shop) -> None:
    """The same nonce is not accepted again while its timestamp would be."""
    assert shop.create(nonce="once").status_code == 200
    answer = shop.create(nonce="once")
    assert answer.status_code == 401
    assert 'oauth_problem="nonce_used"' in answer.headers["WWW-Authenticate"]


def test_the_configured_address_is_signed_not_the_host_header(shop: Shop) -> None:
    """A Host header of somebody's choosing changes nothing."""
    assert shop.create(base_url="http://elsewhere.test").status_code == 200


def test_https_is_signed_as_http(make: Callable[..., Flask], phone: Phone, shop: Shop) -> None:
    """Behind https the base string still says http."""
    shop.app = make(public_url="https://platform.test")
    answer = shop.create(signed_url="http://platform.test/atom/mobile/point/@me")
    assert answer.status_code == 200


def test_a_parameter_in_query_and_header_counts_once(app: Flask) -> None:
    """A SAP may repeat the requestor in its header."""
    query, pair = f"xoauth_requestor_id={owner('hanako')}", ("xoauth_requestor_id", owner("hanako"))
    body = XML.encode()
    stamp = str(int(time.time()))
    params = [
        ("oauth_consumer_key", "38dacb31c1759ea5ecc8"),
        ("oauth_nonce", "twice"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", stamp),
        ("oauth_version", "1.0"),
        ("oauth_body_hash", body_hash(body)),
        pair,
    ]
    base = signing.base_string("POST", API, signing.query_pairs(query.encode()), params)
    params.append(("oauth_signature", signing.hmac_sha1(base, "abcdefg")))
    header = "OAuth " + ", ".join(
        f'{name}="{value.replace("+", "%2B").replace("=", "%3D")}"' for name, value in params
    )
    answer = app.test_client().post(
        f"/atom/mobile/point/@me?{query}",
        data=body,
        base_url=PLATFORM,
        content_type="application/atom+xml;type=entry",
        headers={"Authorization": header},
    )
    assert answer.status_code == 200, answer.text


def test_unknown_requestor(shop: Shop) -> None:
    """Nobody may ask about a user who does not exist."""
    assert shop.create("mo3nobody0000").status_code == 403


def test_requestor_who_never_opened_the_app(shop: Shop) -> None:
    """A user who has not opened the app is out of reach."""
    answer = shop.create("jiro")
    assert answer.status_code == 401
    assert 'oauth_problem="permission_denied"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("query", ["", "xoauth_requestor_id=a&xoauth_requestor_id=b"])
def test_requestor_is_given_exactly_once(shop: Shop, query: str) -> None:
    """A missing or doubled requestor is 400."""
    assert shop.ask("POST", query, XML.encode()).status_code == 400


def test_an_app_without_approval(phone: Phone, shop: Shop) -> None:
    """An app that is not approved for payment gets 403."""
    phone.press("/developer", "/developer/switches/approved", on="no")
    assert shop.create().status_code == 403


BROKEN: tuple[tuple[str | bytes, str], ...] = (
    ("\n" + XML, "first byte"),
    (XML.replace("<title />", ""), "title"),
    (XML.replace("<title />", "<title>x</title>"), "title must be empty"),
    (XML.replace("<author><name /></author>", "<author />"), "name"),
    (XML.replace("<updated />", "<updated /><updated />"), "updated"),
    (XML.replace('type="text/xml"', 'type="text"'), "content"),
    (XML.replace("http://mixi.jp/atom/ns#point", "http://mixi.jp/other"), "url"),
    (XML.replace("http://www.w3.org/2005/Atom", "http://example.com/"), "namespace"),
    (XML.replace("/callback", "/callback?code=1"), "callback_url must have no query"),
    (XML.replace("/finish", "/finish?"), "finish_url must have no query"),
    (XML.replace("/finish", "/" + "f" * 250), "255"),
    (XML.replace("http://shop.test/callback", "ftp://shop.test/callback"), "http or https"),
    (XML.replace("http://shop.test/callback", "/callback"), "http or https"),
    (XML.replace('callback_url="http://shop.test/callback"', ""), "callback_url is missing"),
    (XML.replace('id="excalibur"', 'id="剣"'), "id must be"),
    (XML.replace('id="excalibur"', 'id="a-b"'), "id must be"),
    (XML.replace('id="excalibur"', f'id="{"a" * 65}"'), "64"),
    (XML.replace("エクスカリバー", "剣" * 65), "128"),
    (XML.replace("エクスカリバー", " "), "name is missing"),
    (XML.replace('point="100"', 'point="9"'), "from 10 to 5000"),
    (XML.replace('point="100"', 'point="5001"'), "from 10 to 5000"),
    (XML.replace('point="100"', 'point="1e2"'), "whole number"),
    (XML.replace('point="100"', 'point="-100"'), "whole number"),
    (
        XML.replace("</point:items>", '<point:item id="b" name="b" point="10" /></point:items>'),
        "exactly once",
    ),
    (re.sub(r"<point:item .*/>", "", XML), "exactly once"),
    (XML.replace("</entry>", ""), "well-formed"),
    (XML.replace("<entry", '<!DOCTYPE entry [<!ENTITY a "b">]><entry', 1), "document type"),
    (XML.replace("エクスカリバー", "a" * 70_000), "longer"),
    (XML.encode("shift_jis"), "UTF-8"),
    (XML.replace("</point:items>", '</point:items><point:status is_test="yes" />'), "is_test"),
)


def test_every_broken_rule_is_named(shop: Shop) -> None:
    """A document that breaks a rule is 400, and the rule is in the answer."""
    for xml, reason in BROKEN:
        answer = shop.create(xml=xml)
        assert answer.status_code == 400, reason
        assert answer.mimetype == "text/plain", reason
        assert reason in answer.text


FITTING = (
    XML.replace("エクスカリバー", "剣" * 64),
    XML.replace("エクスカリバー", "x" * 128),
    XML.replace('id="excalibur"', f'id="{"a" * 64}"'),
    XML.replace('point="100"', 'point="10"'),
    XML.replace('point="100"', 'point="5000"'),
)


def test_the_limits_themselves_are_allowed(shop: Shop) -> None:
    """What just fits is accepted."""
    for xml in FITTING:
        assert shop.create(xml=xml).status_code == 200, xml


def test_content_type_of_a_creation(shop: Shop) -> None:
    """Another content type is 400."""
    for kind in ("text/xml", "application/atom+xml", "application/atom+xml;type=feed", "type=entry", ""):
        assert shop.create(content_type=kind).status_code == 400, kind


def test_spellings_of_a_content_type(shop: Shop) -> None:
    """Names of media types and their parameters have no case, and a charset may stand beside."""
    for kind in (
        "application/atom+xml;type=entry;charset=utf-8",
        "application/atom+xml; charset=UTF-8; type=entry",
        'Application/Atom+XML; Type="Entry"',
    ):
        assert shop.create(content_type=kind).status_code == 200, kind


@pytest.mark.parametrize("transport", ["http", "https"])
def test_an_https_base_string_is_accepted_and_said(
    make: Callable[..., Flask], shop: Shop, transport: str
) -> None:
    """A SAP that signs https, where http is published, is understood, and the log says what it did."""
    shop.app = make(public_url=f"{transport}://platform.test:8001")
    for number, scheme in enumerate(("http", "https")):
        signed = API.replace("http:", f"{scheme}:")
        code = read_created(shop.create(signed_url=signed)).code
        assert shop.confirm(code, signed_url=signed).status_code == 200
        with shop.app.app_context():
            rows, _ = wirelog.page(FIRST_STAGE, 1, Filter(kind=Kind.API))
        for row in rows[:2]:
            assert ("though the base string has https" in row.verdict) == (scheme == "https")
            assert f"&{scheme}%3A%2F%2Fplatform.test%3A8001" in row.base_string
        assert len(rows) == 2 * (number + 1)


@pytest.mark.long
def test_sixty_requests_a_minute(
    shop: Shop, later: Callable[[float], None], logged: Callable[[], list[wirelog.Exchange]]
) -> None:
    """More than 60 requests a minute in one user's name are 503 until the minute is over; others' go on."""
    code = read_created(shop.create()).code
    assert [shop.confirm(code).status_code for _ in range(59)] == [200] * 59
    answer = shop.confirm(code)
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "60 requests a minute" in answer.text
    assert shop.create().status_code == 503
    assert logged()[0].verdict.startswith("Refused: not now.")
    assert shop.create("taro").status_code == 200
    later(int(answer.headers["Retry-After"]))
    assert shop.confirm(code).status_code == 200


def test_the_rate_is_a_setting(make: Callable[..., Flask], shop: Shop) -> None:
    """SANDBOX_RATE_LIMIT says how many."""
    shop.app = make(rate_limit=1)
    assert [shop.create().status_code for _ in range(2)] == [200, 503]


@pytest.mark.parametrize(("device", "seconds"), [("mobile", 86400), ("pc", 86400), ("mobile", 60)])
@pytest.mark.long
def test_who_has_not_been_there_for_a_day(
    make: Callable[..., Flask], later: Callable[[float], None], device: str, seconds: int
) -> None:
    """The API tells nothing of a user who has not used the app for long; opening it is enough."""
    app = make(unused_seconds=seconds)
    phone, shop = Phone(app.test_client()).belongs_to("hanako", device), Shop(app)
    code = read_created(shop.create()).code
    later(seconds - 30)
    assert shop.confirm(code).status_code == 200
    later(40)
    answer = shop.confirm(code)
    assert answer.status_code == 401
    assert 'oauth_problem="permission_denied"' in answer.headers["WWW-Authenticate"]
    assert shop.create().status_code == 401
    phone.belongs_to("hanako", device)
    if device == "mobile":
        assert phone.page("http://shop.test/").status_code == 200
    assert shop.confirm(code, nonce="back").status_code == 200


def test_use_can_be_for_ever(make: Callable[..., Flask], later: Callable[[float], None]) -> None:
    """With 0 nobody has been away for too long."""
    app = make(unused_seconds=0)
    Phone(app.test_client()).belongs_to("hanako")
    later(10**8)
    assert Shop(app).create().status_code == 200


@pytest.mark.parametrize("status", [401, 403])
def test_the_status_of_a_removed_user(make: Callable[..., Flask], status: int) -> None:
    """What is said about a user who removed the app is unpublished, so it is a setting."""
    app = make(removed_user_status=status)
    phone = Phone(app.test_client()).belongs_to("hanako")
    phone.press("/", "/removals", persona="hanako")
    answer = Shop(app).create()
    assert answer.status_code == status
    assert ("permission_denied" in answer.headers.get("WWW-Authenticate", "")) == (status == 401)


def test_api_maintenance(phone: Phone, shop: Shop, logged: Callable[[], list[wirelog.Exchange]]) -> None:
    """While the platform is closed the API says when to come again, and nothing else."""
    code = read_created(shop.create()).code
    phone.press("/developer", "/developer/switches/maintenance", on="yes")
    for answer in (shop.create(), shop.confirm(code)):
        assert (answer.status_code, answer.mimetype) == (503, "text/plain")
        assert answer.headers["Retry-After"] == "60"
    assert logged()[0].status == 503
    phone.press("/developer", "/developer/switches/maintenance", on="no")
    assert shop.status(code) == "create"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods(app: Flask, method: str) -> None:
    """The API knows POST and GET."""
    assert app.test_client().open("/atom/mobile/point/@me", method=method).status_code == 405


def test_everything_is_a_test_in_development(
    phone: Phone, shop: Shop, payment: Callable[[Purchase], payments.Payment]
) -> None:
    """An app in development has only test purchases."""
    phone.press("/developer", "/developer/switches/in_development", on="yes")
    assert payment(read_created(shop.create())).is_test
