"""Two hosts on one database, their clocks a second apart, are one shop, whichever answers or dies."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import make_url

from storefront.db import RESTED_SECONDS
from storefront.health import KEPT_SECONDS
from storefront.mixi.payments import LISTENS
from storefront.sandbox.phone import OWN_WINDOW
from tests import postgresql
from tests.conftest import lacking
from tests.demo import wait_for
from tests.proof.crowd import crowd
from tests.proof.hosts import AHEAD, APART, TAPS, Asked, Host, Hosts, hosts, metrics_in, rush, stop_and_go_on
from tests.proof.idle import NGINX
from tests.proof.kills import BUYER, ITEM, POINTS, Phone, Screen
from tests.proof.served import COMMAND_SECONDS, ROOT, Step, without_settings
from tests.street import callback_target, form_to, sign

pytestmark = [pytest.mark.long, pytest.mark.thorough]

CALLBACK = "mixi/callback"
README = ROOT / "storefront" / "README.md"
AWAY, TOO_LARGE = (
    (ROOT / ".deploy" / "pages" / name).read_text().strip() for name in ("away.html", "too-large.html")
)


@pytest.fixture(scope="module")
def street() -> Iterator[Hosts]:
    if not postgresql.IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    if not NGINX:
        lacking("no nginx")
    with TemporaryDirectory() as folder, hosts(Path(folder)) as street:
        yield street
        for log in Path(folder).glob("o*-*.log"):
            assert "Traceback" not in log.read_text()


@pytest.fixture
def since(street: Hosts) -> Callable[[], list[Asked]]:
    """What the proxy has passed on since the test began."""
    before = len(street.log())
    return lambda: street.log()[before:]


@pytest.fixture(autouse=True)
def even(street: Hosts) -> Iterator[None]:
    """After each test what is held was earned; for the next one both hosts are up, whatever became of it."""
    yield
    for host in street.both:
        if host.is_gone():
            host.stop()
            host.start()
        else:
            host.signal(signal.SIGCONT)
    assert street.held() * POINTS == street.earned()


def on_pc(street: Hosts) -> Phone:
    """A buyer with the app open on a PC, on the shop's own domain."""
    phone = street.phone()
    action, fields = phone.get(phone.platform).form("/phone")
    address = f"{action.removesuffix('/')}/pc"
    shelf = phone.http.post(address, data={**fields, "persona": BUYER, "window": OWN_WINDOW}, timeout=30)
    assert shelf.url.startswith(street.shop)
    assert shelf.status_code == 200
    return phone


def ports(asked: list[Asked]) -> set[int]:
    return {port for one in asked for port in one.hosts}


def test_a_visit_is_everywhere(street: Hosts, since: Callable[[], list[Asked]]) -> None:
    """On a PC: begun at one host, known at the other; from the shelf to the bag, with no script, over TLS."""
    phone, before = on_pc(street), street.held()
    for path in ("/", "/history", "/inventory", "/items/loaf", "/legal", "/") * 2:
        page = phone.http.get(street.shop + path, timeout=30)
        assert page.status_code == 200
    chosen = phone.press(phone.get(f"{street.shop}/items/excalibur"), "payments")
    bought = phone.press(chosen, "/buy")
    assert bought.name == "bought"
    assert phone.http.get(bought.finish, timeout=30).status_code == 200
    assert 'data-item="excalibur" data-quantity="1"' in phone.get(f"{street.shop}/inventory").text
    assert street.held() == before + 1
    assert ports(since()) == {host.port for host in street.both}


def test_one_form_at_both(street: Hosts) -> None:
    """A form that is sent to both at once is one tap: one payment, one redirect."""
    phone = on_pc(street)
    action, fields = phone.get(f"{street.shop}/items/excalibur").form("payments")
    path = action.removeprefix(street.shop)
    jar = "; ".join(f"{cookie.name}={cookie.value}" for cookie in phone.http.cookies if cookie.secure)

    def send(host: Host) -> str:
        where = f"http://127.0.0.1:{host.port}{path}"
        headers = {"Cookie": jar, "Origin": street.shop}
        answer = requests.post(where, data=fields, headers=headers, timeout=30, allow_redirects=False)
        assert answer.status_code in (302, 303), answer.text
        return answer.headers["Location"]

    before = street.payments()
    with ThreadPoolExecutor(4) as senders:
        led = set(senders.map(send, [*street.both, *street.both]))
    assert len(led) == 1
    assert street.payments() == before + 1


