"""mixi tells who has added the app and who has removed it; the newest word in its own hand is believed."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flask import Flask
from sqlalchemy import select
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from storefront import Settings, config, create_app
from storefront.config import PREFIX, SettingsError
from storefront.db import db, transaction
from storefront.mixi import payments, signing
from storefront.mixi.payments import Payment
from storefront.mixi.signing import MAX_EVENT_IDS, BadSignature, Publisher, PublisherClient
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop.customers import Customer
from tests.databases import on_postgresql
from tests.street import APP_ID, HANAKO, KEY_NAME, SHOP, TARO, Container, ScriptedApi, at_once, sign

NOW = 1_800_000_000
ADDRESS = f"{SHOP}/mixi/lifecycle"
ADD, REMOVE = "event.addapp", "event.removeapp"


class Mixi:
    """mixi's servers, with an event to tell."""

    def __init__(self, app: Flask, key: RSAPrivateKey) -> None:
        self.app = app
        self.key = key
        self.began = int(time.time())

    def tells(self, kind: str, *ids: str, at: int = 0, method: str = "GET", **changes: Any) -> TestResponse:
        """Send an event, `at` seconds after the test began; a change to None leaves a parameter out."""
        target = self.target(kind, *ids, **changes)
        return self.send(target, self.sign(target, at=at, method=method), method)

    def target(self, kind: str, *ids: str, **changes: Any) -> str:
        params = {"eventtype": kind, "opensocial_app_id": APP_ID, "id": ids, **changes}
        kept = {name: value for name, value in params.items() if value is not None}
        return f"/mixi/lifecycle?{urlencode(kept, doseq=True)}"

    def sign(self, target: str, *, at: int = 0, method: str = "GET", **other: Any) -> dict[str, str]:
        client = PublisherClient(
            other.get("name", KEY_NAME),
            other.get("key", self.key),
            timestamp=str(self.began + at),
            nonce="a nonce",
        )
        return client.sign(SHOP + target, method)[1]

    def send(self, target: str, headers: dict[str, str], method: str = "GET", **more: Any) -> TestResponse:
        return self.app.test_client().open(target, method=method, headers=headers, **more)


@pytest.fixture
def mixi(app: Flask, pair: KeyPair) -> Mixi:
    return Mixi(app, pair.private)


@pytest.fixture
def removed(app: Flask) -> Callable[[str], bool]:
    """Whether the shop takes a customer for one who has removed the app."""

    def removed(owner: str) -> bool:
        with app.app_context():
            left = select(Customer.removed_at).filter_by(external_id=owner)
            return db.session.scalars(left).one() is not None

    return removed


@pytest.fixture
def visited(container: Container) -> None:
    """Hanako and Taro are customers."""
    for owner in (HANAKO, TARO):
        assert container.get("/", owner).status_code == 200


def is_refused(answer: TestResponse, status: int) -> bool:
    return answer.status_code == status and answer.mimetype == "text/plain" and "REFUSED" in answer.text


@pytest.mark.usefixtures("visited")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_removed_and_added(mixi: Mixi, removed: Callable[[str], bool], method: str) -> None:
    """A signed event is answered 200 with nothing, and tells of everybody it names and of nobody else."""
    answer = mixi.tells(REMOVE, HANAKO, method=method)
    assert (answer.status_code, answer.data) == (200, b"")
    assert (removed(HANAKO), removed(TARO)) == (True, False)
    assert mixi.tells(ADD, HANAKO, TARO, at=1, mixi_invite_from="mo3friend00fr").status_code == 200
    assert (removed(HANAKO), removed(TARO)) == (False, False)


@pytest.mark.usefixtures("visited")
def test_batched(mixi: Mixi, removed: Callable[[str], bool]) -> None:
    """Several people in one event are several events."""
    assert mixi.tells(REMOVE, HANAKO, TARO).status_code == 200
    assert removed(HANAKO)
    assert removed(TARO)


