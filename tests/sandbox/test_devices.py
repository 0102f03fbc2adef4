"""Everyone has three devices and one balance; each device opens the app, pays and tops up in its own way."""

import re
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from cryptography import x509
from flask import Flask
from lxml import html
from pydantic import ValidationError

from storefront.mixi import signing
from storefront.sandbox import people, wirelog
from storefront.sandbox.cast import BY_KEY, CAST
from storefront.sandbox.devices import Carrier, Device
from storefront.sandbox.mixi import payments, topups
from storefront.sandbox.mixi.topups import Mark, Means, Support
from storefront.sandbox.people import FIRST_STAGE
from storefront.sandbox.settings import SandboxSettings
from tests.sandbox.conftest import (
    APP,
    PLATFORM,
    SECRET,
    SHOP,
    TEST_XML,
    XML,
    Begin,
    Phone,
    Purchase,
    Sap,
    Shop,
    owner,
    read_created,
)

pytestmark = pytest.mark.long

DEVICES = [device.value for device in Device]
OWN_DOMAIN = ["smartphone", "pc"]
PATHS = {"smartphone": "/mixi/start/smartphone", "pc": "/mixi/start/pc"}
KEYS = {"smartphone": "touch_sandbox", "pc": "pc_sandbox"}
MOST = {"mobile": 5000, "smartphone": 5000, "pc": 10_000}
Make = Callable[..., Flask]
Logged = Callable[[], list[wirelog.Exchange]]


def in_container(url: str) -> str:
    return f"/ma/{APP}/?guid=ON&url={quote(url, safe='')}"


def costing(points: int) -> str:
    return XML.replace('point="100"', f'point="{points}"')


def believed(phone: Phone, address: str, *, at: str = "") -> signing.Signed:
    """A start address as an app believes it that fetches certificates by their names."""
    parts = urlsplit(address)
    name = parse_qs(parts.query)[signing.KEY_NAME][0]
    certificate = x509.load_pem_x509_certificate(phone.get(f"/certificates/{name}.pem").data)
    return signing.Publisher({name: certificate}).verify_address(
        "GET",
        at or f"{parts.scheme}://{parts.netloc}{parts.path}",
        parts.query.encode(),
        now=int(time.time()),
        window=60,
    )


def begins(app: Flask, sap: Sap, shop: Shop, key: str, device: str, xml: str = XML) -> tuple[Phone, Purchase]:
    """Has someone pick an item on this device, and look at the payment screen as the app sends them to it."""
    phone = Phone(app.test_client()).belongs_to(key, device)
    purchase = read_created(shop.create(key, xml))
    if device == "mobile":
        sap.redirects("/buy", purchase.url)
        assert phone.page(f"{SHOP}/buy").headers["Location"] == purchase.url
    phone.get(path(purchase))
    return phone, purchase


def path(purchase: Purchase) -> str:
    return purchase.url.removeprefix(PLATFORM)


def link(phone: Phone, purchase: Purchase) -> str:
    """Where the screen's link back to the app leads."""
    found = re.search(r'data-finish href="([^"]+)"', phone.get(path(purchase)).text)
    assert found
    return unescape(found[1])


def offers(text: str) -> list[str]:
    """The means that a shortage screen lets its buyer choose from."""
    return [str(value) for value in html.fromstring(text).xpath('//input[@name="means"]/@value')]


# Opening


def test_each_card_has_three_openings(phone: Phone) -> None:
    """Mobile phone first, then smartphone and PC; each button names its device and its person."""
    page = html.fromstring(phone.get("/?lang=en").text)
    for persona in CAST:
        buttons = page.cssselect(f'[data-persona="{persona.key}"] button[name=persona]')
        assert [button.get("data-device") for button in buttons] == DEVICES
        assert [button.get("formaction") for button in buttons] == [f"/phone/{word}" for word in DEVICES]
        for button, device in zip(buttons, Device, strict=True):
            name = str(button.get("aria-label"))
            assert name.startswith(device.label)
            assert persona.name.en in name


def test_home_says_what_is_in_the_hand(phone: Phone) -> None:
    """Home names person and device, and the card marks them."""
    assert "data-hand" not in phone.get("/?lang=en").text
    phone.belongs_to("hanako", "pc")
    page = html.fromstring(phone.get("/").text)
    (strip,) = page.cssselect("[data-hand=pc]")
    assert strip.text_content().split() == ["In", "use:", "Hanako", "·", "PC"]
    assert "in your hand: PC" in page.cssselect("[data-persona=hanako]")[0].text_content()
    assert "in your hand" not in page.cssselect("[data-persona=taro]")[0].text_content()