def start_address(phone: Phone) -> str:
    """Where the platform sends whoever opens the app on a PC; nobody has been there yet."""
    action, fields = phone.get(phone.platform).form("/phone")
    told = {**fields, "persona": BUYER, "window": OWN_WINDOW}
    sent = phone.http.post(f"{action.removesuffix('/')}/pc", data=told, timeout=30, allow_redirects=False)
    return sent.headers["Location"]


def at(host: Host, address: str, method: str = "GET", **more: Any) -> requests.Response:
    """What this host answers, with no proxy in between."""
    parts = urlsplit(address)
    here = f"http://127.0.0.1:{host.port}{parts.path}?{parts.query}".removesuffix("?")
    return requests.request(method, here, timeout=30, allow_redirects=False, **more)


def test_a_start_is_good_once(street: Hosts) -> None:
    """Of one start address, sent to both at once, comes one visit."""
    begun = start_address(street.phone())
    with ThreadPoolExecutor(4) as senders:
        answers = list(senders.map(lambda host: at(host, begun), [*street.both, *street.both]))
    assert sorted(answer.status_code for answer in answers) == [303, 401, 401, 401]
    assert [at(host, begun).status_code for host in street.both] == [401, 401]


def test_a_new_key_of_mixis(street: Hosts) -> None:
    """Each host fetches mixi's certificates for itself, when it meets a key that it does not know."""
    phone = street.phone()
    assert [at(host, start_address(phone)).status_code for host in street.both] == [303, 303]
    _, fields = phone.get(phone.platform).form("/phone")
    rotated = phone.http.post(
        f"{phone.platform}/desk/actions/rotate-key", data={**fields, "device": "pc"}, timeout=30
    )
    assert rotated.status_code == 200
    assert [at(host, start_address(phone)).status_code for host in street.both] == [303, 303]


def test_an_age_is_said_once(street: Hosts, since: Callable[[], list[Asked]]) -> None:
    """What the young may spend in a month is spent at both together, and asked for at neither again."""
    with anew(*street.both, STOREFRONT_UNDER_AGE_LIMITS=f"15:{POINTS}"):
        phone = street.phone()
        assert 'data-reason="age_unknown"' in phone.open(f"/items/{ITEM}").text
        phone.press(phone.open(f"/age?item={ITEM}"), "%2Fage", year=str(date.today().year - 14), month="1")
        screens = [phone.choose(), phone.choose()]
        assert [phone.press(screen, "/buy").name for screen in screens] == ["bought", "failed"]
        assert all('data-reason="age_limit"' in phone.open(f"/items/{ITEM}").text for _ in range(4))
    assert ports(since()) == {host.port for host in street.both}


@contextmanager
def anew(*hosts: Host, **changed: str) -> Iterator[None]:
    """These hosts are started anew with something changed, and once more as they were at the end."""
    before = [host.environment for host in hosts]
    try:
        for host in hosts:
            host.stop()
            host.start(**changed)
        yield
    finally:
        for host, environment in zip(hosts, before, strict=True):
            host.stop()
            host.environment = environment
            host.start()


def test_taps_are_counted_together(street: Hosts, since: Callable[[], list[Asked]]) -> None:
    """A buyer has so many taps a minute at both hosts together."""
    phone, before = street.phone(), street.payments()
    for _ in range(TAPS):
        assert phone.choose().name
    assert "payments" in phone.open("/items/excalibur").text
    refused = phone.press(phone.open("/items/excalibur"), "payments")
    assert "data-screen" not in refused.text
    assert street.payments() == before + TAPS
    taps = [one for one in since() if one.method == "POST"]
    assert ports(taps) == {host.port for host in street.both}


def test_a_pause_holds_at_both(street: Hosts, since: Callable[[], list[Asked]]) -> None:
    """mixi is asked once about a payment within the pause, however often its buyer looks, wherever."""
    asked = street.counted("storefront_api_calls_total", "confirm", "answered")
    phone = street.phone()
    bought = phone.press(phone.choose(), "/buy")
    phone.get(bought.finish)
    for _ in range(6):
        phone.open("/history")
    assert street.counted("storefront_api_calls_total", "confirm", "answered") == asked + 1
    assert ports(since()) == {host.port for host in street.both}


