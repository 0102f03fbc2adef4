"""The platform tells the app who has added and removed it, in its own name, and nobody waits long for it."""

import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.x509.oid import NameOID
from flask import Flask
from werkzeug import Request, Response

from storefront.mixi import signing
from storefront.sandbox import key_pairs, people, stage, wirelog
from storefront.sandbox.cast import CAST
from storefront.sandbox.key_pairs import NAME, KeyPair
from storefront.sandbox.mixi import lifecycle
from storefront.sandbox.people import FIRST_STAGE
from tests.sandbox.conftest import APP, EVENTS, PLATFORM, SHOP, Phone, Sap, Shop, owner
from tests.wire import Wire

ADD, REMOVE = "event.addapp", "event.removeapp"
Logged = Callable[[], list[wirelog.Exchange]]


@pytest.fixture
def pair(keys: Path) -> KeyPair:
    return keys_of(keys)


def keys_of(folder: Path, name: str = NAME) -> KeyPair:
    return key_pairs.keep(folder, name)


def told(sap: Sap, pair: KeyPair) -> list[tuple[str, list[str]]]:
    """What the app has heard, as one who has the certificate believes it."""
    publisher = signing.Publisher({pair.name: pair.certificate})
    heard = []
    for request in sap.events:
        signed = publisher.verify(
            request.method,
            SHOP + EVENTS,
            request.environ["QUERY_STRING"].encode(),
            request.headers["Authorization"],
            now=int(time.time()),
            window=60,
        )
        assert request.method == "GET"
        assert {name for name, _ in signed.params} == {"eventtype", "opensocial_app_id", "id"}
        assert signed.one("opensocial_app_id") == APP
        heard.append((signed.one("eventtype"), list(signed.each("id"))))
    return heard


def removes(phone: Phone, key: str) -> None:
    assert phone.press("/", "/removals", persona=key).status_code == 303


def holds(phone: Phone, on: str) -> None:
    assert phone.press("/developer", "/developer/switches/hold_events", on=on).status_code == 303


def sends(phone: Phone) -> None:
    assert phone.press("/developer", "/developer/events").status_code == 303


def test_adding_and_removing_are_told(phone: Phone, sap: Sap, pair: KeyPair) -> None:
    """The first opening adds the app, removing removes it, opening again adds it again; each is told once."""
    phone.belongs_to("hanako").page(f"{SHOP}/")
    phone.belongs_to("hanako").page(f"{SHOP}/items")
    removes(phone, "hanako")
    removes(phone, "hanako")
    phone.belongs_to("hanako")
    hanako = [owner("hanako")]
    assert told(sap, pair) == [(ADD, hanako), (REMOVE, hanako), (ADD, hanako)]


def test_the_app_is_told_before_it_is_opened(phone: Phone, sap: Sap, logged: Logged) -> None:
    """The wire log shows the event before the first page, with its base string and without its signature."""
    phone.belongs_to("hanako").page(f"{SHOP}/")
    assert [row.kind.value for row in logged()] == ["page", "lifecycle"]
    event = logged()[-1]
    assert event.good
    assert "xoauth_signature_publickey%3Dlc_sandbox" in event.base_string
    assert "eventtype=event.addapp" in event.url
    assert "RSA-SHA1" not in event.url
    text = phone.get("/log?kind=lifecycle&lang=en").text
    assert 'data-kind="lifecycle"' in text
    assert 'data-kind="page"' not in text


def test_home_says_who_has_the_app(phone: Phone) -> None:
    """Each card says whether the app is there, and offers to remove it only then."""
    home = phone.get("/?lang=en").text
    assert home.count("Has not added the app.") == len(CAST)
    assert "Remove the app" not in home
    phone.belongs_to("taro")
    assert 'aria-label="Remove the app of Taro"' in phone.get("/").text
    removes(phone, "taro")
    home = phone.get("/").text
    assert "The app is removed." in home
    assert "Remove the app" not in home
    assert home.count("Has not added the app.") == len(CAST) - 1


def test_a_page_without_the_app(phone: Phone, sap: Sap) -> None:
    """Who has removed the app is sent home with a kind word, and the app is not asked."""
    phone.belongs_to("hanako")
    removes(phone, "hanako")
    answer = phone.page(f"{SHOP}/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?hint=removed")
    assert phone.get(f"/mm/{APP}/?url=http%3A%2F%2Fshop.test%2Fa.svg").status_code == 403
    assert not sap.heard
    assert "Hanako has removed the app." in phone.get("/?hint=removed&lang=en").text