def test_cards_name_the_carrier(phone: Phone) -> None:
    """Each card shows whose mobile phone it is."""
    page = html.fromstring(phone.get("/?lang=en").text)
    shown = {key: page.cssselect(f"[data-persona={key}] .device")[0].text_content() for key in BY_KEY}
    assert shown == {
        "hanako": "au",
        "taro": "docomo",
        "yuki": "SoftBank",
        "jiro": "WILLCOM",
        "mika": "docomo",
        "haru": "SoftBank",
        "ken": "docomo",
        "emi": "au",
        "sota": "docomo",
    }


@pytest.mark.parametrize("address", ["/phone", "/phone/mobile"])
def test_a_mobile_phone_opens_the_container(phone: Phone, sap: Sap, address: str) -> None:
    """On a mobile phone, which is also what is taken if none is named, the app opens in the container."""
    answer = phone.press("/", address, persona="hanako")
    assert answer.headers["Location"] == f"/ma/{APP}/?guid=ON"


@pytest.mark.parametrize("device", OWN_DOMAIN)
def test_the_start_address_is_signed(phone: Phone, device: str) -> None:
    """On its own domain the app opens at its start address, signed by the platform for that device."""
    address = phone.opens("hanako", device)
    assert address.startswith(f"{SHOP}{PATHS[device]}?")
    signed = believed(phone, address)
    assert dict(signed.params) == {
        "opensocial_app_id": APP,
        "opensocial_owner_id": owner("hanako"),
        "opensocial_viewer_id": owner("hanako"),
    }
    assert signed.oauth[signing.KEY_NAME] == KEYS[device]
    assert signed.oauth["oauth_consumer_key"] == "mixi.jp"


@pytest.mark.parametrize("device", OWN_DOMAIN)
@pytest.mark.parametrize("query", ["", "?lang=en"])
def test_the_app_can_be_opened_by_post(make: Make, device: str, query: str) -> None:
    """The developer's page makes a form for who is in the hand, signed as it is posted, and logs it so."""
    app = make(**{f"start_url_{device}": f"{SHOP}{PATHS[device]}{query}"})
    phone = Phone(app.test_client())
    assert f"/developer/starts/{device}" not in phone.get("/developer").text
    assert phone.press("/developer", f"/developer/starts/{device}").status_code == 403
    phone.belongs_to("hanako")
    page = phone.press("/developer", f"/developer/starts/{device}").text
    (form,) = html.fromstring(page).forms
    certificate = x509.load_pem_x509_certificate(phone.get(f"/certificates/{device}/{KEYS[device]}.pem").data)
    signed = signing.Publisher({KEYS[device]: certificate}).verify_address(
        "POST",
        f"{SHOP}{PATHS[device]}",
        query.removeprefix("?").encode(),
        urlencode([(name, value) for name, value in form.form_values() if name]).encode(),
        now=int(time.time()),
        window=60,
    )
    assert form.action == f"{SHOP}{PATHS[device]}{query}"
    assert signed.one("opensocial_viewer_id") == owner("hanako")
    with app.app_context():
        (row, *_) = wirelog.page(FIRST_STAGE, 1, wirelog.Filter(kind=wirelog.Kind.START))[0]
    assert (row.method, row.base_string) == ("POST", signed.base_string)
    assert f"opensocial_viewer_id={owner('hanako')}" in row.sent
    assert "oauth_signature=[" in row.sent
    assert f'data-hand="{device}"' in phone.get("/").text


@pytest.mark.parametrize("device", OWN_DOMAIN)
def test_a_changed_start_address_is_not_signed(phone: Phone, device: str) -> None:
    """Another viewer, another device's address or another key's name break the signature."""
    address = phone.opens("hanako", device)
    other = "pc" if device == "smartphone" else "smartphone"
    for changed in (
        address.replace(f"viewer_id={owner('hanako')}", f"viewer_id={owner('taro')}"),
        address.replace(KEYS[device], KEYS[other]),
    ):
        assert changed != address
        with pytest.raises(signing.BadSignature, match="signature_invalid"):
            believed(phone, changed)
    with pytest.raises(signing.BadSignature, match="signature_invalid"):
        believed(phone, address, at=f"{SHOP}{PATHS[other]}")


def test_each_opening_is_another(phone: Phone) -> None:
    """No nonce is used twice."""
    nonces = {believed(phone, phone.opens("hanako", "pc")).oauth["oauth_nonce"] for _ in range(5)}
    assert len(nonces) == 5


@pytest.mark.parametrize("device", OWN_DOMAIN)
@pytest.mark.parametrize("query", ["", "?from=mixi&q=%83%41"])
def test_start_addresses_are_settings(make: Make, device: str, query: str) -> None:
    """Where the app opens is what was registered, whose own query stays and is signed."""
    registered = f"https://pc.shop.test/hello{query}"
    phone = Phone(make(**{f"start_url_{device}": registered}).test_client())
    address = phone.opens("taro", device)
    assert address.startswith(f"{registered}{'&' if query else '?'}opensocial_app_id=")
    assert dict(believed(phone, address).params)["opensocial_owner_id"] == owner("taro")
    policy = phone.get("/").headers["Content-Security-Policy"]
    assert re.search(r"form-action 'self' [^;]*https://pc\.shop\.test(;| )", policy)


