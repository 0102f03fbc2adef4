"""Is everything there that the shop depends on? A line for each thing, and what to do about it."""

import os
import shutil
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import requests
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from flask import Flask
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from urllib3.exceptions import HTTPError

from storefront import PRICE_RULES, clock, config, create_app, health
from storefront.clock import SKEW_SECONDS
from storefront.config import PACKAGE, PREFIX, Settings, SettingsError
from storefront.db import db, transaction
from storefront.external import facts
from storefront.external.channel import channel as door_out
from storefront.external.registration import forbidden
from storefront.mixi import payments, questions
from storefront.mixi.channel import EVERYBODY, channel
from storefront.mixi.client import session
from storefront.mixi.payments import LISTENS
from storefront.shop import books as kept
from storefront.shop import catalog_file, inventory
from storefront.shop.books import Miscount
from storefront.shop.catalog_file import CatalogError
from storefront.shop.devices import Device

MIB = 1024 * 1024
SCARCE = 1024 * MIB  # free bytes beside SQLite: time to make room
FULL = 100 * MIB  # and here sales would soon be refused
PATIENCE = (2.0, 3.0)  # seconds to reach a server and to hear from it: five together
# A name that is none comes out of requests as an error of what lies below it.
UNREACHABLE = (requests.RequestException, HTTPError, OSError)
DATABASE_CLOCK_SECONDS = SKEW_SECONDS / 2  # then two hosts of one database are no further apart than that
# A callback is in vain once its timestamp is ten seconds old; two of them are for the work.
WORK_SECONDS = 2.0
OVERDUE = timedelta(days=1)  # the finish page, moments after a purchase, confirms all but a few
OWN_CA = (
    "name the file of your own CA in REQUESTS_CA_BUNDLE, or let the server send the certificates in between"
)
# By OpenSSL's codes (source: its manual, X509_STORE_CTX_get_error).
CERTIFICATES = {
    9: "compare this host's clock with a time server",
    10: "it has to be renewed",
    18: OWN_CA,
    19: OWN_CA,
    20: OWN_CA,
    21: OWN_CA,
    62: "it has to be for this name, or the setting names another host",
    64: "it has to be for this address, or name the host by its name",
}
SHORT_SECRET = 8  # different characters; of 32 random hex digits there are hardly ever so few
# SQLite's log needs memory shared between processes, which a file system over a network cannot give.
REMOTE = {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """What a check found and, unless all is well, what to do."""

    verdict: Verdict
    check: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.verdict.value:<4}  {self.check:<13}  {self.found}" + (
            f"; {self.advice}" if self.advice else ""
        )


Check = Callable[[Settings, requests.Session], Iterator[Finding]]


def examine(settings: Settings | None = None, http: requests.Session | None = None) -> Iterator[Finding]:
    """Every check in turn, the quick ones first; of the environment, unless `settings` are given."""
    http = http or session()
    try:
        settings = settings or config.read()
        app = create_app(settings, http)
    except SettingsError as error:
        for line in str(error).splitlines()[1:]:  # below a heading
            yield _fail("settings", line.strip(), "see Settings in the README")
        return
    except (SQLAlchemyError, ImportError) as error:
        yield _fail(
            "database",
            f"{PREFIX}DATABASE_URL cannot be used ({type(error).__name__})",
            "write sqlite:///FILE, or postgresql+psycopg://… with storefront[postgres] installed",
        )
        return
    yield _ok("settings", "complete")
    for check in CHECKS:
        yield from _inside(app, check, settings, http)
    with app.app_context():
        db.engine.dispose()


def books(app: Flask, *, rebuild: bool) -> Iterator[Finding]:
    """What is kept of sales, held against all grants; or written anew, with what was wrong."""
    with app.app_context():
        if rebuild:
            with transaction() as session:
                differences = kept.rebuild(session)
        else:
            differences = kept.check(db.session())
    found = [
        *(("stock", _miscount(one)) for one in differences.stocks),
        *(
            ("below zero", f"{one.channel} {one.external_id} has {one.quantity} of {one.item_id}, unseen")
            for one in differences.unseen
        ),
    ]
    for check, words in found:
        if rebuild:
            yield _ok(check, f"{words}; put right")
        else:
            yield _fail(check, words, "run `storefront doctor --books --rebuild`")
    if not found:
        yield _ok("books", "what is kept is what the grants say")


