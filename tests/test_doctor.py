"""The doctor sees what is wrong, and says what to do."""

import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import create_engine, text, update
from werkzeug import Response

from storefront import Settings, config, create_app, doctor
from storefront.config import PACKAGE, PREFIX
from storefront.db import db, transaction
from storefront.demo import kept
from storefront.doctor import house, postgresql, sqlite
from storefront.doctor.sqlite import MIB
from storefront.findings import Finding, Verdict
from storefront.mixi.payments import Payment
from storefront.rim import rims
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import customers, inventory
from storefront.shop.customers import Customer
from tests.command import call
from tests.databases import ENGINES, new_database, on_postgresql, on_sqlite, preset
from tests.demo import Demo, demo
from tests.proof import hostile
from tests.proof.served import without_settings
from tests.street import HANAKO, PLATFORM, SHOP, Container, ScriptedApi
from tests.wire import Wire

pytestmark = pytest.mark.long

Examine = Callable[..., dict[str, Finding]]


def clock_of(**off: float) -> Callable[..., Any]:
    """A platform whose clock is off."""

    def answer(*asked: Any) -> Any:
        now = datetime.now(UTC) + timedelta(**off)
        return Response("", 404, {"Date": format_datetime(now, usegmt=True)})(*asked)

    return answer


@pytest.fixture
def http(app: Flask) -> requests.Session:
    """The line out, on which shop and platform answer."""
    http = requests.Session()
    http.mount(SHOP, Wire(app))
    http.mount(PLATFORM, Wire(clock_of()))
    return http


@pytest.fixture
def examine(settings: Settings, http: requests.Session) -> Examine:
    """The doctor's findings by check, with some settings changed."""

    def examine(**changed: object) -> dict[str, Finding]:
        return {one.check: one for one in doctor.examine(settings.model_copy(update=changed), http)}

    return examine


@pytest.fixture(scope="module", params=ENGINES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Both sides as processes of their own, the shop on each engine in turn."""
    url = None
    if request.param == "postgresql":
        url = new_database(request.getfixturevalue("postgresql"), "doctor")
    with demo(tmp_path_factory.mktemp("demo"), url) as running:
        yield running


def consult(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return call(without_settings(environment), "doctor")


def environment(running: Demo) -> dict[str, str]:
    return kept(running.output.parent)


@pytest.mark.long
def test_a_running_shop_is_well(running: Demo) -> None:
    """Over real HTTP, with everything in place, each line is ok and the exit status 0."""
    done = consult(environment(running))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split()[:2] for line in done.stdout.splitlines()]
    others = ("folder", "disk", "calendar")  # the machine's, and the demo's that one turns
    told = {verdict for verdict, check in lines if check not in others}
    assert told == {"ok"}, done.stdout
    assert f"{running.shop}/healthz is this shop" in done.stdout


@pytest.mark.long
def test_a_wrong_public_url(running: Demo) -> None:
    """An address at which something else answers, or nothing, fails with exit status 1."""
    for address in (running.platform, "http://127.0.0.1:9"):
        done = consult({**environment(running), "STOREFRONT_PUBLIC_URL": address})
        assert done.returncode == 1
        (line,) = (line for line in done.stdout.splitlines() if "FAIL" in line)
        assert f"{address}/healthz" in line
        assert "STOREFRONT_PUBLIC_URL" in line


@pytest.mark.long
def test_no_secret_is_printed(running: Demo) -> None:
    """Neither keys nor the database's password stand in what the doctor says, whatever fails."""
    settings = environment(running)
    settings["STOREFRONT_DATABASE_URL"] = "postgresql+psycopg://shop:pa55word@127.0.0.1:9/shop"
    done = consult(settings)
    assert "FAIL  database" in done.stdout
    for secret in (
        "pa55word",
        settings["STOREFRONT_SECRET_KEY"],
        settings["STOREFRONT_MIXI_CONSUMER_SECRET"],
    ):
        assert secret not in done.stdout + done.stderr


def test_missing_settings() -> None:
    """Each missing setting has a line of its own with its full name."""
    done = consult({})
    assert done.returncode == 1
    names = [name for name, field in Settings.model_fields.items() if field.is_required()]
    assert len(done.stdout.splitlines()) == len(names)
    for name in names:
        assert f"FAIL  settings       {PREFIX}{name.upper()}: is missing" in done.stdout


@on_sqlite
@pytest.mark.parametrize("key", ["x" * 40, "abcdefghijkl" * 3, "01234567" * 5, "1112223334445556" * 2 + "1"])
def test_a_weak_key(examine: Examine, key: str) -> None:
    """A key that repeats itself fails."""
    assert examine(secret_key=SecretStr(key))["secrets"].verdict is Verdict.FAIL


@on_sqlite
def test_a_consumer_secret(examine: Examine) -> None:
    """It is not blank, and not the shop's own key."""
    assert "blank" in examine(mixi_consumer_secret=SecretStr(" "))["secrets"].found
    key = SecretStr("one secret for both, which is one too few")
    assert "is the consumer secret" in examine(secret_key=key, mixi_consumer_secret=key)["secrets"].found


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:////nowhere.db", "there is no /nowhere.db"),
        ("oracle://x", "cannot be used"),
        ("postgresql+psycopg://x@127.0.0.1:9/x", "does not answer: OperationalError"),
    ],
)
@on_sqlite
def test_no_database(examine: Examine, url: str, found: str) -> None:
    """A database that is not there fails, and the doctor makes none."""
    finding = examine(database_url=url)["database"]
    assert finding.verdict is Verdict.FAIL
    assert found in finding.found
    assert not Path("/nowhere.db").exists()