@pytest.mark.parametrize("value", ["pc.shop.test", "ftp://shop.test/", "http://shop.test/#x", "http://剣/"])
def test_start_addresses_are_addresses(settings: SandboxSettings, value: str) -> None:
    """What no browser could be sent to is refused at once."""
    with pytest.raises(ValidationError):
        SandboxSettings.model_validate(settings.model_dump() | {"start_url_pc": value})


def test_home_may_lead_to_the_app(phone: Phone) -> None:
    """Browsers hold a form to the policy even where it is redirected to; the app is in it, nobody else."""
    policy = phone.get("/").headers["Content-Security-Policy"]
    assert f"form-action 'self' {SHOP};" in policy


@pytest.mark.parametrize("device", DEVICES)
def test_opening_adds_the_app(phone: Phone, sap: Sap, shop: Shop, device: str) -> None:
    """Whatever the device, the first opening adds the app, and the app is told once."""
    phone.belongs_to("jiro", device)
    phone.belongs_to("jiro", device)
    assert [request.args["eventtype"] for request in sap.events] == ["event.addapp"]
    assert shop.create("jiro").status_code == 200


def test_the_device_is_remembered(phone: Phone, inside: Flask) -> None:
    """The store keeps on which device each of them opened the app last."""
    phone.belongs_to("hanako", "pc")
    phone.belongs_to("taro", "pc").belongs_to("taro", "smartphone")
    found = {user.persona.key: user.device for user in people.everyone(FIRST_STAGE)}
    assert (found["hanako"], found["taro"], found["yuki"]) == (Device.PC, Device.SMARTPHONE, Device.MOBILE)


@pytest.mark.parametrize("device", ["tablet", "PC", "mobile%20phone"])
def test_other_devices(phone: Phone, device: str) -> None:
    """The programme knows three devices."""
    assert phone.press("/", f"/phone/{device}", persona="hanako").status_code == 404


@pytest.mark.parametrize("device", OWN_DOMAIN)
def test_the_container_is_for_mobile_phones(phone: Phone, sap: Sap, device: str) -> None:
    """Another device in the hand is led home with a word, and the app is not asked."""
    answer = phone.belongs_to("hanako", device).page(f"{SHOP}/")
    assert answer.headers["Location"] == "/?hint=container"
    assert not sap.heard
    assert "are for mobile phones" in phone.get("/?hint=container&lang=en").text


# In a frame


def test_a_pc_shows_the_app_in_a_frame(phone: Phone) -> None:
    """The platform's page says which app and whose, and frames a start address, another each time."""
    answer = phone.press("/", "/phone/pc", persona="hanako")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/apps/pc")
    addresses = [phone.framed(), phone.framed()]
    nonces = {believed(phone, address).oauth["oauth_nonce"] for address in addresses}
    assert len(nonces) == 2
    assert all(address.startswith(f"{SHOP}/mixi/start/pc?") for address in addresses)
    page = html.fromstring(phone.get("/apps/pc?lang=en").text)
    assert "Hanako" in page.cssselect("main .appbar")[0].text_content()


def test_or_in_its_own_window(phone: Phone) -> None:
    """By choice the app opens at its start address straight away, in a window that cannot reach back."""
    phone.belongs_to("hanako", "pc")
    (form,) = html.fromstring(phone.get("/apps/pc").text).cssselect("main form")
    assert (form.get("action"), form.get("target"), form.get("rel")) == ("/phone/pc", "_blank", "noopener")
    answer = phone.press("/apps/pc", "/phone/pc", persona="hanako", window="own")
    assert answer.status_code == 303
    assert believed(phone, answer.headers["Location"]).one("opensocial_viewer_id") == owner("hanako")


def test_a_smartphone_has_no_page_around(phone: Phone) -> None:
    """There the app opens straight at its start address."""
    answer = phone.press("/", "/phone/smartphone", persona="hanako")
    assert answer.headers["Location"].startswith(f"{SHOP}/mixi/start/smartphone?")


@pytest.mark.parametrize("device", [None, "mobile", "smartphone"])
def test_the_page_is_a_pcs(phone: Phone, device: str | None) -> None:
    """Without a PC in the hand there is nobody to show it to."""
    if device:
        phone.belongs_to("hanako", device)
    answer = phone.get("/apps/pc")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?hint=choose")


def test_who_removed_the_app_is_led_home(phone: Phone) -> None:
    """No start address is signed for who has not the app."""
    phone.belongs_to("hanako", "pc").press("/", "/removals", persona="hanako")
    assert phone.get("/apps/pc").headers["Location"] == "/?hint=removed"


