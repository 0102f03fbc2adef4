"""The certificates of mixi itself: held by the operator, or fetched by name and kept for a while."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from flask import Flask
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from storefront import Settings, create_app
from storefront.bounded import session
from storefront.gate import Gate
from storefront.mixi import certificates as keyring
from storefront.mixi.atom import MAX_BYTES
from storefront.mixi.certificates import (
    CROWDED_SECONDS,
    FETCHES,
    KEEP_SECONDS,
    MINUTE,
    MISS_SECONDS,
    NotNow,
    Published,
)
from storefront.mixi.client import Crowded, Transport
from storefront.sandbox import key_pairs
from storefront.sandbox.key_pairs import KeyPair
from tests.demo import wait_for
from tests.street import SETTINGS, Browser, at_once, says, start_address, tell
from tests.wire import Wire

MIXI = "https://keys.mixi.test"
ADDRESS = f"{MIXI}/certificates/{{name}}.pem"
BY_CHANNEL = f"{MIXI}/certificates/{{channel}}/{{name}}.pem"


@dataclass
class Publisher:
    """Where mixi publishes its certificates."""

    shown: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: str = ""  # says something else than it has
    pause: Callable[[], object] = lambda: None

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        name = environ["PATH_INFO"].removeprefix("/certificates/").removesuffix(".pem")
        self.asked.append(name)
        self.pause()
        found = self.shown.get(name)
        status = self.status or ("200 OK" if found is not None else "404 NOT FOUND")
        location = [("Location", f"{MIXI}/certificates/pc.pem")] if status.startswith("3") else []
        start_response(status, [("Content-Type", "application/x-pem-file"), *location])
        return [found or b"no such certificate"]


class Clock:
    """The seconds that the ring of keys counts."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KeyPair]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: key_pairs.keep(folder, name) for name in ("pc", "pc_2")}


@pytest.fixture
def publisher(pairs: dict[str, KeyPair]) -> Publisher:
    return Publisher({"pc": pairs["pc"].pem})


@pytest.fixture
def wire(publisher: Publisher) -> Wire:
    return Wire(publisher)


@pytest.fixture
def ring(wire: Wire) -> Published:
    http = session()
    http.mount(MIXI, wire)
    return Published({}, ADDRESS, Transport(http, Gate(2, Crowded)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(keyring, "monotonic", clock)
    return clock


def test_fetched_once_and_kept(
    ring: Published, publisher: Publisher, clock: Clock, pairs: dict[str, KeyPair]
) -> None:
    """A certificate is asked for when its name is first seen, and not again for an hour."""
    for _ in range(5):
        assert ring.get("pc") == pairs["pc"].certificate
        clock.now += KEEP_SECONDS / 5 - 1
    assert publisher.asked == ["pc"]
    clock.now += KEEP_SECONDS
    assert ring.get("pc") == pairs["pc"].certificate
    assert publisher.asked == ["pc", "pc"]


def test_a_new_key_needs_no_restart(
    ring: Published, publisher: Publisher, clock: Clock, pairs: dict[str, KeyPair]
) -> None:
    """mixi signs with another key from today: its certificate is there at its first use."""
    assert ring.get("pc")
    publisher.shown["pc_2"] = pairs["pc_2"].pem
    assert ring.get("pc_2") == pairs["pc_2"].certificate
    assert publisher.asked == ["pc", "pc_2"]


@pytest.mark.parametrize("later", ["withdrawn", "replaced"])
def test_an_old_key_is_forgotten(
    ring: Published, publisher: Publisher, clock: Clock, pairs: dict[str, KeyPair], later: str
) -> None:
    """An hour after mixi has withdrawn a certificate, or put another in its place, it vouches for nothing."""
    assert ring.get("pc")
    other = pairs["pc_2"]
    publisher.shown = {"pc": other.pem} if later == "replaced" else {}
    clock.now += KEEP_SECONDS - 1
    assert ring.get("pc") == pairs["pc"].certificate
    clock.now += 2
    assert ring.get("pc") == (other.certificate if later == "replaced" else None)


def test_what_nobody_asks_for_takes_no_room(ring: Published, publisher: Publisher, clock: Clock) -> None:
    """Names that were made up are gone from memory some time after."""
    for number in range(50):
        ring.get(f"made-up-{number}")
        clock.now += 60
    clock.now += 2 * KEEP_SECONDS
    ring.get("pc")
    assert len(ring._kept) == 1


def test_a_miss_is_remembered(
    ring: Published, publisher: Publisher, clock: Clock, pairs: dict[str, KeyPair]
) -> None:
    """A name that mixi does not know is asked for once a minute at most, and found when it is known."""
    for _ in range(3):
        assert ring.get("pc_2") is None
    publisher.shown["pc_2"] = pairs["pc_2"].pem
    clock.now += MISS_SECONDS - 1
    assert ring.get("pc_2") is None
    assert publisher.asked == ["pc_2"]
    clock.now += 2
    assert ring.get("pc_2") == pairs["pc_2"].certificate


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".pc",
        "-pc",
        "../pc",
        "pc/..",
        "a b",
        "pc\n",
        "pc%2F",
        "pc?x",
        "pc#x",
        "{name}",
        "灯台",
        "pc\0",
        "x" * 65,
        "a@b",
    ],
)
def test_odd_names_are_never_asked_for(ring: Published, publisher: Publisher, name: str) -> None:
    """What cannot be the name of a key leads to no request."""
    assert ring.get(name) is None
    assert publisher.asked == []


