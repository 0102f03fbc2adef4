"""A point API that does its worst, over real sockets: the page answers in time and nothing is charged."""

import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import delete, update
from urllib3.connection import HTTPConnection

from storefront import Settings, create_app
from storefront.bounded import Timeouts, session
from storefront.clock import Deadline
from storefront.db import db, transaction
from storefront.gate import Gate
from storefront.mixi.atom import Goods, PointRequest
from storefront.mixi.client import Crowded, PointClient, Refused, Transport, Unavailable
from storefront.mixi.payments import Payment, Status
from storefront.shop.turns import Turn
from tests.databases import fill
from tests.demo import wait_for
from tests.proof import hostile
from tests.proof.hostile import POINTS, THREAD, Asked, Behaviour, Ending, HostileApi, Step, point_api
from tests.street import (
    CONSUMER_KEY,
    CONSUMER_SECRET,
    HANAKO,
    SETTINGS,
    SHOP,
    TARO,
    Books,
    Container,
    in_doubt,
    only_form,
    says,
)

pytestmark = pytest.mark.long

# A fifth of the settings' defaults; the API's slowness is scaled with them.
TIMEOUTS = Timeouts(connect=0.4, read=0.6, total=1.2)
CONFIRM_SECONDS = 0.8
MEMORY = 4 * 1024 * 1024
NAME = "api.many.test"

WITHOUT_END = [
    hostile.silence,
    hostile.slow_head,
    hostile.slow_header_lines,
    hostile.header_lines_for_ever,
    hostile.one_header_line_for_ever,
    hostile.continue_for_ever,
    hostile.slow_body,
    hostile.slow_chunks,
    hostile.slow_chunk_length,
    hostile.slow_trailers,
    hostile.trailers_for_ever,
    hostile.slow_gzip_of_nothing,
    hostile.gzip_of_nothing_for_ever,
    hostile.chunks_for_ever,
    hostile.redirect_with_a_slow_body,
    hostile.refusal_with_a_slow_body,
    hostile.failure_with_a_body_for_ever,
    hostile.not_http_for_ever,
    hostile.no_length_at_all,
]
TOO_LARGE = [
    hostile.hundred_megabytes,
    hostile.gzip_bomb,
    hostile.bomb_in_a_bomb,
    hostile.redirect_with_hundred_megabytes,
]
WRONG = [
    hostile.billion_laughs,
    hostile.external_entity,
    hostile.external_doctype,
    hostile.reset,
    hostile.reset_in_the_body,
    hostile.closed,
    hostile.closed_in_the_body,
    hostile.redirect,
    hostile.redirect_to_itself,
    hostile.not_http,
    hostile.too_short_a_length,
    hostile.two_lengths,
]
EVERY = pytest.mark.parametrize(
    "behaviour", [*WITHOUT_END, *TOO_LARGE, *WRONG], ids=lambda behaviour: behaviour.__name__
)


@pytest.fixture(scope="module")
def api() -> Iterator[HostileApi]:
    with point_api() as api:
        yield api


@pytest.fixture(autouse=True)
def good_again(api: HostileApi) -> Iterator[None]:
    yield
    api.behaviour = hostile.good