def test_not_migrated(app: Flask, examine: Examine) -> None:
    """A database behind the code fails and names the command."""
    with app.app_context(), transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    finding = examine()["migrations"]
    assert finding.verdict is Verdict.FAIL
    assert "at 0001" in finding.found
    assert "storefront upgrade" in finding.advice


@on_postgresql
def test_the_isolation(settings: Settings, examine: Examine) -> None:
    """What the server would do by itself is said, and is no fault: the shop asks for what it needs."""
    preset(settings.database_url, "default_transaction_isolation = 'repeatable read'")
    finding = examine()["isolation"]
    assert finding.verdict is Verdict.OK
    assert finding.found.startswith("read committed")
    assert finding.found.endswith("repeatable read")


@on_sqlite
def test_sqlite_without_its_log(examine: Examine, tmp_path: Path) -> None:
    """Where SQLite cannot keep a write-ahead log, the doctor fails."""
    (tmp_path / "other.db").touch()
    finding = examine(database_url=f"sqlite:///file:{tmp_path}/other.db?vfs=unix-dotfile&uri=true")[
        "durability"
    ]
    assert finding.verdict is Verdict.FAIL
    assert "journal_mode delete" in finding.found


@on_postgresql
def test_postgresql_that_forgets(app: Flask, settings: Settings, examine: Examine) -> None:
    """synchronous_commit off fails; local is a warning."""
    verdicts = {"off": Verdict.FAIL, "local": Verdict.WARN, "on": Verdict.OK}
    for value, verdict in verdicts.items():
        preset(settings.database_url, f"synchronous_commit = {value}")
        assert examine()["durability"].verdict is verdict