def test_made_up_names_cost_little(
    ring: Published, publisher: Publisher, clock: Clock, pairs: dict[str, KeyPair]
) -> None:
    """Ten questions a minute, however many names are made up; what is new meanwhile is asked for later."""
    publisher.shown["pc_2"] = pairs["pc_2"].pem
    for number in range(FETCHES):
        assert ring.get(f"made-up-{number}") is None
        clock.now += 1
    for name in ("pc_2", "made-up-again"):
        with pytest.raises(NotNow) as later:
            ring.get(name)
        assert later.value.seconds == MINUTE - FETCHES
    assert len(publisher.asked) == FETCHES
    clock.now += later.value.seconds
    assert ring.get("pc_2") == pairs["pc_2"].certificate


@pytest.mark.parametrize("later", ["renewed", "silent", "throttled"])
def test_a_flood_hides_nothing_that_is_known(
    ring: Published, publisher: Publisher, clock: Clock, pairs: dict[str, KeyPair], later: str
) -> None:
    """What mixi has published is believed, and renewed, through any number of made-up names."""
    assert ring.get("pc")
    clock.now += KEEP_SECONDS + 1
    for number in range(FETCHES):
        ring.get(f"made-up-{number}")
    publisher.status = {"renewed": "", "silent": "503 UNAVAILABLE", "throttled": "429 TOO MANY"}[later]
    assert ring.get("pc") == pairs["pc"].certificate
    assert publisher.asked[-1] == "pc"


def test_what_is_known_waits_for_nobody(
    ring: Published, publisher: Publisher, clock: Clock, pairs: dict[str, KeyPair]
) -> None:
    """While a made-up name is on its way, and while it is being renewed itself, a known key goes on."""
    assert ring.get("pc")
    clock.now += KEEP_SECONDS + 1
    found: list[object] = []

    def ask_meanwhile() -> None:
        if len(publisher.asked) <= 3:  # made-up, then pc out of it, then pc out of that
            asking = threading.Thread(target=lambda: found.append(ring.get("pc")))
            asking.start()
            asking.join(30)

    publisher.pause = ask_meanwhile
    assert ring.get("made-up") is None
    assert found == [pairs["pc"].certificate] * 2
    assert publisher.asked == ["pc", "made-up", "pc"]


@pytest.mark.long
def test_a_flood_does_not_push_out_what_is_known(
    ring: Published, publisher: Publisher, clock: Clock, pairs: dict[str, KeyPair]
) -> None:
    """However long names are made up, the certificate mixi published last goes on."""
    assert ring.get("pc")
    for minute in range(3 * 60):
        clock.now += 60
        for number in range(FETCHES):
            with suppress(NotNow):
                ring.get(f"made-up-{minute}-{number}")
        assert ring.get("pc") == pairs["pc"].certificate, f"after {minute} minutes"


