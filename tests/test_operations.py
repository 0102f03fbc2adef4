"""What the operator needs: the book, what is outstanding, a copy that can be put back."""

import csv
import io
import re
import shutil
import subprocess
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from flask import Flask
from lxml import html
from pydantic import SecretStr
from sqlalchemy import create_engine, func, insert, select, text
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from storefront import Settings, create_app
from storefront.db import db, transaction
from storefront.mixi.payments import Payment, Status
from storefront.sandbox import clock as platform_clock
from storefront.sandbox import create_sandbox, people
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.mixi import payments as platform_payments
from storefront.sandbox.people import FIRST_STAGE
from storefront.sandbox.settings import SandboxSettings
from storefront.shop import csv_file, customers, inventory, ledger
from storefront.shop.inventory import Grant
from storefront.shop.ledger import Entry, Kind
from tests.command import environment, run, run_apart
from tests.databases import WORKER, on_postgresql, on_sqlite
from tests.demo import COMMAND
from tests.postgresql import tool
from tests.street import APP_ID, CONSUMER_KEY, CONSUMER_SECRET, HANAKO, PLATFORM, SHOP, on_first_stage
from tests.wire import Wire

NOON = datetime(2027, 1, 31, 3, tzinfo=UTC)  # in Japan


class Town:
    """The shop and the platform on either side of the wire, and people with phones."""

    def __init__(self, shop: Flask, platform: Flask) -> None:
        self.shop = shop
        self.platform = platform

    def buy(self, item: str, who: str = "hanako", decision: str = "buy") -> str:
        """From the item's page to the end of the payment screen; the payment's code."""
        return self.decide(self.start(item, who), who, decision)

    def start(self, item: str, who: str = "hanako") -> str:
        """From the item's page to the payment screen; its address."""
        phone = self.phone(who)
        page = phone.get(container(f"/items/{item}"), base_url=PLATFORM)
        form = next(
            form for form in html.fromstring(page.text).forms if "mixi%2Fpayments" in str(form.action)
        )
        fields = {str(name): str(value) for name, value in form.form_values()}
        answer = phone.post(f"/ma/{APP_ID}/{form.action}", base_url=PLATFORM, data=fields)
        return str(answer.headers["Location"])

    def decide(self, screen: str, who: str = "hanako", decision: str = "buy") -> str:
        """Press a button of the payment screen; the payment's code."""
        assert press(self.phone(who), screen, f"{screen}/{decision}").status_code == 303
        with self.platform.app_context():
            payment = platform_payments.by_token(screen.rpartition("/")[2])
        assert payment
        return payment.code

    def visit(self, path: str, who: str = "hanako") -> TestResponse:
        page: TestResponse = self.phone(who).get(container(path), base_url=PLATFORM)
        return page

    def pay_back(self, code: str) -> None:
        """The platform gives points back, and tells nobody."""
        with self.platform.app_context():
            payment = platform_payments.by_code(code)
            assert payment
            platform_payments.pay_back(payment, platform_clock.now())

    def taken(self) -> int:
        """The points that the platform's own books say it has taken from everyone."""
        with self.platform.app_context():
            return sum(user.given + user.topped_up - user.balance for user in people.everyone(FIRST_STAGE))

    def phone(self, who: str) -> Any:
        phone = on_first_stage(self.platform.test_client())
        press(phone, "/", "/phone", persona=who)
        return phone


def press(phone: Any, page: str, action: str, **values: str) -> TestResponse:
    token = html.fromstring(phone.get(page, base_url=PLATFORM).text).xpath(
        '//input[@name="form_token"]/@value'
    )[0]
    answer: TestResponse = phone.post(action, base_url=PLATFORM, data={"form_token": token, **values})
    return answer


def container(path: str) -> str:
    return f"/ma/{APP_ID}/?guid=ON&url={quote(SHOP + path, safe='')}"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As everywhere, and mika's purchases are tests."""
    return settings.model_copy(update={"mixi_test_owners": (BY_KEY["mika"].owner_id,)})