@on_postgresql
def test_a_forgotten_transaction(
    app: Flask, settings: Settings, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that keeps what was replaced from being tidied up is told of, once it has been open for long."""
    monkeypatch.setattr(postgresql, "LONG", 0.2)
    engine = create_engine(settings.database_url, isolation_level="REPEATABLE READ")
    with engine.connect() as forgotten:
        forgotten.execute(text("SELECT count(*) FROM customer"))
        time.sleep(0.3)
        finding = examine()["transactions"]
        assert finding.verdict is Verdict.WARN
        assert finding.found == "one has been open for 0.0 hours"
    engine.dispose()
    assert examine()["transactions"].verdict is Verdict.OK


@on_postgresql
def test_another_encoding(settings: Settings, examine: Examine) -> None:
    """A database that cannot hold Japanese fails."""
    url = new_database(settings.database_url, "latin", "template0 ENCODING 'LATIN1' LOCALE 'C'")
    findings = examine(database_url=url)
    assert findings["encoding"].verdict is Verdict.FAIL
    assert "at none" in findings["migrations"].found


def test_disk() -> None:
    """Below a gibibyte it warns, below a hundred mebibytes it fails."""
    assert sqlite.disk(1024 * MIB).verdict is Verdict.OK
    assert sqlite.disk(1023 * MIB).verdict is Verdict.WARN
    assert sqlite.disk(100 * MIB).verdict is Verdict.WARN
    assert sqlite.disk(99 * MIB).verdict is Verdict.FAIL


def test_file_system() -> None:
    """The nearest mount point above a folder says what it is on."""
    mounts = (
        "/dev/vda / ext4 rw 0 0\n"
        "nas:/shop /srv/shop nfs4 rw 0 0\n"
        "/dev/vdb /srv/shop/fast xfs rw 0 0\n"
        "nas:/x /srv/two\\040words cifs rw 0 0\n"
    )
    assert sqlite.file_system(Path("/srv"), mounts) == "ext4"
    assert sqlite.file_system(Path("/srv/shop/instance"), mounts) == "nfs4"
    assert sqlite.file_system(Path("/srv/shop/fast/instance"), mounts) == "xfs"
    assert sqlite.file_system(Path("/srv/two words"), mounts) == "cifs"
    assert sqlite.file_system(Path("/srv"), "") == ""


def test_shared_folders(tmp_path: Path) -> None:
    """Over a network SQLite loses sales; of what a virtual machine shares with its host nobody knows."""
    verdicts = {
        "ext4": Verdict.OK,
        "overlay": Verdict.OK,
        "": Verdict.OK,
        "fakeowner": Verdict.WARN,
        "virtiofs": Verdict.WARN,
        "fuse.grpcfuse": Verdict.WARN,
        "tmpfs": Verdict.WARN,
        "nfs4": Verdict.FAIL,
    }
    for kind, verdict in verdicts.items():
        assert sqlite.place(tmp_path, kind).verdict is verdict


@on_sqlite
def test_a_file_that_others_may_open(examine: Examine, settings: Settings, tmp_path: Path) -> None:
    """What buyers hold is the shop's alone."""
    assert examine()["file"].verdict is Verdict.OK
    (tmp_path / "shop.db").chmod(0o644)
    assert examine()["file"].verdict is Verdict.WARN


@on_sqlite
def test_it_makes_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, http: requests.Session
) -> None:
    """Neither a database nor a folder for one, or for the metrics."""
    monkeypatch.setattr(Flask, "auto_find_instance_path", lambda app: str(tmp_path / "instance"))
    changed = {"database_url": "sqlite:///storefront.db", "metrics_token": SecretStr("token")}
    list(doctor.examine(settings.model_copy(update=changed), http))
    assert not (tmp_path / "instance").exists()


@on_sqlite
@pytest.mark.parametrize(
    ("off", "verdict"),
    [(0, Verdict.OK), (-5, Verdict.WARN), (5, Verdict.FAIL), (-12, Verdict.FAIL), (12, Verdict.FAIL)],
)
def test_the_platforms_clock(examine: Examine, http: requests.Session, off: float, verdict: Verdict) -> None:
    """Two seconds behind us are a warning; ten, with the usual skew, or two ahead of us are a failure."""
    http.mount(PLATFORM, Wire(clock_of(seconds=off)))
    assert examine()["platform"].verdict is verdict


@on_sqlite
def test_a_platform_without_a_clock(examine: Examine, http: requests.Session) -> None:
    """No Date is a warning, nonsense as well, no answer a failure."""
    for date in ("", "yesterday"):
        http.mount(PLATFORM, Wire(Response("", headers={"Date": date} if date else {})))
        assert examine()["platform"].verdict is Verdict.WARN
    silent = Wire(clock_of())
    silent.broken = requests.ConnectTimeout("no answer")
    http.mount(PLATFORM, silent)
    finding = examine()["platform"]
    assert finding.verdict is Verdict.FAIL
    assert "ConnectTimeout" in finding.found