def test_callbacks_at_both(street: Hosts) -> None:
    """Of sixteen callbacks at once, some at each host, all hear OK and one grants; each is counted once."""
    counted, held = street.counted("storefront_callbacks_total", "200"), street.held()
    answered = [host.answered() for host in street.both]
    phone = street.phone()
    phone.choose()
    payment = street.newest()
    target = callback_target(payment.point_code, payment.owner_id, word=str(payment.word))

    def call(_: int) -> str:
        headers = sign("GET", target, origin=street.shop)
        return requests.get(
            street.shop + target, headers=headers, timeout=30, verify=str(street.authority)
        ).text

    with ThreadPoolExecutor(16) as senders:
        assert set(senders.map(call, range(16))) == {"OK"}
    assert street.held() == held + 1
    assert street.counted("storefront_callbacks_total", "200") == counted + 16
    assert all(host.answered() > before for host, before in zip(street.both, answered, strict=True))
    street.age()
    phone.open("/history")  # mixi never asked, and took nothing
    assert street.held() == held


def test_numbers(street: Hosts) -> None:
    """What the database says is the same at both; each says how far its own clock is from the database's."""
    one, other = (host.numbers() for host in street.both)
    for name in ("storefront_unconfirmed_payments", "storefront_negative_holdings", "storefront_database_up"):
        assert one[name,] == other[name,]
    assert one["storefront_clock_seconds",] == pytest.approx(0, abs=0.3)
    assert other["storefront_clock_seconds",] == pytest.approx(APART, abs=0.3)


def test_one_folder_of_numbers(street: Hosts) -> None:
    """Two servers on one machine may be told the same folder: each counts what it answered itself."""
    name = "storefront_callbacks_total", "401"
    one, other = street.both
    with anew(other, **metrics_in(street.folder / one.name)):
        before = [host.numbers().get(name, 0) for host in street.both]
        for host in (one, one, other, other, other):
            assert at(host, f"{street.shop}/mixi/callback/x").status_code == 401
        after = [host.numbers()[name] for host in street.both]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 3]


def test_each_looks_at_the_database(street: Hosts) -> None:
    """No host is ready without it, and each is again by itself; in between nobody is charged."""

    def ready() -> list[int]:
        return [at(host, f"{street.shop}/readyz").status_code for host in street.both]

    phone, held = street.phone(), street.held()
    chosen = phone.choose()
    assert ready() == [200, 200]
    street.database.crash()
    try:
        wait_for(lambda: ready() == [503, 503])
        assert phone.press(chosen, "/buy").name == "failed"
    finally:
        street.database.start()
        street.engine.dispose()
    time.sleep(max(KEPT_SECONDS, RESTED_SECONDS))  # until then a connection is believed to live, unasked
    wait_for(lambda: ready() == [200, 200])
    assert phone.press(phone.get(chosen.url), "/buy").name == "bought"
    assert street.held() == held + 1


def test_a_clock_far_ahead(street: Hosts) -> None:
    """Forms of the host ahead are refused at the other, and callbacks there: nobody pays for nothing."""
    one, other = street.both
    phone, held = street.phone(), street.held()
    phone.choose()
    payment = street.newest()
    target = callback_target(payment.point_code, payment.owner_id, word=str(payment.word))
    jar = {cookie.name: str(cookie.value) for cookie in at(one, start_address(street.phone())).cookies}
    with anew(other, **{AHEAD: "13"}):
        form = form_to(at(other, f"{street.shop}/items/{ITEM}", cookies=jar).text, "/mixi/payments")
        headers = {"Origin": street.shop}
        pressed = at(one, f"{street.shop}/mixi/payments", "POST", data=form, cookies=jar, headers=headers)
        assert pressed.status_code == 400
        signed = sign("GET", target, origin=street.shop)
        answers = [at(host, street.shop + target, headers=signed) for host in (other, one)]
        assert [answer.status_code for answer in answers] == [503, 200]
    assert street.held() == held + 1
    street.age()
    phone.open("/history")  # mixi never asked, and took nothing
    assert street.held() == held