@pytest.fixture
def town(app: Flask, tmp_path: Path) -> Town:
    """Both sides, joined."""
    settings = SandboxSettings(
        public_url=PLATFORM,
        shop_url=SHOP,
        app_id=APP_ID,
        consumer_key=CONSUMER_KEY,
        consumer_secret=SecretStr(CONSUMER_SECRET),
        secret_key=SecretStr("for the tests only, never elsewhere"),
        database_url=SecretStr(f"sqlite:///{tmp_path}/sandbox.db"),
    )
    http = requests.Session()
    http.mount(SHOP, Wire(app))
    platform = create_sandbox(settings, http)
    app.extensions["http"].mount(PLATFORM, Wire(platform))
    return Town(app, platform)


def table(printed: str) -> list[dict[str, str]]:
    assert printed.startswith("\ufeff")  # else a spreadsheet takes Japanese for something else
    return list(csv.DictReader(io.StringIO(printed.removeprefix("\ufeff"))))


def enter(app: Flask, entries: list[dict[str, Any]]) -> None:
    """Many entries of hanako's."""
    with app.app_context():
        customer = customers.identify("mixi", HANAKO, NOON)
        sale = {"customer_id": customer.id, "channel": "mixi", "kind": Kind.SALE, "unit": "point"}
        with transaction() as session:
            session.execute(insert(Entry), [{**sale, "entered_at": NOON, **entry} for entry in entries])


@on_sqlite
def test_the_platforms_file_is_private(town: Town, tmp_path: Path) -> None:
    """The platform's file, too, is its owner's alone: the app's secrets are in it."""
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("sandbox.db*")} == {0o600}


def test_the_ledger_is_what_the_platform_has_taken(town: Town, settings: Settings) -> None:
    """Bought, cancelled, tested, paid back: the ledger's total is the sandbox's."""
    town.buy("excalibur", "taro")
    town.buy("excalibur", decision="cancel")
    town.buy("excalibur", "mika")
    town.buy("lantern")
    given_back = town.buy("excalibur")
    town.pay_back(given_back)
    before = sum(int(row["amount"]) for row in table(run(settings, "ledger", "--csv").stdout))
    assert before == town.taken() + 100
    town.visit("/history")  # the shop asks on its buyer's own visit
    rows = table(run(settings, "ledger", "--csv").stdout)
    assert sum(int(row["amount"]) for row in rows) == town.taken() > 100
    assert [row["kind"] for row in rows] == ["sale", "test", "sale", "sale", "refund"]
    totals = {row["kind"]: row for row in table(run(settings, "ledger", "--totals", "--csv").stdout)}
    assert int(totals["all"]["amount"]) == town.taken()
    assert totals["refund"] == {
        "kind": "refund",
        "entries": "1",
        "amount": "-100",
        "unit": "point",
        "channel": "mixi",
    }
    assert totals["void"]["entries"] == "0"


def test_every_entry_says_when_who_and_why(town: Town, settings: Settings) -> None:
    """A line has the moment in UTC, the kind, the customer in their channel, the amount and its cause."""
    code = town.buy("excalibur", "taro")
    (row,) = table(run(settings, "ledger", "--csv").stdout)
    assert datetime.fromisoformat(row.pop("entered_at")) <= datetime.now(UTC)
    assert row == {
        "kind": "sale",
        "channel": "mixi",
        "customer": BY_KEY["taro"].owner_id,
        "amount": "100",
        "unit": "point",
        "key": f"mixi:{code}",
    }
    assert f"mixi:{code}\n" in run(settings, "ledger").stdout


def test_days_are_japans(app: Flask, settings: Settings) -> None:
    """--from and --until name days of Japan, the last one included."""
    midnight = datetime(2027, 1, 31, 15, tzinfo=UTC)  # the first of February begins in Japan
    moments = {"jan": midnight - timedelta(seconds=1), "feb": midnight, "mar": midnight + timedelta(days=28)}
    enter(app, [{"key": key, "amount": 10, "entered_at": moment} for key, moment in moments.items()])

    def keys(*words: str) -> list[str]:
        return [row["key"] for row in table(run(settings, "ledger", "--csv", *words).stdout)]

    assert keys("--until", "2027-01-31") == ["jan"]
    assert keys("--from", "2027-02-01", "--until", "2027-02-28") == ["feb"]
    assert keys("--from", "2027-02-01") == ["feb", "mar"]
    totals = run(settings, "ledger", "--totals", "--from", "2027-03-01").stdout
    assert totals.splitlines()[-1].split() == ["all", "1", "10", "point", "mixi"]