@on_sqlite
def test_another_shop_at_our_address(examine: Examine, http: requests.Session, settings: Settings) -> None:
    """A storefront with another key is not this one, and a redirect is no answer."""
    other = create_app(
        settings.model_copy(update={"secret_key": SecretStr("the secret of somebody else's shop")})
    )
    http.mount(SHOP, Wire(other))
    assert "another storefront" in examine()["public URL"].found
    http.mount(SHOP, Wire(Response("", 301, {"Location": "https://shop.test/healthz"})))
    assert "leads on to https://shop.test/healthz" in examine()["public URL"].found
    http.mount(SHOP, Wire(Response("ok\n")))
    assert "something else" in examine()["public URL"].found


@on_sqlite
def test_a_host_that_is_a_step_behind(examine: Examine, http: requests.Session, settings: Settings) -> None:
    """While a key changes, a host with the other one is this shop; that it changes is not forgotten."""
    old, new = (SecretStr(f"the {word} key, of 32 characters or more") for word in ("old", "new"))
    behind = settings.model_copy(update={"secret_key": old, "secret_key_previous": new})
    http.mount(SHOP, Wire(create_app(behind)))
    findings = examine(secret_key=new, secret_key_previous=old)
    assert findings["public URL"].verdict is Verdict.OK
    assert findings["rotation"].verdict is Verdict.WARN
    assert f"{PREFIX}SECRET_KEY_PREVIOUS" in findings["rotation"].found
    assert "another storefront" in examine(secret_key=new)["public URL"].found


HOUR = timedelta(hours=1)


@on_sqlite
@pytest.mark.parametrize(
    ("made", "trusted", "found", "advice"),
    [
        ({}, False, "self-signed certificate", "REQUESTS_CA_BUNDLE"),
        ({"until": -HOUR}, True, "certificate has expired", "has to be renewed"),
        ({"since": HOUR}, True, "certificate is not yet valid", "clock"),
        ({"host": "127.0.0.2"}, True, "IP address mismatch", "has to be for this address"),
    ],
)
@pytest.mark.parametrize(
    ("setting", "check"),
    [("public_url", "public URL"), ("mixi_point_url", "platform"), ("mixi_confirm_url", "confirming")],
)
def test_what_is_wrong_with_a_certificate(
    examine: Examine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    made: dict[str, Any],
    trusted: bool,
    found: str,
    advice: str,
    setting: str,
    check: str,
) -> None:
    """It is named, for the shop's address and the platform's, with what to do."""
    file = tmp_path / "host.pem"
    hostile.write_certificate(file, **made)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    with hostile.point_api(file) as api:
        finding = examine(**{setting: f"https://{hostile.HOST}:{api.port}"})[check]
    assert finding.verdict is Verdict.FAIL
    assert found in finding.found
    assert advice in finding.advice


@on_sqlite
def test_a_server_without_tls(examine: Examine) -> None:
    """Plain http where https is written is called that."""

    def answer(listener: socket.socket) -> None:
        with listener.accept()[0] as line:
            line.recv(1)
            line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server((hostile.HOST, 0)) as listener:
        Thread(target=answer, args=(listener,), daemon=True).start()
        finding = examine(public_url=f"https://{hostile.HOST}:{listener.getsockname()[1]}")["public URL"]
    assert "no TLS" in finding.found