def test_whom_our_pages_frame(make: Make) -> None:
    """The app and our own payment screen, which nobody frames but us."""
    phone = Phone(make(start_url_pc="https://pc.shop.test/hello").test_client())
    for page in ("/", "/apps/pc", "/developer", "/point/x"):
        policy = phone.get(page).headers["Content-Security-Policy"]
        assert "; frame-src 'self' http://shop.test https://pc.shop.test;" in policy
        assert policy.endswith("; frame-ancestors 'self'")


@pytest.mark.parametrize(("into", "bars"), [("iframe", 0), ("document", 1), (None, 1)])
def test_bars_are_there_once(app: Flask, sap: Sap, shop: Shop, into: str | None, bars: int) -> None:
    """In the frame the payment screen leaves out the bars that are around it; its links lead out.

    Another language is another face of the same screen, so that link stays.
    """
    phone, purchase = begins(app, sap, shop, "hanako", "pc")
    headers = {"Sec-Fetch-Dest": into} if into else {}
    page = html.fromstring(phone.get(path(purchase), headers=headers).text)
    assert len(page.cssselect("aside.strip")) == len(page.cssselect("header.top")) == bars
    for link in page.cssselect("header.top nav a:not(.spoken), .leave a"):
        assert link.get("target") == "_top"


@pytest.mark.parametrize(("url", "same_site"), [(PLATFORM, "Lax"), ("https://platform.test", "None")])
def test_the_cookie_reaches_the_frame(make: Make, url: str, same_site: str) -> None:
    """The app leads the frame to the payment screen; over TLS the cookie comes along from another site."""
    cookie = make(public_url=url).test_client().get("/?lang=en&moved", base_url=url).headers["Set-Cookie"]
    assert f"SameSite={same_site}" in cookie
    assert ("Secure" in cookie) == (same_site == "None")


# Keys


@pytest.mark.parametrize("device", OWN_DOMAIN)
def test_rotation(make: Make, tmp_path: Path, device: str) -> None:
    """A new key signs from then on, for its own device alone; the old certificate stays to be had."""
    phone = Phone(make(keys=tmp_path / "own").test_client())
    before = phone.opens("hanako", device)
    for number in (2, 3):
        assert phone.press("/developer", f"/developer/keys/{device}").status_code == 303
        after = phone.opens("hanako", device)
        assert believed(phone, after).oauth[signing.KEY_NAME] == f"{KEYS[device]}_{number}"
    assert believed(phone, before).oauth[signing.KEY_NAME] == KEYS[device]
    other = next(one for one in OWN_DOMAIN if one != device)
    assert believed(phone, phone.opens("hanako", other)).oauth[signing.KEY_NAME] == KEYS[other]
    published = {phone.get(f"/certificates/{KEYS[device]}{suffix}.pem").data for suffix in ("", "_2", "_3")}
    assert len(published) == 3


def test_each_channel_publishes_its_own(make: Make, tmp_path: Path) -> None:
    """The address of a channel has its keys, old and new, and none of another's."""
    phone = Phone(make(keys=tmp_path / "own").test_client())
    phone.press("/developer", "/developer/keys/pc")
    names = {
        "lifecycle": ["lc_sandbox"],
        "smartphone": ["touch_sandbox"],
        "pc": ["pc_sandbox", "pc_sandbox_2"],
    }
    for channel in names:
        for name in [one for own in names.values() for one in own]:
            answer = phone.get(f"/certificates/{channel}/{name}.pem")
            assert answer.status_code == (200 if name in names[channel] else 404)
            assert answer.status_code == 404 or answer.data == phone.get(f"/certificates/{name}.pem").data
    assert phone.get("/certificates/photo/pc_sandbox.pem").status_code == 404
    assert phone.get("/certificates/pc/pc_sandbox_x.pem").status_code == 404


def test_rotation_outlives_the_process(make: Make, tmp_path: Path) -> None:
    """Another process signs under the new key too; an emptied store goes on to a name never used."""
    own = {"keys": tmp_path / "own"}
    Phone(make(**own).test_client()).press("/developer", "/developer/keys/pc")
    second = Phone(make(**own).test_client())
    assert believed(second, second.opens("hanako", "pc")).oauth[signing.KEY_NAME] == "pc_sandbox_2"
    (tmp_path / "sandbox.db").rename(tmp_path / "old.db")
    third = Phone(make(**own).test_client())
    third.press("/developer", "/developer/keys/pc")
    assert believed(third, third.opens("hanako", "pc")).oauth[signing.KEY_NAME] == "pc_sandbox_3"


@pytest.mark.parametrize("device", ["mobile", "lifecycle", "tablet"])
def test_only_these_keys_rotate(phone: Phone, device: str) -> None:
    """There is no start address to sign for anything else."""
    assert phone.press("/developer", f"/developer/keys/{device}").status_code == 404