@pytest.mark.parametrize(
    "words", [["--until", "9999-12-31"], ["--from", "0001-01-01"], ["--from", "9999-12-31"]]
)
@on_sqlite
def test_far_days(app: Flask, settings: Settings, words: list[str]) -> None:
    """The first and the last day of the calendar are days like others."""
    enter(app, [{"key": "k", "amount": 10}])
    found = table(run(settings, "ledger", "--csv", *words).stdout)
    assert len(found) == (words != ["--from", "9999-12-31"])


@pytest.mark.parametrize(
    "start", [*"=+-@\uff1d\uff0b\uff0d\uff20\ufeff\r", "\ufeff=", "\t=", " =", "\u3000\uff1d"]
)
def test_no_cell_is_a_formula(start: str) -> None:
    """Nothing that somebody wrote is reckoned with or run by a spreadsheet; a number stays one."""
    file = io.StringIO()
    csv_file.write(file, ["what", "points"], [(f"{start}1+1", -100), ("\u3000剣=1", 0)])
    first, second = table(file.getvalue())
    assert first == {"what": f"'{start}1+1", "points": "-100"}
    assert second == {"what": "\u3000剣=1", "points": "0"}


LIKE_NUMBERS = ["123456789012", "007", "1234e567", "1E5", ".5", "1,000", "10%", "１２", "￥1", "true"]
LIKE_MOMENTS = ["2-3", "3/4", "1.2.3", "2027-01-31", "12:30", "3 pm", "1 1/2", "MAR1", "1-mar", "5 Dec 2027"]
IN_JAPAN = ["1月2日", " 12時 ", "R5.1.1", "h31/4/30", "令和5年1月1日", "令和元年5月", "平31-4-30", "㋿6.1.1"]
LIKE_NEITHER = [
    "12345678901",
    "0",
    "mixi:0123",
    "1e5x",
    "may",
    "march on",
    "R5",
    "S7x1",
    "令和堂",
    "2 loaves",
    "2027-01-31T18:00+09:00",
    "",
    "剣",
]


def test_a_text_stays_one() -> None:
    """A code that looks like a number or a day is not rounded or turned into one by a spreadsheet."""
    file = io.StringIO()
    marked = [*LIKE_NUMBERS, *LIKE_MOMENTS, *IN_JAPAN]
    csv_file.write(file, ["what", "points"], [(text, 7) for text in [*marked, *LIKE_NEITHER]])
    told = [row["what"] for row in table(file.getvalue())]
    assert told == [*(f"'{text}" for text in marked), *LIKE_NEITHER]
    assert {row["points"] for row in table(file.getvalue())} == {"7"}


@pytest.mark.thorough
@pytest.mark.long
@on_sqlite
def test_every_file_says_that_it_is_utf_8(app: Flask, settings: Settings) -> None:
    """A spreadsheet opens what the command line writes, whatever the terminal is set to."""
    for words in (
        ["ledger", "--csv"],
        ["ledger", "--totals", "--csv"],
        ["outstanding", "--csv"],
        ["malfunctions"],
    ):
        printed = subprocess.run(
            [COMMAND, *words],
            env={**environment(settings), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "shift_jis"},
            capture_output=True,
            timeout=120,
        )
        assert printed.stdout.startswith(b"\xef\xbb\xbf"), printed.stderr


@pytest.mark.long
def test_a_long_ledger_does_not_fill_the_memory(app: Flask) -> None:
    """Entries come in the sequence of their making, a page at a time."""
    enter(app, [{"key": f"k{number}", "amount": 10} for number in range(20_000)])
    with app.app_context():
        tracemalloc.start()
        count = 0
        for number, line in enumerate(ledger.entries()):
            assert line.key == f"k{number}"
            count += 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 6 * 1024 * 1024  # all at once take more than twenty


@pytest.mark.long
def test_a_reader_pauses(app: Flask, settings: Settings) -> None:
    """`storefront ledger | less`: who has read a page and thinks holds nothing in the database."""
    enter(app, [{"key": f"row-{number}", "amount": 10} for number in range(5_000)])
    command = [COMMAND, "ledger"]
    with subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout
        first = reader.stdout.readline()  # the pipe behind it is full by now
        enter(app, [{"key": "meanwhile", "amount": 10}])
        assert held(app) == 0
        rest = reader.stdout.read()
    assert re.findall(r"row-\d+", first + rest) == [f"row-{number}" for number in range(5_000)]
    assert "meanwhile" not in rest