def test_the_api_is_silent_about_them(phone: Phone, shop: Shop) -> None:
    """Neither creation nor confirmation speaks about somebody who has removed the app; adding mends it."""
    phone.belongs_to("hanako")
    code = shop.create("hanako").text.partition("<id>")[2].partition("</id>")[0]
    assert shop.confirm(code, "hanako").status_code == 200
    removes(phone, "hanako")
    for answer in (shop.confirm(code, "hanako"), shop.create("hanako")):
        assert answer.status_code == 401
        assert 'oauth_problem="permission_denied"' in answer.headers["WWW-Authenticate"]
    phone.belongs_to("hanako")
    assert shop.confirm(code, "hanako").status_code == 200


def test_held_events_are_sent_together(phone: Phone, sap: Sap, pair: KeyPair) -> None:
    """Held events wait for the button; then equal ones that follow each other are one request."""
    holds(phone, "yes")
    for key in ("hanako", "taro", "yuki"):
        phone.belongs_to(key)
    for key in ("taro", "hanako"):
        removes(phone, key)
    phone.belongs_to("taro")
    assert not sap.events
    assert phone.get("/developer").text.count("data-event=") == 6
    sends(phone)
    assert told(sap, pair) == [
        (ADD, [owner("hanako"), owner("taro"), owner("yuki")]),
        (REMOVE, [owner("taro"), owner("hanako")]),
        (ADD, [owner("taro")]),
    ]
    assert "data-event=" not in phone.get("/developer").text
    sends(phone)
    assert len(sap.events) == 3


def test_letting_go(phone: Phone, sap: Sap, pair: KeyPair) -> None:
    """Once events are no longer held, the next one takes the held ones along."""
    holds(phone, "yes")
    phone.belongs_to("hanako")
    holds(phone, "no")
    phone.belongs_to("taro")
    assert told(sap, pair) == [(ADD, [owner("hanako"), owner("taro")])]