def test_only_certificates_are_published(make: Make, tmp_path: Path) -> None:
    """No name leads out of the folder, or to a file that is not the certificate of a kept key."""
    folder = tmp_path / "own"
    phone = Phone(make(keys=folder).test_client())
    for secret in (tmp_path / "secret.pem", folder / "secret.pem"):
        secret.write_bytes((folder / "pc_sandbox.key").read_bytes())
    names = ("..", ".", "..%2fsecret", "%2e%2e%2fsecret", "lc_sandbox%00", "secret", "pc sandbox", "x" * 65)
    for name in names:
        answer = phone.get(f"/certificates/{name}.pem")
        assert answer.status_code == 404, name
        assert "PRIVATE" not in answer.text, name


def test_a_private_key_is_never_published(make: Make, tmp_path: Path) -> None:
    """Whatever else a certificate's file holds, only the certificate is shown."""
    folder = tmp_path / "own"
    phone = Phone(make(keys=folder).test_client())
    file = folder / "pc_sandbox.pem"
    file.write_bytes(file.read_bytes() + (folder / "pc_sandbox.key").read_bytes())
    text = phone.get("/certificates/pc_sandbox.pem").text
    assert "BEGIN CERTIFICATE" in text
    assert "PRIVATE" not in text


# What the developer sees


@pytest.mark.parametrize("device", OWN_DOMAIN)
def test_the_last_start_address_can_be_opened_again(phone: Phone, device: str) -> None:
    """The developer's page offers the very address that this browser was given last."""
    assert "data-replay" not in phone.get("/developer?lang=en").text
    phone.opens("taro", "pc")
    address = phone.opens("hanako", device)
    page = html.fromstring(phone.get("/developer").text)
    (again,) = page.cssselect("a[data-replay]")
    assert again.get("href") == address
    assert "must refuse" in again.text_content()


def test_nobody_else_is_offered_it(phone: Phone, app: Flask) -> None:
    """A start address is shown to the browser it was made for, and to no other."""
    phone.opens("hanako", "pc")
    assert "oauth_signature" not in Phone(app.test_client()).get("/developer").text


def test_start_addresses_are_in_the_log(phone: Phone, logged: Logged) -> None:
    """The wire log has each with its base string, and without its signature."""
    address = phone.opens("hanako", "pc")
    row = logged()[0]
    assert (row.kind.value, row.method, row.path) == ("start", "GET", "/mixi/start/pc")
    assert row.base_string == believed(phone, address).base_string
    assert "oauth_signature=[" in row.url
    signature = parse_qs(urlsplit(address).query)["oauth_signature"][0]
    text = unescape(phone.get("/log?kind=start&lang=en").text)
    assert 'data-kind="start"' in text
    assert signature not in text
    assert quote(signature, safe="") not in text
    assert "not seen" in text


def test_the_developers_page_shows_keys_and_tables(phone: Phone) -> None:
    """Start addresses, certificates and both tables of the programme stand on the developer's page."""
    page = html.fromstring(phone.get("/developer?lang=en").text)
    for device in OWN_DOMAIN:
        (channel,) = page.cssselect(f"[data-channel={device}]")
        assert channel.get("data-key") == KEYS[device]
        assert channel.cssselect("a")[0].get("href") == f"/certificates/{device}/{KEYS[device]}.pem"
        assert f"{SHOP}{PATHS[device]}" in page.text_content()
    for device in Device:
        (row,) = page.cssselect(f"tr[data-device={device.value}]")
        assert [item.text_content().split(" only:")[0].strip() for item in row.cssselect("li")] == [
            means.label for means in topups.MEANS[device]
        ]
    for carrier in Carrier:
        (row,) = page.cssselect(f"tr[data-carrier={carrier.value}]")
        marks = ["×", "△", "△"] if carrier in (Carrier.WILLCOM, Carrier.EMOBILE) else ["○", "○", "○"]
        assert [cell.text_content().strip() for cell in row.cssselect("td")] == marks


# How much


@pytest.mark.parametrize("device", DEVICES)
def test_the_maximum_at_creation(phone: Phone, shop: Shop, device: str) -> None:
    """10 to 5,000 points on mobile phone and smartphone, 10 to 10,000 on a PC: the last opening counts."""
    phone.belongs_to("hanako", "pc" if device != "pc" else "mobile").belongs_to("hanako", device)
    most = MOST[device]
    for points in (10, most):
        assert shop.create(xml=costing(points)).status_code == 200
    for points in (9, most + 1):
        answer = shop.create(xml=costing(points))
        assert answer.status_code == 400
        assert f"from 10 to {most}" in answer.text


def test_someone_elses_device_does_not_count(phone: Phone, shop: Shop) -> None:
    """Each buyer is judged by their own device."""
    phone.belongs_to("taro", "mobile").belongs_to("hanako", "pc")
    assert shop.create("taro", costing(5001)).status_code == 400
    assert shop.create("hanako", costing(5001)).status_code == 200