@pytest.mark.parametrize(
    "failure",
    [requests.ConnectTimeout(), requests.ReadTimeout(), requests.ConnectionError(), OSError(), 503, 429, 403],
)
def test_mixi_does_not_answer(
    ring: Published,
    wire: Wire,
    publisher: Publisher,
    clock: Clock,
    pairs: dict[str, KeyPair],
    failure: Exception | int,
) -> None:
    """What was known stays known while mixi is away; what was not is asked for again a minute later."""
    assert ring.get("pc")
    clock.now += KEEP_SECONDS + 1
    if isinstance(failure, Exception):
        wire.broken = failure
    else:
        publisher.status = f"{failure} UNAVAILABLE"
    with capture_logs() as lines:
        for _ in range(3):
            assert ring.get("pc") == pairs["pc"].certificate
            with pytest.raises(NotNow):
                ring.get("pc_2")
    assert [(line["event"], line["key"]) for line in lines] == [
        ("certificate not fetched", "pc"),
        ("certificate not fetched", "pc_2"),
    ]
    wire.broken, publisher.status = None, ""
    publisher.shown = {"pc": pairs["pc_2"].pem, "pc_2": pairs["pc_2"].pem}
    clock.now += MISS_SECONDS + 1
    assert ring.get("pc_2") == ring.get("pc") == pairs["pc_2"].certificate


