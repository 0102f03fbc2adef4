"""Only so many threads of a process are with a neighbour; the others are told so, and soon."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from storefront import gate as gates
from storefront.gate import Gate
from tests.demo import wait_for


class Full(Exception):
    """Nobody else may in."""


@pytest.fixture
def gate() -> Gate:
    return Gate(2, Full)


@contextmanager
def full(gate: Gate) -> Iterator[ExitStack]:
    """Every place is taken, until the stack is closed."""
    with ExitStack() as guests:
        for _ in range(gate.places):
            guests.enter_context(gate.place())
        yield guests


def is_open(gate: Gate) -> bool:
    """Whether all places are free, and no more than there are."""
    with full(gate):
        try:
            with gate.place(wait=0):
                return False
        except Full:
            return True


def test_who_comes_beyond_is_told(gate: Gate) -> None:
    """Nobody else passes while all places are taken; afterwards as many as before."""
    with full(gate), pytest.raises(Full), gate.place():
        pytest.fail("a third one passed")
    assert is_open(gate)


def test_one_waits_and_the_next_does_not(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half as many as there are places wait for their turn, which comes; the next one is told at once."""
    with full(gate) as guests, ThreadPoolExecutor(1) as others:

        def wait() -> bool:
            with gate.place(wait=60):
                return True

        waiting = others.submit(wait)
        wait_for(lambda: gate._waiting._value == 0)
        with pytest.raises(Full), gate.place(wait=60):  # this test would take a minute
            pass
        assert not waiting.done()
        guests.close()
        assert waiting.result()
    assert is_open(gate)


def test_whatever_happens_inside(gate: Gate) -> None:
    """An exception frees the place, an ending of the process's own, too."""
    for ending in (ValueError, SystemExit, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(ending), gate.place():
            raise ending
    assert is_open(gate)


def test_a_forked_process_finds_it_open(gate: Gate) -> None:
    """Places that threads of the parent hold are not held in its child, which has none of these threads."""
    with full(gate):
        child = os.fork()
        if child == 0:
            os._exit(0 if is_open(gate) else 1)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert is_open(gate)


def test_a_gate_that_nobody_needs_is_forgotten() -> None:
    """What fork sees to is the gates that are still there."""
    before = len(gates._gates)
    Gate(1, Full)
    assert len(gates._gates) == before