def test_a_clock_behind(street: Hosts) -> None:
    """A host whose clock is more than two seconds behind mixi's lets nobody in by a start address."""
    one, other = street.both
    with anew(other, **{AHEAD: "-3"}):
        begun = start_address(street.phone())
        assert [at(host, begun).status_code for host in (other, one)] == [401, 303]


def test_a_crowd(street: Hosts) -> None:
    """Of many who tap at once while mixi is slow some are turned away, and no callback is late."""
    with anew(*street.both, STOREFRONT_MIXI_CALLS_AT_ONCE="1"):
        outcome = crowd(street, buyers=14, purchases=1, late=2)
    assert 0 < outcome.crowded <= outcome.turned_away
    assert 0 < outcome.bought <= 14 - outcome.turned_away
    assert outcome.callback < LISTENS


@pytest.mark.parametrize("step", Step)
def test_a_host_dies(street: Hosts, step: Step) -> None:
    """Killed whole in the middle of a callback, at any step: the other answers it, and one is granted."""
    phone, held = street.phone(), street.held()
    had = phone.balance()
    chosen = phone.choose()
    street.kill_at(step)
    bought = phone.press(chosen, "/buy")
    wait_for(lambda: any(host.is_gone() for host in street.both))
    assert bought.name == "bought"
    phone.get(bought.finish)
    assert (had - phone.balance(), street.held() - held) == (POINTS, 1)
    street.age()
    phone.open("/history")
    assert (had - phone.balance(), street.held() - held) == (POINTS, 1)


def test_a_host_hangs(street: Hosts) -> None:
    """Stopped: mixi hears the other host in time; going on, it answers what it was asked, no more."""
    phones, held = [street.phone() for _ in range(6)], street.held()
    chosen = [phone.choose() for phone in phones]
    answered = [host.answered() for host in street.both]
    street.both[0].signal(signal.SIGSTOP)

    def buy(phone: Phone, screen: Screen) -> str:
        return phone.press(screen, "/buy").name

    with ThreadPoolExecutor(len(phones)) as people:
        names = list(people.map(buy, phones, chosen))
    street.both[0].signal(signal.SIGCONT)
    assert names == ["bought"] * len(phones)
    wait_for(lambda: street.both[0].answered() > answered[0])  # it had been asked, too
    assert street.both[1].answered() - answered[1] == len(phones)
    for phone in phones:
        phone.open("/history")
    assert street.held() == held + len(phones)


def test_many_buy_meanwhile(street: Hosts) -> None:
    """A host that hangs for a while costs nobody goods or points."""
    outcome = rush(street, 4, 2, lambda: stop_and_go_on(street.both[1]))
    assert (outcome.lost, outcome.doubled) == (0, 0)
    assert outcome.bought >= 4