def held(app: Flask) -> int:
    """What keeps SQLite from emptying its log, or how many sessions have PostgreSQL keep old rows."""
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            driver = connection.connection.driver_connection
            assert driver
            busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return int(busy)
        sessions = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        query = text(f"SELECT count(*) {sessions} AND backend_xmin IS NOT NULL")  # our own words
        return int(connection.scalar(query) or 0)


def test_outstanding(town: Town, settings: Settings) -> None:
    """The operator sees payments without mixi's word, and who had what was never paid for."""
    waiting = town.buy("excalibur", "taro")
    code = town.buy("loaf")
    with town.shop.app_context():
        hanako = customers.identify("mixi", HANAKO, NOON)
        assert inventory.use(hanako.id, "loaf", "eaten", NOON)
    town.pay_back(code)
    town.visit("/history")
    below, undone, unconfirmed = sorted(
        table(run(settings, "outstanding", "--csv").stdout), key=lambda row: row["what"]
    )
    assert (below["owner"], below["item"], below["quantity"]) == (HANAKO, "loaf", "-1")
    assert (undone["what"], undone["code"], undone["owner"]) == ("pay_back", code, HANAKO)
    assert (unconfirmed["code"], unconfirmed["owner"]) == (waiting, BY_KEY["taro"].owner_id)
    assert (unconfirmed["item"], unconfirmed["points"]) == ("excalibur", "100")
    assert datetime.fromisoformat(unconfirmed["last_ok"]) <= datetime.now(UTC)
    assert unconfirmed["removed"] == unconfirmed["test"] == unconfirmed["unknown"] == ""
    printed = run(settings, "outstanding").stdout
    assert "1 completed here, not confirmed by mixi\n" in printed
    assert "1 paid back or void, and the goods were used up" in printed
    assert "1 holdings below zero" in printed
    assert waiting in printed
    town.visit("/history", "taro")
    assert "0 completed here" in run(settings, "outstanding").stdout