@pytest.mark.usefixtures("visited")
def test_a_body_is_not_read(mixi: Mixi, removed: Callable[[str], bool]) -> None:
    """What stands in the body of a POST is not signed and counts for nothing."""
    target = mixi.target(REMOVE, HANAKO)
    answer = mixi.send(target, mixi.sign(target, method="POST"), "POST", data={"id": TARO})
    assert answer.status_code == 200
    assert (removed(HANAKO), removed(TARO)) == (True, False)


@pytest.mark.usefixtures("visited")
def test_not_mixi(mixi: Mixi, stranger: KeyPair, removed: Callable[[str], bool]) -> None:
    """Unsigned, altered, by another key, by an unknown name, with the consumer's secret, or stale: 401."""
    target = mixi.target(REMOVE, HANAKO)
    for headers in (
        {},
        {"Authorization": "OAuth x"},
        mixi.sign(mixi.target(ADD, HANAKO)),
        mixi.sign(target, key=stranger.private),
        mixi.sign(target, name="lc_unknown"),
        mixi.sign(target, name=""),
        sign("GET", target),
        mixi.sign(target, method="POST"),
        mixi.sign(target, at=-700),
        mixi.sign(target, at=700),
    ):
        assert is_refused(mixi.send(target, headers), 401), headers
    assert is_refused(mixi.send(f"{target}&id={TARO}", mixi.sign(target)), 401)
    assert (removed(HANAKO), removed(TARO)) == (False, False)