@pytest.fixture(scope="module")
def app(api: HostileApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One shop for all, on SQLite: what the API does is the same to either database."""
    app = create_app(settings(api, f"sqlite:///{tmp_path_factory.mktemp('shop')}/shop.db"))
    fill(app)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def settings(api: HostileApi, database_url: str) -> Settings:
    values = {
        **SETTINGS,
        "database_url": database_url,
        "mixi_point_url": api.address,
        "mixi_confirm_url": api.address,
        "mixi_connect_seconds": TIMEOUTS.connect,
        "mixi_read_seconds": TIMEOUTS.read,
        "mixi_total_seconds": TIMEOUTS.total,
        "mixi_confirm_seconds": CONFIRM_SECONDS,
        "mixi_confirms_per_visit": 100,
    }
    return Settings.model_validate(values)


@pytest.fixture
def container(app: Flask) -> Container:
    return Container(app)


@pytest.fixture
def unconfirmed(app: Flask, bought: str) -> str:
    """A payment of hanako's that we said OK to; mixi has not confirmed it yet."""
    with app.app_context(), transaction() as kept:
        unasked = {"confirmed_at": None, "asked_at": None}
        kept.execute(update(Payment).filter_by(point_code=bought).values(unasked))
        kept.execute(delete(Turn))
    return bought


@pytest.fixture(scope="module")
def bought(app: Flask) -> str:
    container = Container(app)
    code = container.start("loaf")
    assert container.callback(code).text == "OK"
    return code


def threads() -> int:
    return sum(thread.name != THREAD for thread in threading.enumerate())


def kept(http: requests.Session) -> list[HTTPConnection]:
    """The connections over TLS that wait for another request."""
    pools = http.get_adapter("https://").poolmanager.pools  # type: ignore[attr-defined]
    waiting = [connection for host in pools.keys() for connection in pools[host].pool.queue]  # noqa: SIM118
    return [connection for connection in waiting if connection and connection.sock]


def assert_given_up(api: HostileApi, running: int) -> None:
    """We left before the API did, and nothing of ours is left there."""
    wait_for(lambda: api.open == 0 and threads() <= running)
    assert not api.outlasted


def is_confirmed(app: Flask, code: str) -> bool:
    with app.app_context():
        return db.session.get_one(Payment, code).confirmed_at is not None


@EVERY
def test_nothing_is_charged(
    app: Flask, api: HostileApi, container: Container, books: Books, behaviour: Behaviour
) -> None:
    """The buyer reads in time that nothing was charged; nothing is stored or left open; a new try works."""
    form = only_form(container.get("/items/loaf", TARO).text)
    payments, running = books.payments(), threads()
    api.asked.clear()
    api.behaviour = behaviour
    page = container.post(*form, TARO)
    assert page.status_code == 503
    assert "nothing-paid" in says(page.text)
    assert books.payments() == payments
    assert {asked.target.partition("?")[0] for asked in api.asked} == {POINTS}
    assert_given_up(api, running)
    api.behaviour = hostile.good
    wait_for(lambda: container.post(*form, TARO).status_code == 302)


@EVERY
def test_the_history_opens(
    app: Flask, api: HostileApi, container: Container, unconfirmed: str, behaviour: Behaviour
) -> None:
    """The page opens in time and says what is not known; nothing is decided, and nothing left open."""
    running = threads()
    api.asked.clear()
    api.behaviour = behaviour
    page = container.get("/history")
    assert page.status_code == 200
    assert in_doubt(page.text)
    assert not is_confirmed(app, unconfirmed)
    assert {asked.target.partition("?")[0] for asked in api.asked} == {POINTS}
    assert_given_up(api, running)


@pytest.mark.parametrize(
    "behaviour",
    [*TOO_LARGE, hostile.chunks_for_ever, hostile.trailers_for_ever, hostile.billion_laughs],
    ids=lambda behaviour: behaviour.__name__,
)
def test_memory_is_bounded(api: HostileApi, container: Container, behaviour: Behaviour) -> None:
    """However much the API sends, little of it is ever held."""
    form = only_form(container.get("/items/loaf", TARO).text)
    api.behaviour = behaviour
    hostile.prepare()
    tracemalloc.start()
    try:
        assert container.post(*form, TARO).status_code == 503
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY


def test_a_code_we_have(api: HostileApi, container: Container, books: Books, unconfirmed: str) -> None:
    """An API that gives one code twice is not believed: the payment we have stays its buyer's."""
    payments = books.payments()

    def repeated(asked: Asked) -> Iterator[Step]:
        yield hostile.answer(hostile.ENTRY.format(code=unconfirmed).encode())

    api.behaviour = repeated
    page = container.buy("loaf", TARO)
    assert page.status_code == 503
    assert "nothing-paid" in says(page.text)
    assert (books.payments(), books.status(unconfirmed)) == (payments, Status.COMPLETE)


def test_another_code(app: Flask, api: HostileApi, container: Container, unconfirmed: str) -> None:
    """A confirmation of another payment confirms nothing."""
    api.behaviour = hostile.another_code
    page = container.get("/history")
    assert page.status_code == 200
    assert in_doubt(page.text)
    assert not is_confirmed(app, unconfirmed)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_too_many_questions(api: HostileApi, container: Container, unconfirmed: str, status: str) -> None:
    """An API that has enough of us is asked once for a page, and the page says what that means."""

    def throttling(asked: Asked) -> Iterator[Step]:
        yield hostile.answer(b"", "Retry-After: 3600", status=status)

    api.behaviour = throttling
    api.asked.clear()
    page = container.buy("loaf", TARO)
    assert (page.status_code, len(api.asked)) == (503, 1)
    assert "nothing-paid" in says(page.text)
    page = container.get("/history")
    assert (page.status_code, len(api.asked)) == (200, 2)
    assert in_doubt(page.text)


def test_a_kept_connection_that_is_gone(api: HostileApi, container: Container, books: Books) -> None:
    """A kept connection that the API drops costs one more try, signed anew, and makes one payment."""
    assert container.buy("loaf", TARO).status_code == 302
    payments = books.payments()
    api.asked.clear()

    def dropped_once(asked: Asked) -> Iterator[Step]:
        if len(api.asked) > 1:
            yield from hostile.good(asked)

    api.behaviour = dropped_once
    assert container.buy("loaf", TARO).status_code == 302
    first, second = api.asked
    assert first.connection < second.connection
    assert first.nonce != second.nonce
    assert first.headers["authorization"] != second.headers["authorization"]
    assert books.payments() == payments + 1


def test_no_cookies(api: HostileApi) -> None:
    """What a server wants remembered is not sent to it again."""

    def marking(asked: Asked) -> Iterator[Step]:
        yield hostile.answer(hostile.entry(asked), "Set-Cookie: a=b; Path=/")

    api.behaviour, asking = marking, client(api.address)
    api.asked.clear()
    for _ in range(2):
        asking.create(HANAKO, PURCHASE, Deadline.after(6))
    assert len(api.asked) == 2
    assert not any("cookie" in asked.headers for asked in api.asked)


def test_two_tries_and_no_more(api: HostileApi, container: Container) -> None:
    """A connection that breaks each time is tried twice."""
    api.asked.clear()
    api.behaviour = hostile.reset
    assert container.buy("loaf", TARO).status_code == 503
    assert len(api.asked) == 2
    assert len({asked.nonce for asked in api.asked}) == 2


def test_a_slow_api_is_not_asked_twice(api: HostileApi, container: Container) -> None:
    """Silence is not answered with a second question: the first may still be worked on."""
    api.asked.clear()
    api.behaviour = hostile.silence
    assert container.buy("loaf", TARO).status_code == 503
    assert len(api.asked) == 1


def test_no_database_connection_is_held_meanwhile(
    app: Flask, api: HostileApi, container: Container, unconfirmed: str
) -> None:
    """While the API is slow nobody else waits for the database because of it."""
    held: list[int] = []

    def look(asked: Asked) -> Iterator[Step]:
        with app.app_context():
            held.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]
        yield Ending.RESET

    api.behaviour = look
    container.buy("loaf", TARO)
    container.get("/history")
    assert held == [0] * 4