def file_system(folder: Path, mounts: str) -> str:
    """The type of the file system that holds a folder, by the text of /proc/mounts; empty if unknown."""
    lines = (line.split() for line in mounts.splitlines())
    found = {Path(point.replace(r"\040", " ")): kind for _, point, kind, *_ in lines}
    return next((found[place] for place in (folder, *folder.parents) if place in found), "")


def disk(free: int) -> Finding:
    """Whether so many free bytes are enough for SQLite to sell on."""
    found = f"{free // MIB:,} MiB free beside the database"
    if free < FULL:
        return _fail("disk", found, "make room now: when it is full, every sale is refused")
    if free < SCARCE:
        return _warn("disk", found, "make room before it is full")
    return _ok("disk", found)


def uncompiled(folder: Path) -> list[str]:
    """The languages whose pages do not say what their messages.po says."""
    sources = sorted(folder.glob("*/LC_MESSAGES/messages.po"))
    return [source.parent.parent.name for source in sources if not _is_compiled(source)]


def _miscount(one: Miscount) -> str:
    kept, granted = (f"{sold} sold, {tested} as tests" for sold, tested in (one.kept, one.granted))
    return f"{one.item_id} has {kept}; the grants say {granted}"


def _inside(app: Flask, check: Check, settings: Settings, http: requests.Session) -> list[Finding]:
    with app.app_context():
        return list(check(settings, http))