def curve() -> bytes:
    """A certificate of a key that is not RSA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pc")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return dated.sign(key, SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pem: b"",
        lambda pem: b"<html>mixi</html>",
        lambda pem: bytes(range(256)),
        lambda pem: pem[: len(pem) // 2],
        lambda pem: pem.replace(b"CERTIFICATE", b"PUBLIC KEY"),
        lambda pem: curve(),
        lambda pem: b"\n" * MAX_BYTES + pem,
    ],
    ids=["empty", "page", "bytes", "half", "label", "curve", "huge"],
)
def test_what_is_no_certificate(
    ring: Published,
    publisher: Publisher,
    clock: Clock,
    pairs: dict[str, KeyPair],
    spoil: Callable[[bytes], bytes],
) -> None:
    """An answer that is no certificate of an RSA key, or too long for one, says nothing, old or new."""
    publisher.shown["pc_2"] = spoil(pairs["pc"].pem)
    for _ in range(2):
        with pytest.raises(NotNow):
            ring.get("pc_2")
    assert publisher.asked == ["pc_2"]
    assert ring.get("pc")
    publisher.shown = {"pc": spoil(pairs["pc"].pem), "pc_2": pairs["pc_2"].pem}
    clock.now += KEEP_SECONDS + 1
    assert ring.get("pc") == pairs["pc"].certificate
    assert ring.get("pc_2") == pairs["pc_2"].certificate


@pytest.mark.parametrize(
    "status",
    ["301 MOVED", "302 FOUND", "307 TEMPORARY", "404 NOT FOUND", "410 GONE", "429 MANY", "500 NO"],
)
def test_only_a_plain_answer_counts(ring: Published, publisher: Publisher, status: str) -> None:
    """A redirect is not followed, and a certificate under an error is none; 404 and 410 say there is none."""
    publisher.shown["pc_2"] = publisher.shown["pc"]
    publisher.status = status
    if status.startswith(("404", "410")):
        assert ring.get("pc_2") is None
    else:
        with pytest.raises(NotNow):
            ring.get("pc_2")
    assert publisher.asked == ["pc_2"]


def test_eight_at_once_ask_once(ring: Published, publisher: Publisher, pairs: dict[str, KeyPair]) -> None:
    """Of those who come while a certificate is on its way one waits; the others hear at once: not now."""
    found: list[object] = []

    def ask() -> None:
        try:
            found.append(ring.get("pc"))
        except NotNow as later:
            found.append(later.seconds)

    publisher.pause = lambda: wait_for(lambda: found.count(CROWDED_SECONDS) >= 6, 30)
    at_once(*[ask] * 8)
    assert publisher.asked == ["pc"]
    assert set(found) == {CROWDED_SECONDS, pairs["pc"].certificate}


def test_a_full_gate_is_no_answer(ring: Published, publisher: Publisher, pairs: dict[str, KeyPair]) -> None:
    """While others wait for mixi a new key is not known, and is asked for as soon as there is room."""
    with ring.transport.gate.place(), ring.transport.gate.place(), pytest.raises(NotNow) as later:
        ring.get("pc")
    assert later.value.seconds == CROWDED_SECONDS
    assert publisher.asked == []
    assert ring.get("pc") == pairs["pc"].certificate


def test_what_the_operator_holds_comes_first(
    publisher: Publisher, ring: Published, pairs: dict[str, KeyPair]
) -> None:
    """A certificate in the settings is never asked for, whatever mixi publishes by its name."""
    pinned = Published({"pc": pairs["pc_2"].certificate}, ADDRESS, ring.transport)
    assert pinned.get("pc") == pairs["pc_2"].certificate
    assert publisher.asked == []


@pytest.mark.parametrize(
    ("pinned", "address", "able"), [(False, "", False), (True, "", True), (False, ADDRESS, True)]
)
def test_whether_anybody_can_be_believed(
    pairs: dict[str, KeyPair], pinned: bool, address: str, able: bool
) -> None:
    """Without a certificate and without an address there is nobody to believe, and nobody to ask."""
    held = {"pc": pairs["pc"].certificate} if pinned else {}
    ring = Published(held, address, Transport(requests.Session(), Gate(2, Crowded)))
    assert bool(ring) is able
    if not address:
        assert ring.get("pc_2") is None


@pytest.mark.changed(mixi_certificate_url=BY_CHANNEL)
def test_a_start_address_under_a_published_key(
    app: Flask, publisher: Publisher, pairs: dict[str, KeyPair]
) -> None:
    """The shop fetches the key of a start address by itself, and the next one, without a restart."""
    app.extensions["http"].mount(MIXI, Wire(publisher))
    publisher.shown = {"pc/pc": pairs["pc"].pem}
    browser = Browser(app)
    assert browser.get(start_address(pairs["pc"])).status_code == 303
    assert browser.get(start_address(pairs["pc_2"])).status_code == 401
    publisher.shown["pc/pc_3"] = pairs["pc_2"].pem
    renamed = KeyPair("pc_3", pairs["pc_2"].private, pairs["pc_2"].certificate, Path())
    assert browser.get(start_address(renamed)).status_code == 303
    assert publisher.asked == ["pc/pc", "pc/pc_2", "pc/pc_3"]


@pytest.mark.changed(mixi_certificate_url=BY_CHANNEL)
def test_only_what_names_mixi_asks_mixi(app: Flask, publisher: Publisher, pairs: dict[str, KeyPair]) -> None:
    """An address that is stale, or not in mixi's name, is refused before its key is fetched."""
    app.extensions["http"].mount(MIXI, Wire(publisher))
    stale = start_address(pairs["pc"], at=-700)
    for address in (stale, start_address(pairs["pc"]).replace("=mixi.jp", "=another")):
        assert Browser(app).get(address).status_code == 401
    assert publisher.asked == []


CHANNELS = ["pc", "smartphone", "lifecycle"]


def opens(app: Flask, channel: str, pair: KeyPair) -> TestResponse:
    """What is asked for under a key of mixi's, in this channel."""
    if channel == "lifecycle":
        return tell(app, pair, "event.removeapp")
    return Browser(app).get(start_address(pair, channel))


def pinned(setting: str, pair: KeyPair) -> dict[str, object]:
    return {"mixi_certificates": {setting: {pair.name: pair.certificate}}}


