"""One shop on two hosts, with processes of their own, one PostgreSQL, and a store that takes its time."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from sqlalchemy import create_engine, text
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.colorme.conftest import KEYS, Store, charged_usage, installed, signature
from tests.databases import new_database
from tests.demo import free_ports
from tests.proof.served import AS_IN_PRODUCTION, HOST, gunicorn, without_settings
from tests.street import SETTINGS, at_once, form_to

pytestmark = pytest.mark.thorough
FORMS, SENDS, RUNS, OWNERS = 25, 8, 4, 6
ACTION, CHARGES = "/colorme/charges", "/appstore/v1/application_charges.json"
SIZE = [*AS_IN_PRODUCTION, "--workers", "2", "--threads", "8"]
COMMAND = str(Path(sys.executable).with_name("storefront"))
SLOWLY = 0.02  # seconds that the store takes
LONGEST = 60  # seconds for an answer or a command


class SlowStore(Store):
    """The store of these tests, over the wire; each owner's contract has a number."""

    def __call__(self, environ: object, start_response: object) -> object:
        time.sleep(SLOWLY)
        return super().__call__(environ, start_response)


class Quiet(WSGIRequestHandler):
    def log(self, *words: object) -> None:
        """Nothing: the store has a list of what it was asked."""


@dataclass
class Hosts:
    """Where they listen, what they share, and the database behind them."""

    addresses: list[str]
    environment: dict[str, str]
    store: Store

    def install(self, number: int) -> None:
        body = json.dumps(installed(f"CONTR{number}", "SPRAY1", f"PA0000000{number}")).encode()
        headers = {"X-Appstore-Signature": signature(body), "Content-Type": "application/json"}
        address = f"{self.addresses[number % 2]}/colorme/install"
        assert requests.post(address, body, headers=headers, timeout=LONGEST).status_code == 200

    def come_in(self, number: int) -> requests.Session:
        """An owner's browser, which begins at one host and comes back to the other."""
        self.store.account = f"PA0000000{number}"
        browser = requests.Session()
        browser.trust_env = False
        begun = browser.get(f"{self.addresses[0]}/colorme/start", allow_redirects=False, timeout=LONGEST)
        state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
        back = f"{self.addresses[1]}/colorme/oauth?state={state}&code=a-code"
        assert browser.get(back, allow_redirects=False, timeout=LONGEST).status_code == 303
        return browser

    def forms(self, browser: requests.Session, item: str, count: int) -> list[dict[str, str]]:
        address = f"{self.addresses[0]}/items/{item}"
        return [dict(form_to(browser.get(address, timeout=LONGEST).text, ACTION)) for _ in range(count)]

    def send(self, host: int, browser: requests.Session, form: dict[str, str]) -> None:
        """A press in a window of its own; the cookies are those of the visit."""
        address, cookies = self.addresses[host] + ACTION, browser.cookies.get_dict()
        headers = {"Origin": self.environment["STOREFRONT_PUBLIC_URL"]}
        answer = requests.post(
            address, form, headers=headers, cookies=cookies, allow_redirects=False, timeout=LONGEST
        )
        assert answer.status_code == 303, answer.text

    def run(self, *words: str) -> None:
        done = self.tried(*words)
        assert done.returncode == 0, done.stderr

    def tried(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [COMMAND, *words],
            env=without_settings(self.environment),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )

    def ask(self, query: str, **told: object) -> list[tuple[object, ...]]:
        engine = create_engine(self.environment["STOREFRONT_DATABASE_URL"])
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(text(query), told)]
        engine.dispose()
        return rows


@pytest.fixture
def hosts(postgresql: str, tmp_path: Path) -> Iterator[Hosts]:
    one, two, there = free_ports(3)
    store = SlowStore()
    for number in range(OWNERS):
        path = f"/appstore/v1/recurring_application_charges/CONTR{number}/usage_charges.json"
        store.answers[path] = charged_usage
    street = f"http://{HOST}:{there}"
    told = {
        **SETTINGS,
        **KEYS,
        "public_url": f"http://{HOST}:{one}",
        "database_url": new_database(postgresql, "two_hosts"),
        "colorme_api_url": street,
        "colorme_calendar_url": f"{street}/calendar.json",
        "colorme_calls_at_once": SENDS,
    }
    environment = {f"STOREFRONT_{name.upper()}": str(value) for name, value in told.items()}
    hosts = Hosts([f"http://{HOST}:{port}" for port in (one, two)], environment, store)
    with ExitStack() as stack:
        stack.enter_context(_listening(store, there))
        hosts.run("upgrade")
        for name, port in (("one", one), ("two", two)):
            stack.enter_context(gunicorn(tmp_path, name, port, "wsgi:app", SIZE, environment))
        yield hosts


@contextmanager
def _listening(store: Store, port: int) -> Iterator[None]:
    server = make_server(HOST, port, store, threaded=True, request_handler=Quiet)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def test_forms_days_and_words(hosts: Hosts) -> None:
    """Eight sends of a form, half to each host, are one call; four runs of the day, one report; four
    persons' words, one."""
    hosts.store.now = "2021-04-10T12:00:00+09:00"
    for number in range(OWNERS):
        hosts.install(number)
    browser = hosts.come_in(1)
    hosts.send(0, browser, hosts.forms(browser, "cloak", 1)[0])
    for item in ("cloak", "moss"):
        for form in hosts.forms(browser, item, FORMS):
            at_once(*(partial(hosts.send, number % 2, browser, form) for number in range(SENDS)))
    assert len(hosts.store.calls(CHARGES)) == 1 + FORMS
    given = hosts.ask('SELECT item_id, count(*) FROM "grant" GROUP BY item_id ORDER BY item_id')
    assert given == [("cloak", 1 + FORMS), ("moss", FORMS)]
    for number in {*range(OWNERS)} - {1}:
        other = hosts.come_in(number)
        hosts.send(0, other, hosts.forms(other, "moss", 1)[0])
    hosts.store.now = "2021-05-09T23:30:00+09:00"
    at_once(*[partial(hosts.run, "daily")] * RUNS)
    reported = Counter(call.path for call in hosts.store.asked if call.path.endswith("usage_charges.json"))
    assert set(reported.values()) == {1}
    assert len(reported) == OWNERS
    states = hosts.ask("SELECT state, count(*), sum(yen) FROM colorme_report GROUP BY state")
    assert states == [("charged", OWNERS, 150 * (FORMS + OWNERS - 1))]
    entered = hosts.ask("SELECT count(*), sum(amount) FROM entry")
    assert entered == [(1 + FORMS + OWNERS, 500 * (1 + FORMS) + 150 * (FORMS + OWNERS - 1))]
    hosts.store.say(CHARGES, {}, 502)
    hosts.send(0, browser, hosts.forms(browser, "coat", 1)[0])
    [(code,)] = hosts.ask("SELECT code FROM colorme_charge WHERE state = 'unknown'")
    with ThreadPoolExecutor(RUNS) as persons:
        said = [
            *persons.map(
                lambda word: hosts.tried("resolve", str(code), word), RUNS // 2 * ["charged", "declined"]
            )
        ]
    (heard,) = [one.stdout for one in said if one.returncode == 0]
    state = "charged" if "now charged" in heard else "declined"
    assert hosts.ask("SELECT state FROM colorme_charge WHERE code = :code", code=code) == [(state,)]
    coats = hosts.ask("SELECT count(*) FROM \"grant\" WHERE item_id = 'coat'")
    assert coats == [(int(state == "charged"),)]
    assert hosts.ask("SELECT count(*) FROM entry WHERE key = :key", key=f"colorme:{code}") == coats