@on_sqlite
def test_a_platform_behind_https(examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where payments are confirmed is asked for itself when it is another place than where they are made."""
    hostile.write_certificate(tmp_path / "host.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "host.pem"))
    with hostile.point_api(tmp_path / "host.pem") as api:
        assert examine(mixi_confirm_url=api.address)["confirming"].verdict is Verdict.OK
    assert "confirming" not in examine()


@on_sqlite
def test_https(examine: Examine) -> None:
    """An address that others can listen to fails, and is named; this very machine needs no certificate."""
    private = {
        "public_url": "https://shop.test",
        "mixi_point_url": "https://platform.test/atom",
        "mixi_confirm_url": "https://platform.test/atom",
    }
    here = dict(zip(private, ("http://127.0.0.1:9", "http://localhost/", "http://[::1]/"), strict=True))
    assert examine(**private)["https"].verdict is Verdict.OK
    assert examine(**here)["https"].verdict is Verdict.OK
    for name, address in (
        ("public_url", "http://shop.test"),
        ("mixi_confirm_url", "http://platform.test/atom"),
    ):
        finding = examine(**{**private, name: address})["https"]
        assert finding.verdict is Verdict.FAIL
        assert f"{PREFIX}{name.upper()} is http" in finding.found
    finding = examine(**{**private, "mixi_point_url": "http://platform.test/atom"})["https"]
    assert finding.verdict is Verdict.WARN  # mixi's own address is one
    assert "the callback's word travels there" in finding.found


def test_the_mark_gives_nothing_away(app: Flask, settings: Settings) -> None:
    """/healthz says ok and sixteen characters that do not contain the key."""
    answer = app.test_client().get("/healthz")
    assert answer.text == "ok\n"
    mark = answer.headers["X-Storefront-Mark"]
    assert len(mark) == 16
    assert mark not in settings.secret_key.get_secret_value().encode().hex()


@on_sqlite
def test_addresses(examine: Examine) -> None:
    """Callback and finish are told; the container belongs to the platform."""
    assert examine()["callback"].found.startswith(f"{SHOP}/mixi/callback/…")
    assert examine()["finish"].verdict is Verdict.OK
    assert examine(mixi_platform_hosts=("elsewhere.test",))["container"].verdict is Verdict.WARN
    assert examine(mixi_container_url="http://platform.test:8080/ma/1/")["container"].verdict is Verdict.WARN
    finding = examine(mixi_container_url=f"{PLATFORM}/ma/999/")["container"]
    assert finding.verdict is Verdict.WARN
    assert f"{PREFIX}MIXI_APP_ID" in finding.advice


@on_sqlite
def test_threads_for_callbacks(examine: Examine) -> None:
    """More than a quarter of the threads with mixi is a warning: a callback may find none."""
    assert examine(threads=16, mixi_calls_at_once=4)["threads"].verdict is Verdict.OK
    finding = examine(threads=15, mixi_calls_at_once=4)["threads"]
    assert finding.verdict is Verdict.WARN
    assert f"{PREFIX}MIXI_CALLS_AT_ONCE" in finding.found + finding.advice


@on_sqlite
def test_other_secrets(examine: Examine, settings: Settings) -> None:
    """Every secret that is made is no repetition, and none that others know is the shop's own key."""
    made = [name for name, field in Settings.model_fields.items() if config.is_made(field)]
    known = ["metrics_token", *(one.field for room in rims() for one in room.secrets)]
    wrong = dict.fromkeys(made, SecretStr("x" * 40))
    shared = dict.fromkeys(known, settings.secret_key)
    for name, secret in [*wrong.items(), *shared.items()]:
        finding = examine(**{name: secret})["secrets"]
        assert finding.verdict is Verdict.FAIL
        assert f"{PREFIX}{name.upper()}" in finding.found


@on_sqlite
def test_quotes(examine: Examine) -> None:
    """A setting that kept the quotes it was written in is named; one quote alone belongs to it."""
    for name, quoted in (
        ("secret_key", SecretStr("'thirty-two characters, or rather more'")),
        ("mixi_consumer_key", '"key"'),
        ("mixi_consumer_secret", SecretStr('"secret"')),
    ):
        finding = examine(**{name: quoted})["quotes"]
        assert finding.verdict is Verdict.WARN
        assert f"{PREFIX}{name.upper()} " in finding.found
    assert "quotes" not in examine(mixi_consumer_key="'key", mixi_consumer_secret=SecretStr("'"))


BY_SETTING = {
    "public_url": "public URL",
    "mixi_point_url": "platform",
    "mixi_confirm_url": "confirming",
    "mixi_certificate_url": "certificates",
}


@on_sqlite
@pytest.mark.parametrize("setting", BY_SETTING)
def test_certificates_that_are_not_there(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    """A missing or wrong file of REQUESTS_CA_BUNDLE is named, and no server is blamed for it."""
    (tmp_path / "none.pem").write_text("none")
    for file in ("nope.pem", "none.pem"):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / file))
        path = "/{channel}/{name}.pem" if setting == "mixi_certificate_url" else ""
        with socket.create_server((hostile.HOST, 0)) as listener:
            port = listener.getsockname()[1]
            finding = examine(**{setting: f"https://{hostile.HOST}:{port}{path}"})[BY_SETTING[setting]]
        assert str(tmp_path / file) in finding.found
        assert "REQUESTS_CA_BUNDLE" in finding.advice