def test_long_rows_are_split(
    inside: Flask, phone: Phone, sap: Sap, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request names more people than the address has room for."""
    monkeypatch.setattr(lifecycle, "BATCH", 2)
    holds(phone, "yes")
    for key in ("hanako", "taro", "yuki"):
        phone.belongs_to(key)
    sends(phone)
    assert [len(ids) for _, ids in told(sap, pair)] == [2, 1]


@pytest.mark.parametrize("status", [401, 404, 400])
def test_a_refusal_is_the_end(phone: Phone, sap: Sap, logged: Logged, status: int) -> None:
    """What the app refuses is not sent again, and the user goes on."""
    sap.says(EVENTS, "REFUSED", status)
    assert phone.belongs_to("hanako").page(f"{SHOP}/").status_code == 200
    phone.belongs_to("taro")
    assert len(sap.events) == 2
    assert not logged()[0].good


@pytest.mark.parametrize("broken", [requests.ConnectionError(), requests.ReadTimeout(), OSError()])
def test_silence(phone: Phone, sap: Sap, wire: Wire, pair: KeyPair, broken: Exception) -> None:
    """An app that is out of reach stops nobody, and is told with the next event."""
    wire.broken = broken
    phone.belongs_to("hanako")
    wire.broken = None
    assert phone.page(f"{SHOP}/").status_code == 200
    phone.belongs_to("taro")
    assert told(sap, pair) == [(ADD, [owner("hanako"), owner("taro")])]


def test_a_server_error(phone: Phone, sap: Sap, pair: KeyPair) -> None:
    """An app that answers 503 is told again, in the same sequence."""
    sap.says(EVENTS, "busy", 503)
    phone.belongs_to("hanako")
    removes(phone, "hanako")
    assert told(sap, pair) == [(ADD, [owner("hanako")])] * 2
    sap.says(EVENTS)
    sends(phone)
    assert told(sap, pair)[2:] == [(ADD, [owner("hanako")]), (REMOVE, [owner("hanako")])]


@pytest.mark.long
def test_slowness(make: Callable[..., Flask], sap: Sap) -> None:
    """Nobody waits longer for an event than its time, however many there are to tell."""
    let_go, late = threading.Event(), threading.Event()

    def slow(_request: Request) -> Response:
        if not let_go.wait(30):
            late.set()
        return Response("late")

    phone = Phone(make(lifecycle_seconds=1).test_client())
    holds(phone, "yes")
    phone.belongs_to("hanako")
    removes(phone, "hanako")
    holds(phone, "no")
    sap.scripts[EVENTS] = slow
    phone.belongs_to("taro")
    assert not late.is_set()
    let_go.set()
    assert phone.page(f"{SHOP}/").status_code == 200


def test_two_at_once(app: Flask, sap: Sap, pair: KeyPair) -> None:
    """Two phones that open the app at the same moment add it once."""
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(Phone(app.test_client()).belongs_to, "hanako") for _ in range(4)]:
            done.result()
    assert {tuple(ids) for _, ids in told(sap, pair)} == {(owner("hanako"),)}
    with app.app_context():
        first = stage.by_id(FIRST_STAGE)
        assert first
        assert not lifecycle.untold(first)
        found = people.find(owner("hanako"))
        assert found
        assert found.has_app


def test_another_address(make: Callable[..., Flask], sap: Sap) -> None:
    """Where the app hears of events is a setting."""
    phone = Phone(make(lifecycle_url=f"{SHOP}/events").test_client())
    phone.belongs_to("hanako")
    assert [request.path for request in sap.heard] == ["/events"]


@pytest.mark.parametrize("key", ["nobody", ""])
def test_someone_who_is_not_in_the_cast(phone: Phone, key: str) -> None:
    """Nobody can lose an app who is not there."""
    assert phone.press("/", "/removals", persona=key).status_code == 400


def test_the_certificate_is_published(phone: Phone, pair: KeyPair) -> None:
    """The certificate is at its address, says that it is the sandbox's, and only its own name is known."""
    answer = phone.get(f"/certificates/{NAME}.pem")
    assert (answer.status_code, answer.mimetype) == (200, "application/x-pem-file")
    certificate = x509.load_pem_x509_certificate(answer.data)
    assert certificate == pair.certificate
    subject = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value
    assert "sandbox" in subject
    assert phone.get("/certificates/lc_other.pem").status_code == 404


def test_the_developer_page_says_how(phone: Phone) -> None:
    """The developer page shows address, certificate and a line to copy, and never the key itself."""
    text = phone.get("/developer?lang=en").text
    assert f"{SHOP}/mixi/lifecycle" in text
    assert f"/certificates/{NAME}.pem" in text
    assert f"STOREFRONT_MIXI_CERTIFICATES=lifecycle:{NAME}={NAME}.pem" in text
    assert f"export STOREFRONT_MIXI_CERTIFICATE_URL={PLATFORM}/certificates/{{channel}}/{{name}}.pem" in text
    assert "PRIVATE" not in text


def test_keys_are_kept(tmp_path: Path) -> None:
    """A key pair is made once, its files are its owner's alone, and two makers at once agree."""
    folder = tmp_path / "keys"
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(keys_of, [folder] * 4))
    again = key_pairs.keep(folder)
    assert all(one.private.private_numbers() == again.private.private_numbers() for one in made)
    assert key_pairs.certificate(folder) == again.path
    assert again.certificate.public_key() == again.private.public_key()
    assert {path.name for path in folder.iterdir()} == {"lc_sandbox.key", "lc_sandbox.pem"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_lost_certificate_is_issued_anew(tmp_path: Path) -> None:
    """A certificate that is gone, or another key's, gives way to one of the key that is kept."""
    first, other = key_pairs.keep(tmp_path, "a"), key_pairs.keep(tmp_path, "b")
    first.path.write_bytes(other.pem)
    assert key_pairs.keep(tmp_path, "a").certificate.public_key() == first.private.public_key()
    first.path.unlink()
    assert key_pairs.keep(tmp_path, "a").certificate.public_key() == first.private.public_key()


def test_keys_stand_beside_the_database(make: Callable[..., Flask], tmp_path: Path) -> None:
    """Without a setting the keys are in a folder beside the database."""
    make(keys=None)
    assert (tmp_path / "keys" / f"{NAME}.pem").exists()