def _secrets(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    secrets = {
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "MIXI_CONSUMER_SECRET": settings.mixi_consumer_secret.get_secret_value(),
    }
    key, consumer = secrets.values()
    if _is_repetitive(key):
        found = f"{PREFIX}SECRET_KEY repeats itself, and whoever guesses it can write forms for any buyer"
        new = "python3 -c 'import secrets; print(secrets.token_hex(32))'"
        yield _fail("secrets", found, f"make a new one: {new}")
    if not consumer.strip():
        yield _fail(
            "secrets",
            f"{PREFIX}MIXI_CONSUMER_SECRET is blank",
            "set it to the consumer secret of the application's RESTful API",
        )
    if consumer == key:
        yield _fail(
            "secrets",
            f"{PREFIX}SECRET_KEY is the consumer secret",
            "make a key of its own: mixi knows the other one",
        )
    for name in ("SECRET_KEY", "MIXI_CONSUMER_SECRET", "EXTERNAL_SECRET"):
        if getattr(settings, f"{name.lower()}_previous"):
            advice = "take it out when the rotation is over, see the README"
            yield _warn("rotation", f"{PREFIX}{name}_PREVIOUS still verifies", advice)
    if consumer.strip() and not _is_repetitive(key) and consumer != key:
        yield _ok("secrets", f"the key has {len(key)} characters, the consumer secret {len(consumer)}")


def _is_repetitive(secret: str) -> bool:
    period = next(n for n in range(1, len(secret) + 1) if secret.startswith(secret[n:]))
    return period <= len(secret) // 2 or len(set(secret)) < SHORT_SECRET


def _database(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    try:
        if db.engine.dialect.name == "sqlite":
            yield from _sqlite()
        else:
            yield from _postgresql()
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines() or [""]
        yield _fail(
            "database",
            f"does not answer: {type(error).__name__}, {cause[0]}",
            f"start it, or correct {PREFIX}DATABASE_URL",
        )


def _sqlite() -> Iterator[Finding]:
    name = (db.engine.url.database or "").removeprefix("file:")
    if name in ("", ":memory:"):
        yield _fail("database", "SQLite in memory forgets every sale", f"name a file in {PREFIX}DATABASE_URL")
        return
    file = Path(name)
    if not file.exists():
        yield _fail("database", f"there is no {file}", "run `storefront upgrade`, or restore a backup")
        return
    with db.engine.connect() as connection:
        version = connection.scalar(text("SELECT sqlite_version()"))
        yield _ok("database", f"SQLite {version}, {file}")
        yield from _migrated(connection)
        yield _pragmas(connection)
    yield _place(file.resolve().parent)
    yield disk(shutil.disk_usage(file.parent).free)


def _pragmas(connection: Connection) -> Finding:
    mode, durability, keys = (
        connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
    )
    found = f"journal_mode {mode}, synchronous {durability}, foreign_keys {keys}"
    # 2 is FULL, 3 is EXTRA (source: SQLite, PRAGMA synchronous)
    if mode == "wal" and durability in (2, 3) and keys == 1:
        return _ok("durability", found)
    advice = (
        "they must be wal, 2 and 1, and the shop asks for that: put the file on a local disk, "
        f"and take options out of {PREFIX}DATABASE_URL"
    )
    return _fail("durability", found, advice)


def _place(folder: Path) -> Finding:
    mounts = Path("/proc/mounts")
    kind = file_system(folder, mounts.read_text() if mounts.exists() else "")
    if kind in REMOTE:
        return _fail(
            "folder",
            f"{folder} is on {kind}, over which SQLite can lose sales",
            "move the database to a local disk, or to PostgreSQL",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        return _fail("folder", f"{folder} cannot be written", "let the shop's user write there")
    return _ok("folder", f"{folder} is writable" + (f", on {kind}" if kind else ""))


def _postgresql() -> Iterator[Finding]:
    with db.engine.connect() as connection:
        version = connection.scalar(text("SHOW server_version"))
        size = connection.scalar(text("SELECT pg_database_size(current_database())")) or 0
        yield _ok("database", f"PostgreSQL {version}, {size // MIB:,} MiB")
        yield from _migrated(connection)
        yield _commits(connection)
        yield _isolation(connection)
        yield _encoding(connection)
        yield _database_clock(connection)


def _commits(connection: Connection) -> Finding:
    names = ("synchronous_commit", "fsync", "full_page_writes")
    values = {name: connection.scalar(text(f"SHOW {name}")) for name in names}
    found = ", ".join(f"{name} {value}" for name, value in values.items())
    commit = values.pop("synchronous_commit")
    if commit == "off" or "off" in values.values():
        return _fail(
            "durability",
            found,
            "turn each on: a crash would forget sales that mixi has been told are complete",
        )
    if commit not in ("on", "remote_apply"):
        return _warn("durability", found, "set synchronous_commit to on, or a standby may miss sales")
    return _ok("durability", found)


def _isolation(connection: Connection) -> Finding:
    ours, theirs = (
        connection.scalar(text(f"SHOW {name}"))
        for name in ("transaction_isolation", "default_transaction_isolation")
    )
    return _ok("isolation", f"{ours}, as the shop asks for; the server by itself would use {theirs}")


def _encoding(connection: Connection) -> Finding:
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        advice = "make a new one: createdb --encoding=UTF8 --template=template0"
        return _fail("encoding", f"the database is in {encoding}", advice)
    return _ok("encoding", "UTF8")


def _database_clock(connection: Connection) -> Finding:
    before = clock.now()
    theirs: datetime = connection.scalars(text("SELECT clock_timestamp()")).one()
    off = _seconds_off(theirs, before, clock.now())
    found = f"the database server's is {off:+.1f} s from ours"
    if abs(off) > DATABASE_CLOCK_SECONDS:
        return _warn("clock", found, "let both hosts ask a time server")
    return _ok("clock", found)


def _migrated(connection: Connection) -> Iterator[Finding]:
    found, head = health.revision(connection), health.head()
    if found != head:
        yield _fail(
            "migrations",
            f"the database is at {found or 'none'}, this code at {head}",
            "run `storefront upgrade` before serving",
        )
        return
    yield _ok("migrations", f"at {head}, the newest")
    yield from _outstanding()
    yield from _tests()


def _outstanding() -> Iterator[Finding]:
    show = "see `storefront outstanding`"
    waiting = payments.unconfirmed()
    overdue = [one for one in waiting if one.payment.ok_at and one.payment.ok_at < clock.now() - OVERDUE]
    removed = [one for one in waiting if one.removed_at]
    below = inventory.negatives()
    yield _count(
        "unconfirmed", len(overdue), "payments that mixi has not confirmed for more than a day", show
    )
    yield _count("removed", len(removed), "unconfirmed payments of buyers who removed the app", show)
    yield _count("negative", len(below), "holdings below zero", show)


def _tests() -> Iterator[Finding]:
    """Whether shop and mixi agree on which purchases are tests, as far as the shop can know."""
    name = f"{PREFIX}MIXI_TEST_OWNERS"
    found = questions.tests_found(clock.now() - OVERDUE)
    if EVERYBODY in channel().test_owners:
        yield _warn(
            "tests", "every purchase is one", f"take {EVERYBODY} out of {name} when the app is public"
        )
    elif found:
        what = f"{found} purchases of the last day were booked as sales and were tests at mixi"
        yield _warn("tests", what, f"while the app is in development there, set {name}={EVERYBODY}")
    else:
        yield _ok("tests", "no sale of the last day was a test at mixi")


def _count(check: str, number: int, what: str, show: str) -> Finding:
    return _warn(check, f"{number} {what}", show) if number else _ok(check, f"no {what}")


def _platform_clock(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    parts = urlsplit(settings.mixi_point_url)
    address = f"{parts.scheme}://{parts.netloc}/"
    before = clock.now()
    try:
        with http.head(address, timeout=PATIENCE, allow_redirects=False) as answer:
            after, stamp = clock.now(), answer.headers.get("Date", "")
    except UNREACHABLE as error:
        why, advice = _why(error)
        correct = f"open the way out, or correct {PREFIX}MIXI_POINT_URL"
        found = f"{address} does not answer ({why})"
        yield _fail("platform", found, f"no payment can be made without it: {advice or correct}")
        return
    theirs = _moment(stamp)
    if theirs is None:
        yield _warn("platform", f"{address} sends no Date", "compare our clock with a time server by hand")
        return
    # A Date names a whole second; on average it is half over.
    off = _seconds_off(theirs + timedelta(seconds=0.5), before, after)
    found, advice = f"the clock of {address} is {off:+.1f} s from ours", "let this host ask a time server"
    if abs(off) > settings.mixi_clock_skew + LISTENS - WORK_SECONDS:
        yield _fail("platform", found, f"{advice}: callbacks would be refused as late or badly signed")
    elif off > settings.mixi_clock_skew and abs(off) > SKEW_SECONDS:
        more = f"or raise {PREFIX}MIXI_CLOCK_SKEW: start addresses would be refused as signed in the future"
        yield _fail("platform", found, f"{advice}, {more}")
    elif abs(off) > SKEW_SECONDS:
        yield _warn("platform", found, advice)
    else:
        yield _ok("platform", found)


def _moment(stamp: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(stamp)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _seconds_off(theirs: datetime, before: datetime, after: datetime) -> float:
    """How far their clock runs ahead of ours, read at some moment between two of ours."""
    return (theirs - (before + (after - before) / 2)).total_seconds()


def _public_url(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    address = f"{settings.public_url}/healthz"
    keys = (settings.secret_key, settings.secret_key_previous)  # the host that answers may be a step behind
    correct = f"correct {PREFIX}PUBLIC_URL, or what stands in front of the shop"
    try:
        with http.get(address, timeout=PATIENCE, allow_redirects=False, stream=True) as answer:
            status, mark = answer.status_code, answer.headers.get(health.MARK)
            location = answer.headers.get("Location", "")
    except UNREACHABLE as error:
        why, advice = _why(error)
        found = f"{address} does not answer ({why})"
        yield _fail("public URL", found, advice or f"start the shop, open the way in, or {correct}")
        return
    if 300 <= status < 400:
        yield _fail(
            "public URL",
            f"{address} leads on to {location}",
            f"{correct}: signatures hold for one address only",
        )
    elif mark is None:
        yield _fail("public URL", f"{address} is answered by something else (status {status})", correct)
    elif mark not in (health.mark(settings, key) for key in keys if key):
        advice = f"{correct}; every host needs the same {PREFIX}SECRET_KEY and {PREFIX}PUBLIC_URL"
        yield _fail("public URL", f"{address} is answered by another storefront", advice)
    else:
        yield _ok("public URL", f"{address} is this shop")


def _confirming(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    parts = urlsplit(settings.mixi_confirm_url)
    address = f"{parts.scheme}://{parts.netloc}/"
    if settings.mixi_point_url.startswith(address):
        return  # that has been asked
    try:
        with http.head(address, timeout=PATIENCE, allow_redirects=False):
            yield _ok("confirming", f"{address} answers")
    except UNREACHABLE as error:
        why, advice = _why(error)
        found = f"{address} does not answer ({why})"
        yield _fail("confirming", found, advice or f"open the way out, or correct {PREFIX}MIXI_CONFIRM_URL")


def _why(error: Exception) -> tuple[str, str]:
    """Why nothing was heard; of a certificate what is wrong with it, and what to do about that."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate: {cause.verify_message}", CERTIFICATES.get(cause.verify_code, "")
        if isinstance(cause, ssl.SSLError):
            return f"no TLS: {cause.reason or cause}", ""
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__, ""


def _https(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    exposed = config.exposed(settings)
    for name in exposed:
        found = f"{name} is http: what is said there can be read and changed on the way"
        yield _fail("https", found, "let a proxy with a certificate stand there, and write https://")
    if not exposed:
        yield _ok("https", "every address that needs it has it, or is on this very machine")


def _addresses(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    mixi_channel = channel()
    yield _ok("callback", f"{mixi_channel.callback_url}/…, with a word of its own for each payment")
    yield _ok("finish", mixi_channel.finish_url)
    parts = urlsplit(settings.mixi_container_url)
    if config.names(settings.mixi_container_url).isdisjoint(settings.mixi_platform_hosts):
        yield _warn(
            "container",
            f"{parts.netloc} is not in {PREFIX}MIXI_PLATFORM_HOSTS",
            "check that both name the same platform",
        )
    else:
        yield _ok("container", f"{parts.netloc} is one of the platform's hosts")


def _certificates(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    rings = channel().keys
    if settings.mixi_certificate_url:
        yield _ok("certificates", f"fetched from {settings.mixi_certificate_url}")
    elif all(rings.values()):
        yield _ok("certificates", f"held for {', '.join(rings)}")
    else:
        lacking = ", ".join(name for name, ring in rings.items() if not ring)
        found = f"none of mixi's for {lacking}: what it signs there is refused"
        yield _warn("certificates", found, f"add them to {PREFIX}MIXI_CERTIFICATES as channel:name=path")


def _catalog(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    try:
        entries = catalog_file.read(settings.catalog, PRICE_RULES)
    except CatalogError as error:
        lines = str(error).splitlines()
        more = f" (and {len(lines) - 1} more)" if lines[1:] else ""
        advice = f"mend it; `storefront catalog --check {settings.catalog}` names every line"
        yield _fail("catalogue", lines[0] + more, advice)
        return
    rules = (f"{rule.minimum} to {rule.maximum} {rule.unit}" for rule in PRICE_RULES.values())
    yield _ok("catalogue", f"{len(entries)} items, priced within {', '.join(rules)}")
    folder = config.folder("static") / "art"
    missing = sorted({entry.art for entry in entries if not (folder / entry.art).is_file()})
    if missing:
        yield _fail("art", f"{folder} lacks {', '.join(missing)}", "put the drawings there: pages need them")
    else:
        yield _ok("art", "every drawing the catalogue names is there")


def _translations(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    folder = PACKAGE / "translations"
    stale = uncompiled(folder)
    if stale:
        yield _fail("translations", f"not compiled: {', '.join(stale)}", f"run `pybabel compile -d {folder}`")
    else:
        yield _ok("translations", "compiled")


def _is_compiled(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    if not compiled.exists():
        return False
    with source.open("rb") as written, compiled.open("rb") as read:
        wanted = {one.id: one.string for one in read_po(written) if one.id and one.string and not one.fuzzy}
        return wanted == {one.id: one.string for one in read_mo(read) if one.id}


def _ok(check: str, found: str) -> Finding:
    return Finding(Verdict.OK, check, found)


def _warn(check: str, found: str, advice: str) -> Finding:
    return Finding(Verdict.WARN, check, found, advice)


def _fail(check: str, found: str, advice: str) -> Finding:
    return Finding(Verdict.FAIL, check, found, advice)


def _door_out(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    if not settings.external_provider_url:
        return
    today = facts.day(clock.now())
    closed = forbidden(facts.current(), Device.PC, door_out().site, today, on_smartphone=False)
    if closed:
        advice = "`storefront operator` prints the list; until then buyers do not see it"
        yield _warn("door out", f"closed by {closed.value}", advice)
    else:
        yield _ok("door out", f"leads to {door_out().site}, and the registration allows it")


CHECKS: tuple[Check, ...] = (
    _secrets,
    _https,
    _translations,
    _catalog,
    _addresses,
    _certificates,
    _database,
    _door_out,
    _platform_clock,
    _confirming,
    _public_url,
)