@pytest.mark.parametrize("device", ["mobile", "smartphone"])
def test_the_maximum_at_the_payment_screen(
    app: Flask, sap: Sap, shop: Shop, balance: Callable[[str], int], device: str
) -> None:
    """What was begun on a PC and costs too much for another device is not paid there; words say why."""
    phone = Phone(app.test_client()).belongs_to("hanako", "pc")
    purchase = read_created(shop.create(xml=costing(5001)))
    phone.belongs_to("hanako", device)
    if device == "mobile":
        sap.redirects("/buy", purchase.url)
        phone.page(f"{SHOP}/buy")
    asked = len(sap.heard)
    answer = phone.get(f"{path(purchase)}?lang=en")
    assert Phone.screen_of(answer) == "too_much"
    assert "at most 5,000pt can be paid at once" in answer.text
    assert "A PC may pay up to 10,000pt" in answer.text
    plain = f"{SHOP}/finish?point_code={purchase.code}&status=20"
    assert link(phone, purchase) == (in_container(plain) if device == "mobile" else plain)
    token = re.search(r'name="form_token" value="([^"]+)"', phone.get("/").text)
    assert token
    assert phone.post(f"{path(purchase)}/buy", data={"form_token": token[1]}).status_code == 303
    assert len(sap.heard) == asked
    assert balance("hanako") == 50_000
    assert shop.status(purchase.code) == "create"
    phone.belongs_to("hanako", "pc")
    assert phone.buy(purchase.url) == "bought"
    assert balance("hanako") == 44_999


def test_the_maxima_are_settings(make: Make, shop: Shop) -> None:
    """Both maxima can be changed; a PC that may not pay more is not praised."""
    shop.app = make(max_point=200, max_point_pc=300)
    phone = Phone(shop.app.test_client()).belongs_to("hanako", "pc")
    assert shop.create(xml=costing(301)).status_code == 400
    purchase = read_created(shop.create(xml=costing(300)))
    lowered = Phone(make(max_point=200, max_point_pc=200).test_client()).belongs_to("hanako", "pc")
    text = lowered.get(f"{path(purchase)}?lang=en").text
    assert 'data-screen="too_much"' in text
    assert "A PC may pay" not in text
    assert phone.screen(purchase.url) == "confirm"


# The payment screen


@pytest.mark.parametrize("device", OWN_DOMAIN)
def test_the_app_leads_straight_to_the_screen(
    app: Flask,
    sap: Sap,
    shop: Shop,
    payment: Callable[[Purchase], payments.Payment],
    balance: Callable[[str], int],
    device: str,
) -> None:
    """On its own domain the buyer's first look opens the screen; then it is bought as anywhere."""
    phone = Phone(app.test_client()).belongs_to("hanako", device)
    purchase = read_created(shop.create())
    assert not payment(purchase).entered
    assert phone.screen(purchase.url) == "confirm"
    assert payment(purchase).entered
    assert phone.buy(purchase.url) == "bought"
    assert balance("hanako") == 49_900
    assert shop.status(purchase.code) == "complete"


@pytest.mark.parametrize("action", ["buy", "cancel", "top-up"])
def test_nothing_is_pressed_before_the_first_look(app: Flask, shop: Shop, sap: Sap, action: str) -> None:
    """A form that comes before the screen was shown finds it closed."""
    phone = Phone(app.test_client()).belongs_to("hanako", "pc")
    purchase = read_created(shop.create())
    answer = phone.press("/", f"{path(purchase)}/{action}", points="100")
    assert (answer.status_code, Phone.screen_of(answer)) == (403, "closed")
    assert not sap.heard


@pytest.mark.parametrize("device", OWN_DOMAIN)
def test_only_the_buyers_own_browser_opens_it(
    app: Flask, shop: Shop, payment: Callable[[Purchase], payments.Payment], device: str
) -> None:
    """Another's browser, or nobody's, neither sees nor opens the screen."""
    Phone(app.test_client()).belongs_to("hanako", device)
    purchase = read_created(shop.create())
    for other in (Phone(app.test_client()).belongs_to("taro", device), Phone(app.test_client())):
        assert other.get(path(purchase)).status_code == 403
    assert not payment(purchase).entered


def test_on_a_mobile_phone_a_look_is_not_enough(app: Flask, shop: Shop) -> None:
    """Begun on a PC or not: on a mobile phone only the container's redirect opens the screen."""
    phone = Phone(app.test_client()).belongs_to("hanako", "pc")
    purchase = read_created(shop.create())
    assert phone.belongs_to("hanako", "mobile").get(path(purchase)).status_code == 403


@pytest.mark.parametrize("device", OWN_DOMAIN)
@pytest.mark.parametrize(("action", "status"), [("buy", "10"), ("cancel", "20")])
def test_the_way_back_on_its_own_domain(
    app: Flask, sap: Sap, shop: Shop, device: str, action: str, status: str
) -> None:
    """On its own domain the finish link is the app's plain address with code and status."""
    phone, purchase = begins(app, sap, shop, "hanako", device)
    phone.buy(purchase.url, action)
    assert link(phone, purchase) == f"{SHOP}/finish?point_code={purchase.code}&status={status}"