def test_logs_name_nobody(street: Hosts) -> None:
    """After purchases and every kind of failure nginx has logged no word, owner, code, signature or token."""
    phone = on_pc(street)
    bought = phone.press(phone.press(phone.get(f"{street.shop}/items/excalibur"), "payments"), "/buy")
    phone.get(bought.finish)
    payment = street.newest()
    target = callback_target(payment.point_code, payment.owner_id, word=str(payment.word))
    query = f"?{target.partition('?')[2]}"
    door = street.command("operator").split()[0]
    signed = sign("GET", target, origin=street.shop)
    forged = {"Authorization": signed["Authorization"].replace("oauth_nonce", "oauth_n0nce")}

    def get(path: str, **more: Any) -> requests.Response:
        return requests.request(
            more.pop("method", "GET"), street.shop + path, timeout=30, verify=str(street.authority), **more
        )

    assert get(target, headers=signed).text == "OK"
    assert get(target, headers=forged).status_code == 401
    assert requests.get(door, timeout=30, verify=str(street.authority)).status_code == 200
    assert get(f"/mixi/callback/{payment.word}/more{query}", headers=signed).status_code == 404
    for way in ("//mixi//callback/", "/%6Dixi/callback/", "/mixi%2Fcallback%2F", "/a/../mixi/callback/"):
        get(f"{way}{payment.word}{query}", headers=signed)
    for path in (f"/mixi/start/pc{query}", f"/inventory{query}", f"/items/{payment.owner_id}{query}"):
        assert get(path).status_code in (401, 404)
    assert get("/readyz").status_code == get("/metrics").status_code == 404
    long, wide = get(f"{target}&x={'x' * 20_000}"), get(target, headers={"X": "x" * 20_000})
    assert [answer.status_code for answer in (long, wide)] == [414, 431]
    assert all(TOO_LARGE in answer.content.decode() for answer in (long, wide))
    head = f"POST /mixi/payments{query} HTTP/1.1\r\nHost: shop\r\nContent-Length: {1 << 21}\r\n\r\n"
    large = said(street, head)
    assert large.startswith("HTTP/1.1 413")
    assert TOO_LARGE in large
    assert said(street, f"GET {target} HTTP/1.1\r\nHost: a b\r\n\r\n").startswith("HTTP/1.1 400")
    assert said(street, f"GET {target} HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 400")
    moved = requests.get(street.plain + target, timeout=30, allow_redirects=False)
    assert moved.status_code == 308
    street.stop()
    away = get(target, headers=signed)
    assert away.status_code == 502
    assert AWAY in away.content.decode()
    street.start()
    assert get(target, headers=sign("GET", target, origin=street.shop)).text == "OK"

    known = (payment.word, payment.owner_id, payment.point_code, "oauth", "opensocial", "token", "/callback/")
    secrets = [str(one) for one in known]
    logs = [street.folder / name for name in ("access.log", "error.log", "combined.log")]
    lines = [line for log in logs for line in log.read_text().splitlines()]
    assert not [line for line in lines if any(secret in line for secret in secrets)]
    assert {CALLBACK, "mixi/start", "inventory", "operator"} <= {asked.place for asked in street.log()}


def test_backup_and_restore(street: Hosts) -> None:
    """As the README has it, word by word, by a role that is no administrator; then both hosts sell on."""
    phone = street.phone()
    phone.press(phone.choose(), "/buy")
    street.age()
    phone.open("/history")
    begun = phone.choose()
    backup, restore = re.split(r"^# to restore.*\n", commands("pg_dump"), flags=re.MULTILINE)
    run(street, backup)
    kept = street.held()
    forgotten = phone.press(begun, "/buy")
    assert street.held() == kept + 1
    street.stop()
    doctor = run(street, restore)
    assert {line.split()[1] for line in doctor.splitlines() if line.startswith("FAIL")} <= {"public"}, doctor
    restored = make_url(street.environment["STOREFRONT_DATABASE_URL"]).set(database="restored")
    street.start(restored.render_as_string())
    assert street.held() == kept
    assert re.search(r"create[\s\S]+complete", street.command("check", forgotten.code))
    assert phone.press(phone.choose(), "/buy").name == "bought"
    assert street.held() == kept + 1


def commands(first: str) -> str:
    """The block of commands in the README that begins with this one."""
    blocks = re.findall(r"^```sh\n(.+?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(first)]
    return str(block)


def run(street: Hosts, block: str) -> str:
    """Carry out a README's commands, in the harness's folder and on its server; what they print."""
    here = re.sub(
        r"postgresql://(\w+)@db/(\w+)", rf"'postgresql://\1@/\2?host={street.database.data}'", block
    )
    tools = Path(postgresql.tool("pg_dump")).parent
    environment = {**without_settings(street.environment), "PATH": f"{tools}:{os.environ['PATH']}"}
    script = here.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    done = subprocess.run(
        ["bash", "-ec", script],
        env=environment,
        cwd=street.folder,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 0 or "FAIL" in done.stdout, done.stdout + done.stderr
    return done.stdout


def said(street: Hosts, request: str) -> str:
    """The answer to bytes that no client would send."""
    parts = urlsplit(street.shop)
    plain = socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=30)
    context = ssl.create_default_context(cafile=str(street.authority))
    with context.wrap_socket(plain, server_hostname=str(parts.hostname)) as line:
        line.sendall(request.encode())
        line.settimeout(30)  # nginx lingers for five seconds over what is still to come
        return b"".join(iter(lambda: line.recv(65536), b"")).decode()