@pytest.mark.long
def test_a_backup_restores_the_shop(town: Town, settings: Settings, tmp_path: Path) -> None:
    """What was sold before the backup is there again, exactly; what came after it shows as a difference."""
    town.buy("excalibur", "taro")
    town.buy("loaf")
    begun = town.start("loaf")
    kept = state(town.shop)
    copy = tmp_path / "copy"
    back_up(settings, copy)
    difference = town.taken()
    lantern = town.buy("lantern")
    code = town.decide(begun)
    assert state(town.shop) != kept
    difference = town.taken() - difference
    with town.shop.app_context():
        db.session.remove()
        db.engine.dispose()

    restored = restore(settings, copy, tmp_path)
    upgraded = run(restored, "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    shop = create_app(restored, town.shop.extensions["http"])
    try:
        assert shop.test_client().get("/readyz").text == "ready\n"
        assert state(shop) == kept
        with shop.app_context():
            ours = sum(total.amount for total in ledger.totals())
            assert db.session.get_one(Payment, code).status is Status.CREATE  # and complete at mixi
        assert town.taken() - ours == difference > 0
        with shop.app_context(), transaction() as session:
            session.get_one(Payment, code).created_at -= timedelta(hours=1)  # too old to complete by itself
        # As the README says: what was paid and is gone is given by hand, once for each payment's code.
        for item, paid, missing in (("loaf", 10, code), ("lantern", 300, lantern)):
            case = ("--for", missing, "--paid", str(paid), "--reason", "restored", "--by", "Umi")
            done = run(restored, "grant", HANAKO, item, *case)
            assert done.returncode == 0, done.stderr
            assert run(restored, "grant", HANAKO, item, *case).returncode == 1
        with shop.app_context():
            assert town.taken() == sum(total.amount for total in ledger.totals())
        town.platform.extensions["sandbox"].http.mount(SHOP, Wire(shop))
        town.shop = shop
        town.buy("loaf")
        assert "loaf" in {row["item"] for row in table(run(restored, "outstanding", "--csv").stdout)}
    finally:
        with shop.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.mark.long
@on_sqlite
def test_a_sale_during_the_backup_is_in_it_whole_or_not_at_all(
    app: Flask, settings: Settings, tmp_path: Path
) -> None:
    """A backup is one moment, however busy the shop."""
    enter(app, [{"key": f"k{number}", "amount": 10} for number in range(20_000)])
    ended = threading.Event()

    def sell() -> None:
        with app.app_context():
            customer = customers.identify("mixi", HANAKO, NOON)
            for number in range(100_000):
                if ended.is_set():
                    break
                with transaction() as session:
                    inventory.grant(session, customer.id, "loaf", f"sale {number}", NOON)
                    key = f"sale {number}"
                    ledger.record(session, customer.id, Kind.SALE, 10, "point", key, NOON, channel="mixi")
            db.session.remove()

    seller = threading.Thread(target=sell)
    seller.start()
    try:
        done = run_apart(settings, "backup", str(tmp_path / "copy"))
    finally:
        ended.set()
        seller.join()
    assert done.returncode == 0, done.stderr
    engine = create_engine(f"sqlite:///{tmp_path}/copy")
    with engine.connect() as connection:
        grants = connection.scalar(select(func.count()).select_from(Grant))
        sales = connection.scalar(select(func.count()).select_from(Entry).where(Entry.key.startswith("sale")))
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
    engine.dispose()
    assert grants == sales
    assert sales


@on_postgresql
def test_postgresql_has_its_own_tool(app: Flask, settings: Settings, tmp_path: Path) -> None:
    """`storefront backup` makes no copy of a PostgreSQL database, and names what does."""
    refused = run(settings, "backup", str(tmp_path / "copy"))
    assert refused.returncode == 1
    assert "pg_dump --format=custom" in refused.stderr
    assert not (tmp_path / "copy").exists()


@on_sqlite
def test_a_backup_overwrites_nothing(town: Town, settings: Settings, tmp_path: Path) -> None:
    """A file that exists stays as it is, and the new copy is its owner's alone."""
    file = tmp_path / "copy"
    file.write_text("yesterday's")
    refused = run(settings, "backup", str(file))
    assert (refused.returncode, file.read_text()) == (1, "yesterday's")
    assert "overwrites nothing" in refused.stderr
    missing = run(settings, "backup", str(tmp_path / "no folder" / "copy"))
    assert "No such file or directory" in missing.stderr
    assert run(settings, "backup", str(tmp_path / "today")).returncode == 0
    assert (tmp_path / "today").stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("today-*"))


def state(app: Flask) -> dict[str, list[Any]]:
    """Every row of every table, but the one that readiness is tried by."""
    with app.app_context():
        rows = {
            table.name: sorted(repr(tuple(row)) for row in db.session.execute(select(table)))
            for table in db.metadata.sorted_tables
            if table.name != "pulse"
        }
        db.session.remove()
    return rows


def back_up(settings: Settings, copy: Path) -> None:
    """As the README says."""
    if settings.database_url.startswith("sqlite"):
        done = run(settings, "backup", str(copy))
        assert done.returncode == 0, done.stderr
    else:
        postgresql_tool("pg_dump", "--format=custom", f"--file={copy}", f"--dbname={libpq(settings)}")


def restore(settings: Settings, copy: Path, tmp_path: Path) -> Settings:
    """As the README says; the settings of the shop on the restored database."""
    if settings.database_url.startswith("sqlite"):
        lost = tmp_path / "lost"
        lost.mkdir()
        for file in tmp_path.glob("shop.db*"):
            file.rename(lost / file.name)
        shutil.copy(copy, tmp_path / "shop.db")
        return settings
    name = f"restored{WORKER}"
    url = make_url(settings.database_url).set(database=name).render_as_string(hide_password=False)
    restored = settings.model_copy(update={"database_url": url})
    server = libpq(settings)
    postgresql_tool("dropdb", "--if-exists", f"--maintenance-db={server}", name)
    postgresql_tool("createdb", "--encoding=UTF8", "--template=template0", f"--maintenance-db={server}", name)
    target = libpq(restored)
    postgresql_tool("pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={target}", str(copy))
    return restored


def libpq(settings: Settings) -> str:
    return settings.database_url.replace("postgresql+psycopg://", "postgresql://", 1)


def postgresql_tool(name: str, *words: str) -> None:
    done = subprocess.run([tool(name), *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