@pytest.mark.parametrize("device", DEVICES)
def test_the_way_back_after_a_failure(app: Flask, sap: Sap, shop: Shop, device: str) -> None:
    """A purchase that failed leads back with 20, on each device in its own way."""
    phone, purchase = begins(app, sap, shop, "hanako", device)
    sap.says("/callback", "NO", 500, content_type="text/plain")
    assert phone.buy(purchase.url) == "failed"
    plain = f"{SHOP}/finish?point_code={purchase.code}&status=20"
    assert link(phone, purchase) == (in_container(plain) if device == "mobile" else plain)


@pytest.mark.parametrize(
    ("device", "leads_to"),
    [
        ("mobile", in_container(f"{SHOP}/")),
        ("smartphone", f"{SHOP}/"),
        ("pc", f"{SHOP}/"),
    ],
)
def test_the_way_back_when_time_is_up(
    app: Flask, sap: Sap, shop: Shop, later: Callable[[float], None], device: str, leads_to: str
) -> None:
    """An expired screen leads to the app's shelf, on each device in its own way."""
    phone, purchase = begins(app, sap, shop, "hanako", device)
    later(181)
    answer = phone.get(path(purchase))
    assert (answer.status_code, Phone.screen_of(answer)) == (410, "expired")
    assert leads_to in html.fromstring(answer.text).xpath("//p[@class='actions']/a/@href")


def test_a_screen_that_was_never_opened_expires(
    app: Flask, shop: Shop, later: Callable[[float], None]
) -> None:
    """A first look that comes too late opens nothing."""
    phone = Phone(app.test_client()).belongs_to("hanako", "pc")
    purchase = read_created(shop.create())
    later(181)
    assert phone.get(path(purchase)).status_code == 410


def test_one_balance(app: Flask, sap: Sap, shop: Shop, balance: Callable[[str], int]) -> None:
    """What is topped up on one device is spent on the others."""
    pc, first = begins(app, sap, shop, "jiro", "pc")
    assert pc.buy(first.url, "top-up", points="300", means="credit_card") == "confirm"
    assert pc.buy(first.url) == "bought"
    for device in ("smartphone", "mobile"):
        phone, purchase = begins(app, sap, shop, "jiro", device)
        assert phone.buy(purchase.url) == "bought"
    assert balance("jiro") == 0
    words = phone.get("/?lang=en").text
    assert re.findall(r"Jiro · (PC|Smartphone|Mobile phone)", words) == [
        "Mobile phone",
        "Mobile phone",
        "Smartphone",
        "PC",
    ]


def test_a_test_purchase_on_a_pc(app: Flask, sap: Sap, shop: Shop, balance: Callable[[str], int]) -> None:
    """A test takes no points on any device."""
    phone, purchase = begins(app, sap, shop, "mika", "pc", TEST_XML)
    assert phone.buy(purchase.url) == "bought"
    assert balance("mika") == 0


# Topping up

OFFERS = {
    ("pc", "hanako"): ["credit_card", "au_easy", "point_plus"],
    ("pc", "taro"): ["credit_card", "point_plus"],
    ("pc", "yuki"): ["credit_card", "softbank_together", "point_plus"],
    ("pc", "jiro"): ["credit_card", "point_plus"],
    ("smartphone", "hanako"): ["au_easy", "credit_card", "point_plus"],
    ("smartphone", "taro"): ["sp_mode", "credit_card", "point_plus"],
    ("smartphone", "yuki"): ["softbank_together", "credit_card", "point_plus"],
    ("smartphone", "jiro"): ["credit_card", "point_plus"],
    ("mobile", "hanako"): ["carrier", "webmoney", "point_plus"],
    ("mobile", "taro"): ["carrier", "webmoney", "bitcash", "point_plus"],
    ("mobile", "yuki"): ["carrier", "point_plus"],
    ("mobile", "jiro"): [],
}
FACTS = {
    Device.PC: {Means.CREDIT_CARD, Means.AU_EASY, Means.SOFTBANK_TOGETHER, Means.POINT_PLUS},
    Device.SMARTPHONE: {
        Means.SP_MODE,
        Means.AU_EASY,
        Means.SOFTBANK_TOGETHER,
        Means.CREDIT_CARD,
        Means.POINT_PLUS,
    },
    Device.MOBILE: {Means.CARRIER, Means.WEBMONEY, Means.BITCASH, Means.POINT_PLUS},
}


@pytest.mark.parametrize(("device", "key"), OFFERS, ids=[f"{key}-{device}" for device, key in OFFERS])
def test_who_is_offered_what(device: str, key: str) -> None:
    """Each is offered the means of their device, less those of other carriers, in the programme's order."""
    offered = topups.offered(Device(device), BY_KEY[key].carrier)
    assert [means.value for means in offered] == OFFERS[device, key]


