"""One thread of a process stays free for /healthz, whatever the others wait for."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from storefront import health
from tests.databases import on_sqlite

THREADS = 3
pytestmark = [on_sqlite, pytest.mark.changed(threads=THREADS)]
Answers = list[Future[TestResponse]]


def get(app: Flask, path: str, *, threaded: bool = True) -> TestResponse:
    return app.test_client().get(path, environ_overrides={"wsgi.multithread": threaded})


@contextmanager
def all_but_one(app: Flask) -> Iterator[tuple[Answers, threading.Event]]:
    """Requests that stay in all threads but one, until they are let go."""
    inside, go = threading.Semaphore(0), threading.Event()

    def view() -> str:
        inside.release()
        go.wait()
        return "done"

    app.add_url_rule("/slow", view_func=view)
    with ThreadPoolExecutor(THREADS) as threads:
        answers = [threads.submit(get, app, "/slow") for _ in range(THREADS - 1)]
        for _ in answers:
            inside.acquire()
        try:
            yield answers, go
        finally:
            go.set()


def test_the_last_thread_refuses_and_lives(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no request gets anywhere, others are refused, to come again later; the process says it lives."""
    monkeypatch.setattr(health, "STUCK_SECONDS", 0.01)
    with all_but_one(app) as (answers, go):
        assert get(app, "/healthz").status_code == 200
        refused = get(app, "/")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert not any(answer.done() for answer in answers)
        go.set()
        assert [answer.result().text for answer in answers] == ["done"] * len(answers)
    assert get(app, "/robots.txt").status_code == 200


def test_nobody_is_refused_while_others_come_and_go(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds all places taken waits for one, as long as places are given back."""
    monkeypatch.setattr(health, "STUCK_SECONDS", 60)
    with all_but_one(app) as (_, go), ThreadPoolExecutor(1) as last:
        waiting = last.submit(get, app, "/robots.txt")
        go.set()
        assert waiting.result().status_code == 200


def test_one_thread_at_a_time(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that serves one request after the other leaves nothing free, and refuses nothing."""
    monkeypatch.setattr(health, "STUCK_SECONDS", 0)
    with all_but_one(app):
        assert get(app, "/robots.txt", threaded=False).status_code == 200


@pytest.mark.changed(threads=1)
def test_a_process_of_one_thread(app: Flask) -> None:
    """With one thread there is none to spare."""
    assert get(app, "/robots.txt").status_code == 200