@on_sqlite
def test_a_locked_database(examine: Examine, settings: Settings, tmp_path: Path) -> None:
    """Where somebody else writes and does not end, the doctor says that, and not to ask the doctor."""
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        finding = examine()["sales"]
    assert finding.verdict is Verdict.FAIL
    assert "storefront doctor" not in str(finding)
    assert "another program" in finding.advice


@on_sqlite
@pytest.mark.parametrize("kind", ["a folder", "no database", "a table is gone"])
def test_nothing_to_start(examine: Examine, settings: Settings, tmp_path: Path, kind: str) -> None:
    """SQLite is no server: what is no database, or no longer whole, is called that."""
    place = tmp_path / "other"
    if kind == "a folder":
        place.mkdir()
    elif kind == "no database":
        place.write_text("no database " * 100)
    else:
        shutil.copy(tmp_path / "shop.db", place)
        with closing(sqlite3.connect(place)) as broken:
            broken.execute("DROP TABLE item")
    finding = examine(database_url=f"sqlite:///{place}")["database"]
    assert finding.verdict is Verdict.FAIL
    assert "start it" not in finding.advice
    assert finding.advice


@on_sqlite
def test_certificates(examine: Examine, pair: KeyPair) -> None:
    """A channel for which nothing of mixi's can be found is a warning that names it."""
    held = {pair.name: pair.certificate}
    assert examine()["certificates"].verdict is Verdict.OK
    finding = examine(mixi_certificates={"lifecycle": held})["certificates"]
    assert finding.verdict is Verdict.WARN
    assert "for pc, smartphone:" in finding.found


@on_sqlite
def test_addresses_of_certificates(examine: Examine, http: requests.Session) -> None:
    """Somebody answers where mixi publishes them, be it that there is none of that name."""
    url = "https://mixi.test/{channel}/{name}.pem"
    published = Wire(Response("", 404))
    http.mount("https://mixi.test", published)
    assert examine(mixi_certificates={}, mixi_certificate_url=url)["certificates"].verdict is Verdict.OK
    published.broken = requests.exceptions.SSLError("certificate has expired")
    finding = examine(mixi_certificates={}, mixi_certificate_url=url)["certificates"]
    assert finding.verdict is Verdict.FAIL
    assert "SSLError" in finding.found
    assert "STOREFRONT_MIXI_CERTIFICATE_URL" in finding.advice


@on_sqlite
def test_the_catalogue(examine: Examine, settings: Settings, tmp_path: Path) -> None:
    """A price outside the platform's range fails with its line, a missing drawing with its name."""
    file = tmp_path / "catalog.yaml"
    goods = settings.catalog.read_text()
    file.write_text(goods.replace("{mixi: 10,", "{mixi: 9,"))
    finding = examine(catalog=file)["catalogue"]
    assert finding.verdict is Verdict.FAIL
    assert "9 is not within 10 to 10000 points" in finding.found
    file.write_text(goods.replace("emptybag.svg", "crumbs.svg", 1))
    assert "crumbs.svg" in examine(catalog=file)["art"].found