@pytest.mark.usefixtures("visited")
@pytest.mark.parametrize(
    "changes",
    [
        {"opensocial_owner_id": HANAKO},
        {"opensocial_viewer_id": HANAKO},
        {"opensocial_owner_id": ""},
        {"opensocial_app_id": "54321"},
        {"opensocial_app_id": None},
        {"opensocial_app_id": [APP_ID, APP_ID]},
        {"eventtype": "event.updateapp"},
        {"eventtype": None},
        {"eventtype": [REMOVE, ADD]},
        {"id": None},
        {"id": ""},
        {"id": [HANAKO, "a b"]},
        {"id": [HANAKO, "x" * 65]},
        {"id": [HANAKO, "花子"]},
        {"id": [HANAKO, b"\xff"]},
        {"id": [f"mo3{number}" for number in range(MAX_EVENT_IDS + 1)]},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_malformed(mixi: Mixi, removed: Callable[[str], bool], changes: dict[str, Any]) -> None:
    """An event that mixi signed but could not have meant so is 400, and nothing of it counts."""
    assert is_refused(mixi.tells(REMOVE, HANAKO, **changes), 400)
    assert not removed(HANAKO)


@pytest.mark.usefixtures("visited")
def test_as_many_as_may_be(mixi: Mixi, removed: Callable[[str], bool]) -> None:
    """A thousand people fit one event, and those who never visited are ignored."""
    strangers = [f"mo3stranger{number}" for number in range(MAX_EVENT_IDS - 1)]
    with capture_logs() as lines:
        assert mixi.tells(REMOVE, *strangers, HANAKO).status_code == 200
    assert (removed(HANAKO), removed(TARO)) == (True, False)
    said = [line for line in lines if line["event"] == "lifecycle applied"]
    assert [(line["eventtype"], line["count"], line["known"]) for line in said] == [
        (REMOVE, MAX_EVENT_IDS, 1)
    ]
    assert HANAKO not in str(lines)


@pytest.mark.parametrize("kind", [ADD, REMOVE])
def test_unknown_people(app: Flask, mixi: Mixi, kind: str) -> None:
    """A customer is made at the first visit, not by an event."""
    assert mixi.tells(kind, HANAKO).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(Customer)).all() == []


@pytest.mark.usefixtures("visited")
def test_duplicates_count_once(mixi: Mixi, removed: Callable[[str], bool]) -> None:
    """Somebody named twice in an event is one person."""
    with capture_logs() as lines:
        assert mixi.tells(REMOVE, HANAKO, HANAKO).status_code == 200
    assert (lines[-1]["count"], lines[-1]["known"]) == (1, 1)
    assert removed(HANAKO)


@pytest.mark.usefixtures("visited")
def test_repeated(app: Flask, mixi: Mixi, removed: Callable[[str], bool]) -> None:
    """An event may come as often as it likes, and ten times at once."""
    for _ in range(3):
        assert mixi.tells(REMOVE, HANAKO, TARO).status_code == 200
    at_once(*[lambda: mixi.tells(REMOVE, TARO, HANAKO)] * 5, *[lambda: mixi.tells(REMOVE, HANAKO, TARO)] * 5)
    assert removed(HANAKO)
    with app.app_context():
        left = db.session.scalars(select(Customer.removed_at)).all()
    assert left == [datetime.fromtimestamp(mixi.began, UTC)] * 2


@pytest.mark.usefixtures("visited")
def test_out_of_sequence(mixi: Mixi, removed: Callable[[str], bool]) -> None:
    """An older word about a person does not undo a newer one, whichever comes first."""
    mixi.tells(ADD, HANAKO, at=20)
    assert mixi.tells(REMOVE, HANAKO, TARO, at=10).status_code == 200
    assert (removed(HANAKO), removed(TARO)) == (False, True)
    mixi.tells(REMOVE, HANAKO, at=30)
    mixi.tells(ADD, HANAKO, at=25)
    assert removed(HANAKO)


@pytest.mark.usefixtures("visited")
def test_in_the_same_second(mixi: Mixi, removed: Callable[[str], bool]) -> None:
    """Of two events of one second the later to come counts."""
    mixi.tells(REMOVE, HANAKO)
    mixi.tells(ADD, HANAKO)
    assert not removed(HANAKO)


@pytest.mark.usefixtures("visited")
def test_a_visit_is_a_return(mixi: Mixi, container: Container, removed: Callable[[str], bool]) -> None:
    """Who asks for a page has the app again, and an event from before that visit comes too late."""
    mixi.tells(REMOVE, HANAKO, at=-5)
    assert removed(HANAKO)
    assert container.get("/", HANAKO).status_code == 200
    assert not removed(HANAKO)
    mixi.tells(REMOVE, HANAKO, at=-5)
    assert not removed(HANAKO)
    mixi.tells(REMOVE, HANAKO, at=60)
    assert removed(HANAKO)
    assert container.get("/", HANAKO).status_code == 200
    assert not removed(HANAKO), "even where mixi's clock is ahead of ours"


def test_unconfirmed_payments_say_that_the_buyer_left(app: Flask, mixi: Mixi, container: Container) -> None:
    """After a removal what is outstanding of that buyer says so, until they add the app again."""
    bought, confirmed, _, cancelled = (container.start() for _ in range(4))
    other = container.start(owner=TARO)

    def left() -> set[tuple[str, bool]]:
        with app.app_context():
            return {(one.payment.point_code, one.removed_at is not None) for one in payments.unconfirmed()}

    for code, owner, status in (
        (bought, HANAKO, "10"),
        (confirmed, HANAKO, "10"),
        (cancelled, HANAKO, "20"),
        (other, TARO, "10"),
    ):
        assert container.callback(code, owner, status).text == "OK"
    with app.app_context(), transaction() as session:
        session.get_one(Payment, confirmed).confirmed_at = datetime.now(UTC)
    mixi.tells(REMOVE, HANAKO, at=1)
    assert left() == {(bought, True), (other, False)}
    mixi.tells(ADD, HANAKO, at=0)
    assert left() == {(bought, True), (other, False)}, "an older event clears nothing"
    mixi.tells(ADD, HANAKO, at=2)
    assert left() == {(bought, False), (other, False)}


@on_postgresql
@pytest.mark.changed(mixi_confirms_per_visit=100)
def test_beside_bags_and_histories(app: Flask, mixi: Mixi, container: Container, api: ScriptedApi) -> None:
    """Pages that settle doubts and events about the same buyers never wait for each other in a circle."""
    codes = [container.start("loaf") for _ in range(20)]
    answers: list[int] = []
    for number, code in enumerate(codes):
        container.callback(code)
        api.body = (
            '<entry xmlns="http://www.w3.org/2005/Atom" xmlns:point="http://mixi.jp/atom/ns#point">'
            f'<id>{code}</id><content type="text/xml"><point:status>pay_back</point:status></content></entry>'
        ).encode()
        at_once(
            *[lambda: answers.append(container.get("/inventory").status_code)] * 2,
            lambda: answers.append(container.get("/history").status_code),
            *[partial(lambda at: answers.append(mixi.tells(REMOVE, HANAKO, at=at).status_code), number)] * 2,
        )
    assert set(answers) == {200}


def test_removed_first_then_asked(app: Flask, mixi: Mixi, container: Container) -> None:
    """A callback that comes after the removal is as outstanding as one that came before it."""
    code = container.start()
    mixi.tells(REMOVE, HANAKO, at=1)
    assert container.callback(code).text == "OK"
    with app.app_context():
        assert [one.removed_at is not None for one in payments.unconfirmed()] == [True]


@pytest.mark.usefixtures("visited")
def test_database_down(app: Flask, mixi: Mixi, removed: Callable[[str], bool]) -> None:
    """While the tables are out of reach the answer is 503, all is undone, and a repetition succeeds."""
    rename = "ALTER TABLE {} RENAME TO {}"
    with app.app_context(), transaction() as session:
        session.execute(db.text(rename.format("customer", "away")))
    assert is_refused(mixi.tells(REMOVE, HANAKO), 503)
    with app.app_context(), transaction() as session:
        session.execute(db.text(rename.format("away", "customer")))
    assert not removed(HANAKO)
    assert mixi.tells(REMOVE, HANAKO).status_code == 200
    assert removed(HANAKO)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods(mixi: Mixi, method: str) -> None:
    """mixi tells by GET or POST."""
    assert mixi.tells(REMOVE, HANAKO, method=method).status_code == 405


class TestWithoutCertificate:
    """A shop whose settings name no certificate."""

    @pytest.fixture
    def app(self, settings: Settings) -> Iterator[Flask]:
        http = requests.Session()
        yield create_app(settings.model_copy(update={"mixi_certificates": {}}), http)
        http.close()

    def test_refused(self, app: Flask, pair: KeyPair) -> None:
        """It starts, refuses every event, and its log says why."""
        with capture_logs() as lines:
            assert is_refused(Mixi(app, pair.private).tells(REMOVE, HANAKO), 401)
        assert [line["reason"] for line in lines] == ["no certificate of mixi is configured"]
        assert app.test_client().get("/healthz").status_code == 200


def authorization(pair: KeyPair, query: str = "id=1", *, nonce: str = "n", timestamp: int = NOW) -> str:
    client = PublisherClient(KEY_NAME, pair.private, timestamp=str(timestamp), nonce=nonce)
    return client.sign(f"{ADDRESS}?{query}")[1]["Authorization"]


def verify(pair: KeyPair, header: str, query: bytes = b"id=1") -> signing.Signed:
    publisher = Publisher({KEY_NAME: pair.certificate})
    return publisher.verify("GET", ADDRESS, query, header, now=NOW, window=600)


def test_the_name_of_the_key_is_signed(pair: KeyPair) -> None:
    """The base string carries the key's name beside mixi's own consumer key."""
    signed = verify(pair, authorization(pair))
    assert "oauth_consumer_key%3Dmixi.jp%26" in signed.base_string
    assert "oauth_signature_method%3DRSA-SHA1%26" in signed.base_string
    assert signed.base_string.endswith(f"%26xoauth_signature_publickey%3D{KEY_NAME}")
    assert signed.each("id") == ["1"]


def test_the_key_is_the_one_named(pair: KeyPair, stranger: KeyPair) -> None:
    """Of several certificates the one that the request names must fit."""
    both = Publisher({KEY_NAME: pair.certificate, "lc_other": stranger.certificate})
    assert both.verify("GET", ADDRESS, b"id=1", authorization(pair), now=NOW, window=600)
    with pytest.raises(BadSignature, match="signature_invalid"):
        both.verify(
            "GET", ADDRESS, b"id=1", authorization(pair).replace(KEY_NAME, "lc_other"), now=NOW, window=600
        )


@pytest.mark.parametrize(
    ("problem", "before", "after"),
    [
        ("parameter_absent", "xoauth_signature_publickey", "xoauth_signature_other"),
        ("parameter_absent", "oauth_nonce", "oauth_other"),
        ("consumer_key_unknown", KEY_NAME, "lc_unknown"),
        ("consumer_key_unknown", "mixi.jp", "mixi.example"),
        ("signature_method_rejected", "RSA-SHA1", "HMAC-SHA1"),
        ("version_rejected", 'version="1.0"', 'version="2.0"'),
        ("timestamp_refused", str(NOW), str(NOW - 601)),
        ("timestamp_refused", str(NOW), "-1"),
        ("signature_invalid", str(NOW), str(NOW + 1)),
        ("signature_invalid", 'oauth_signature="', 'oauth_signature="%00'),
        ("signature_invalid", 'oauth_signature="', 'oauth_signature="AAAA'),
    ],
)
def test_refusals(pair: KeyPair, problem: str, before: str, after: str) -> None:
    """Whatever mixi did not sign so, now, is refused by the word of its problem."""
    header = authorization(pair)
    assert before in header
    with pytest.raises(BadSignature) as refusal:
        verify(pair, header.replace(before, after))
    assert refusal.value.problem == problem
    assert (refusal.value.base_string is not None) == (problem == "signature_invalid")


def test_too_long_to_look_at(pair: KeyPair) -> None:
    """A query with far more parameters than an event can have is refused before it is read."""
    with pytest.raises(BadSignature, match="parameter_rejected"):
        verify(pair, authorization(pair), b"&".join([b"id=1"] * 5000))


def test_no_key_in_sight(pair: KeyPair) -> None:
    """A printed client or key pair shows no key."""
    client = PublisherClient(KEY_NAME, pair.private, timestamp="1", nonce="n")
    assert "PRIVATE" not in repr(client) + repr(pair)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The settings that are required."""
    for name, value in {
        "SECRET_KEY": "thirty-two characters, or rather more",
        "PUBLIC_URL": SHOP,
        "MIXI_APP_ID": APP_ID,
        "MIXI_CONSUMER_KEY": "key",
        "MIXI_CONSUMER_SECRET": "secret",
        "MIXI_CONTAINER_URL": "http://ma.mixi.net/1/",
        "MIXI_PLATFORM_HOSTS": "mixi.net",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)
    return monkeypatch


def test_certificates_by_setting(environment: pytest.MonkeyPatch, pair: KeyPair, stranger: KeyPair) -> None:
    """Each certificate is read from its file at the start, under its channel and the name of its key."""
    value = f"lifecycle:a={pair.path}, pc:b={stranger.path}, pc:a={pair.path},"
    environment.setenv(f"{PREFIX}MIXI_CERTIFICATES", value)
    held = {"lifecycle": {"a": pair.certificate}, "pc": {"b": stranger.certificate, "a": pair.certificate}}
    assert config.read(Settings).mixi_certificates == held


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("{pem}", "channel:name=path"),
        ("pc:=x", "channel:name=path"),
        ("pc:a=", "channel:name=path"),
        ("pc:a={pem},pc:a={pem}", "pc:a is given twice"),
        ("pc:a=/nowhere/at/all", "cannot be read"),
        ("pc:a={key}", "no X.509"),
        ("pc:a=/", "cannot be read"),
        ("lc_1={pem}", "so say for which: pc:lc_1, smartphone:lc_1, lifecycle:lc_1"),
        ("photo:a={pem}", "so say for which: pc:a"),
        (":a={pem}", "so say for which: pc:a"),
    ],
)
def test_bad_certificates(environment: pytest.MonkeyPatch, pair: KeyPair, value: str, reason: str) -> None:
    """What cannot be read, is no certificate, of no channel or given twice keeps the shop from starting."""
    filled = value.format(pem=pair.path, key=Path(pair.path).with_suffix(".key"))
    environment.setenv(f"{PREFIX}MIXI_CERTIFICATES", filled)
    with pytest.raises(SettingsError, match=f"{PREFIX}MIXI_CERTIFICATES: ") as error:
        config.read(Settings)
    assert reason in str(error.value)
    assert "nowhere" not in str(error.value)
    assert str(pair.path) not in str(error.value)