@pytest.fixture
def deaf() -> Iterator[tuple[str, int]]:
    """Where nobody takes a connection up."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((hostile.HOST, 0), backlog=0))
        for _ in range(3):  # the kernel takes up one or two by itself, then silence
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        stack.enter_context(hostile.hangs_up_later(listener))
        yield listener.getsockname()


def test_nobody_accepts(deaf: tuple[str, int]) -> None:
    """A host that never takes the connection up is given the time to connect, and no more."""
    with pytest.raises(Unavailable):
        client(f"http://{deaf[0]}:{deaf[1]}/").create(HANAKO, PURCHASE, Deadline.after(6))


Named = Callable[..., str]


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Named:
    """The name of a host that has these addresses."""
    real = socket.getaddrinfo

    def named(*places: tuple[str, int]) -> str:
        def resolve(host: str, *more: Any, **others: Any) -> list[Any]:
            found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in places]
            return found if host == NAME else real(host, *more, **others)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        return NAME

    return named


def test_nobody_accepts_at_any_address(deaf: tuple[str, int], named: Named) -> None:
    """However many addresses a host has, they share the time to connect."""
    with pytest.raises(Unavailable):
        client(f"http://{named(*[deaf] * 100)}/").create(HANAKO, PURCHASE, Deadline.after(60))


def test_another_address_answers(api: HostileApi, deaf: tuple[str, int], named: Named) -> None:
    """An address at which nobody answers leaves time for the next one."""
    host = named(deaf, (hostile.HOST, api.port))
    assert client(f"http://{host}{POINTS}").create(HANAKO, PURCHASE, Deadline.after(6)).code


@pytest.mark.parametrize("host", ["nobody.invalid", f"{'a' * 64}.test"])
def test_a_name_without_an_address(host: str) -> None:
    """A name that leads nowhere, or is none, is no answer."""
    with pytest.raises(Unavailable):
        client(f"http://{host}/").create(HANAKO, PURCHASE, Deadline.after(6))


def test_nobody_listens() -> None:
    """A closed port is no answer, for a creation as for a confirmation."""
    with socket.create_server((hostile.HOST, 0)) as listener:
        nobody = client(f"http://{hostile.HOST}:{listener.getsockname()[1]}/")
    with pytest.raises(Unavailable):
        nobody.create(HANAKO, PURCHASE, Deadline.after(6))
    with pytest.raises(Unavailable):
        nobody.get(HANAKO, "code", Deadline.after(1))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HostileApi, PointClient]]:
    """The same API over TLS, and a client that trusts it."""
    certificate = tmp_path_factory.mktemp("tls") / "certificate.pem"
    hostile.write_certificate(certificate)
    with point_api(certificate) as api:
        yield api, client(api.address, certificate)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "behaviour",
    [*WITHOUT_END, hostile.hundred_megabytes, hostile.reset, hostile.closed, hostile.closed_in_the_body],
    ids=lambda behaviour: behaviour.__name__,
)
def test_the_same_over_tls(secure: tuple[HostileApi, PointClient], behaviour: Behaviour) -> None:
    """Confirmations travel over TLS: the same bounds hold there, and nothing is left open."""
    api, asking = secure
    api.behaviour = hostile.good
    assert asking.get(HANAKO, "code", Deadline.after(30)).status == "complete"
    running = threads()
    api.behaviour = behaviour
    with pytest.raises((Refused, Unavailable)):
        asking.get(HANAKO, "code", Deadline.after(CONFIRM_SECONDS))
    assert not kept(asking.transport.http)
    assert_given_up(api, running)


def test_a_handshake_that_never_ends() -> None:
    """A host that takes the connection and never says who it is, is given the time to connect."""
    with socket.create_server((hostile.HOST, 0)) as listener, hostile.hangs_up_later(listener):
        address, deadline = f"https://{hostile.HOST}:{listener.getsockname()[1]}/", Deadline.after(6)
        with pytest.raises(Unavailable):
            client(address).create(HANAKO, PURCHASE, deadline)


LOAF = Goods("loaf", "loaf", 10, is_test=False)
PURCHASE = PointRequest(LOAF, f"{SHOP}/mixi/callback", f"{SHOP}/mixi/finish")


def client(url: str, certificate: Path | None = None) -> PointClient:
    http = session()
    http.trust_env = False  # the environment's certificates would come before ours
    http.verify = str(certificate) if certificate else True
    line = Transport(http, Gate(2, Crowded))
    return PointClient(line, CONSUMER_KEY, CONSUMER_SECRET, url, url, ("platform.test",), TIMEOUTS)