def test_what_is_outstanding(app: Flask, container: Container, examine: Examine) -> None:
    """Payments long unconfirmed, buyers gone and holdings below zero are warnings that name the command."""
    assert examine()["unconfirmed"].verdict is Verdict.OK
    code = container.start("loaf")
    assert container.callback(code).text == "OK"
    assert examine()["unconfirmed"].verdict is Verdict.OK  # only just now
    now = datetime.now(UTC)
    with app.app_context():
        hanako = customers.identify("mixi", HANAKO, now)
        with transaction() as session:
            session.execute(update(Payment).values(ok_at=now - timedelta(days=2)))
            session.execute(update(Customer).values(removed_at=now))
            inventory.take_back(session, hanako.id, "loaf", "one", now)
            inventory.take_back(session, hanako.id, "loaf", "two", now)
        db.session.remove()
    findings = examine()
    for check in ("unconfirmed", "removed", "negative"):
        assert findings[check].verdict is Verdict.WARN
        assert findings[check].found.startswith("1 ")
        assert "storefront outstanding" in findings[check].advice


def test_purchases_that_were_tests(
    app: Flask, container: Container, api: ScriptedApi, examine: Examine
) -> None:
    """Sales that mixi counts as tests are named with the setting that is missing; so is one left over."""
    assert examine()["tests"].verdict is Verdict.OK
    code = container.start("loaf")
    assert container.callback(code).text == "OK"
    api.body = (
        '<entry xmlns="http://www.w3.org/2005/Atom" xmlns:point="http://mixi.jp/atom/ns#point"><id>'
        f'{code}</id><content><point:status is_test="true">complete</point:status></content></entry>'
    ).encode()
    container.get("/inventory")
    finding = examine()["tests"]
    assert (finding.verdict, finding.found[0]) == (Verdict.WARN, "1")
    assert "STOREFRONT_MIXI_TEST_OWNERS=*" in finding.advice
    assert examine(mixi_test_owners=("*",))["tests"].verdict is Verdict.WARN


def test_translations(tmp_path: Path) -> None:
    """A text that was translated and not compiled is found; the shipped ones are compiled."""
    shipped = PACKAGE / "translations"
    assert house.uncompiled(shipped) == []
    copy = tmp_path / "translations"
    shutil.copytree(shipped, copy)
    with (copy / "ja" / "LC_MESSAGES" / "messages.po").open("a") as source:
        source.write('\nmsgid "A lighthouse"\nmsgstr "灯台"\n')
    assert house.uncompiled(copy) == ["ja"]
    (copy / "ja" / "LC_MESSAGES" / "messages.mo").unlink()
    assert house.uncompiled(copy) == ["ja"]


@on_sqlite
@pytest.mark.parametrize(
    ("line", "found"),
    [('msgid "%(count)s ropes"\nmsgstr "綱"', "the values in '綱'"), ("=======", "not a catalogue")],
)
def test_translations_that_break_pages(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, found: str
) -> None:
    """A translation without the values of its text is named, and so is a file that is no catalogue."""
    shutil.copytree(PACKAGE / "translations", tmp_path / "translations")
    with (tmp_path / "translations" / "ja" / "LC_MESSAGES" / "messages.po").open("a") as source:
        source.write(f"\n{line}\n")
    monkeypatch.setattr(house, "PACKAGE", tmp_path)
    finding = examine()["translations"]
    assert finding.verdict is Verdict.FAIL
    assert found in finding.found


@on_sqlite
@pytest.mark.long
def test_it_does_not_wait_for_ever(examine: Examine, http: requests.Session) -> None:
    """A platform that listens and says nothing is given up."""
    http.trust_env = False
    with socket.create_server(("127.0.0.1", 0)) as silent, hostile.hangs_up_later(silent):
        finding = examine(mixi_point_url=f"http://127.0.0.1:{silent.getsockname()[1]}/@me")["platform"]
    assert "ReadTimeout" in finding.found