@pytest.mark.parametrize("published", [True, False], ids=["published", "held"])
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_certificate_counts_for_its_channel(
    settings: Settings, publisher: Publisher, pairs: dict[str, KeyPair], channel: str, published: bool
) -> None:
    """What is signed under the key of one channel opens that one, and is nobody's word in another."""
    publisher.shown = {f"{channel}/pc": pairs["pc"].pem}
    changes = {"mixi_certificates": {}, "mixi_certificate_url": BY_CHANNEL}
    http = session()
    http.mount(MIXI, Wire(publisher))
    shop = create_app(
        settings.model_copy(update=changes if published else pinned(channel, pairs["pc"])), http
    )
    answers = {one: opens(shop, one, pairs["pc"]).status_code for one in CHANNELS}
    good = 200 if channel == "lifecycle" else 303
    assert answers == {one: good if one == channel else 401 for one in CHANNELS}


@pytest.mark.changed(mixi_certificates={}, mixi_certificate_url=BY_CHANNEL)
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_flood_turns_nobody_away_for_good(
    app: Flask, publisher: Publisher, pairs: dict[str, KeyPair], channel: str
) -> None:
    """After made-up names a known key opens as before; a new one is told when to come again, here only."""
    app.extensions["http"].mount(MIXI, Wire(publisher))
    publisher.shown = {f"{one}/{name}": pair.pem for one in CHANNELS for name, pair in pairs.items()}
    good = 200 if channel == "lifecycle" else 303
    assert opens(app, channel, pairs["pc"]).status_code == good
    for number in range(FETCHES - 1):
        unknown = KeyPair(f"made-up-{number}", pairs["pc"].private, pairs["pc"].certificate, Path())
        assert opens(app, channel, unknown).status_code == 401
    assert opens(app, channel, pairs["pc"]).status_code == good
    later = opens(app, channel, pairs["pc_2"])
    assert later.status_code == 503
    assert 1 <= int(later.headers["Retry-After"]) <= MINUTE
    if channel != "lifecycle":
        assert "again" in says(later.text)
        assert "Set-Cookie" not in later.headers
    other = next(one for one in CHANNELS if one != channel)
    assert opens(app, other, pairs["pc_2"]).status_code in (200, 303)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", ""),
        ("https://mixi.test/certificates/{channel}/{name}.pem", ""),
        ("https://mixi.test/{channel}/{name}/certificate", ""),
        ("https://mixi.test/{channel}_{name}", ""),
        ("http://127.0.0.1:8001/{channel}/{name}", ""),
        ("http://[::1]:8001/{channel}/{name}", ""),
        ("http://localhost/{channel}/{name}", ""),
        ("http://mixi.test/{channel}/{name}", "must be https"),
        ("http://127.0.0.1.mixi.test/{channel}/{name}", "must be https"),
        ("http://localhost@mixi.test/{channel}/{name}", "must name a host"),
        ("https://mixi.test/certificate", "{channel} and {name} once"),
        ("https://mixi.test/{name}", "such as https://…/{channel}/{name}.pem"),
        ("https://mixi.test/{channel}", "{channel} and {name} once"),
        ("https://mixi.test/{channel}/{name}/{name}", "{channel} and {name} once"),
        ("https://mixi.test/{channel}/?key={name}", "{channel} and {name} once"),
        ("https://mixi.test/{channel}/{name}?v=1", "{channel} and {name} once"),
        ("https://mixi.test/{channel}/{name}#x", "{channel} and {name} once"),
        ("https://{channel}.mixi.test/{name}", "must name a host"),
        ("ftp://mixi.test/{name}", "http or https"),
        ("mixi.test/{name}", "http or https"),
    ],
)
def test_where_certificates_may_come_from(address: str, reason: str) -> None:
    """Over TLS, unless it is this very machine; with channel and name of the key in its path, once."""
    values = {**SETTINGS, "mixi_certificate_url": address}
    if not reason:
        assert Settings.model_validate(values).mixi_certificate_url == address
        return
    with pytest.raises(ValueError, match="mixi_certificate_url") as error:
        Settings.model_validate(values)
    assert reason in str(error.value)