# Hanako is never short.
SHORT = [(device, key) for device, key in OFFERS if key != "hanako"]


@pytest.mark.parametrize(("device", "key"), SHORT, ids=[f"{key}-{device}" for device, key in SHORT])
def test_means_at_a_shortage(
    app: Flask, sap: Sap, shop: Shop, balance: Callable[[str], int], device: str, key: str
) -> None:
    """Short of points, each can choose from what is offered to them; each means works, no other does."""
    phone, purchase = begins(app, sap, shop, key, device, costing(balance(key) + 20))
    answer = phone.get(path(purchase))
    assert Phone.screen_of(answer) == "shortage"
    assert offers(answer.text) == OFFERS[device, key]
    before = balance(key)
    token = re.search(r'name="form_token" value="([^"]+)"', phone.get("/").text)
    assert token
    for means in [*Means, ""]:
        sent = {"form_token": token[1], "points": "100", "means": str(means)}
        status = 303 if means in OFFERS[device, key] else 400
        assert phone.post(f"{path(purchase)}/top-up", data=sent).status_code == status
    assert balance(key) == before + 100 * len(OFFERS[device, key])


@pytest.mark.parametrize("device", Device)
def test_the_programmes_lists(device: Device) -> None:
    """Each device has the means that the programme lists for it, and each is offered to somebody."""
    assert set(topups.MEANS[device]) == FACTS[device]
    assert {means for carrier in Carrier for means in topups.offered(device, carrier)} == FACTS[device]


@pytest.mark.parametrize(
    ("means", "carriers"), [(Means.WEBMONEY, {"docomo", "au"}), (Means.BITCASH, {"docomo"})]
)
def test_what_the_programme_binds(means: Means, carriers: set[str]) -> None:
    """WebMoney is for docomo and au, BitCash for docomo alone."""
    found = {carrier.value for carrier in Carrier if means in topups.offered(Device.MOBILE, carrier)}
    assert found == carriers


@pytest.mark.parametrize("carrier", Carrier)
@pytest.mark.parametrize("device", Device)
def test_where_points_are_got_viewed_and_used(device: Device, carrier: Carrier) -> None:
    """Only mobile phones of WILLCOM and EMOBILE cannot get points; what was got elsewhere works there."""
    closed = device is Device.MOBILE and carrier in (Carrier.WILLCOM, Carrier.EMOBILE)
    expected = Support(Mark.NO, Mark.PARTLY, Mark.PARTLY) if closed else Support(Mark.YES, Mark.YES, Mark.YES)
    assert topups.support(device, carrier) == expected
    assert bool(topups.offered(device, carrier)) is not closed


def test_a_willcom_phone_offers_no_points(
    begin: Begin, shop: Shop, sap: Sap, balance: Callable[[str], int]
) -> None:
    """Jiro's mobile phone says that it cannot get points, and what helps; it lets him cancel."""
    phone, purchase = begin("jiro")
    page = html.fromstring(phone.get(f"{path(purchase)}?lang=en").text)
    words = page.text_content()
    assert "cannot be obtained on a mobile phone of WILLCOM" in words
    assert "obtain some on a smartphone or PC" in words
    assert [str(form.action).rpartition("/")[2] for form in page.forms] == ["cancel"]
    assert phone.press(path(purchase), f"{path(purchase)}/top-up", points="100").status_code == 400
    assert balance("jiro") == 0
    assert phone.buy(purchase.url, "cancel") == "cancelled"


def test_the_quick_way_through_a_shortage(app: Flask, sap: Sap, shop: Shop) -> None:
    """The first button of the page tops up enough, by the means that is chosen at first, and stays here."""
    phone, purchase = begins(app, sap, shop, "yuki", "pc")
    page = html.fromstring(phone.get(path(purchase)).text)
    form = page.forms[0]
    button = form.cssselect("button")[0]
    assert dict(form.fields)["means"] == "credit_card"
    fields = {str(name): str(value) for name, value in form.form_values()}
    fields[str(button.get("name"))] = str(button.get("value"))
    answer = phone.post(str(form.action), data=fields)
    assert answer.headers["Location"] == path(purchase)
    assert phone.screen(purchase.url) == "confirm"


def test_a_large_shortage(app: Flask, sap: Sap, shop: Shop) -> None:
    """Even the dearest purchase of a PC can be topped up for in one step."""
    phone, purchase = begins(app, sap, shop, "jiro", "pc", costing(10_000))
    assert phone.buy(purchase.url, "top-up", points="10000") == "confirm"


def test_no_secret_is_shown(phone: Phone) -> None:
    """None of the new pages shows the consumer secret or a private key."""
    phone.opens("hanako", "pc")
    for address in ("/", "/developer", "/log"):
        text = phone.get(address).text
        assert SECRET not in text
        assert "PRIVATE" not in text
