"""A gate before a neighbour: however slow it is, only some threads of a process are ever with it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from weakref import WeakSet

# A neighbour in health frees a place within that; whoever waits longer keeps a thread from others.
BRIEFLY = 0.5


class Gate:
    """Lets so many threads through at once, and half as many wait for their turn; raises `full` for the rest.

    It stands in the memory of one process: a worker that is killed leaves no place taken, and one that
    is forked finds all of them free.
    """

    def __init__(self, places: int, full: type[Exception]) -> None:
        self.places = places
        self.full = full
        self._open()
        _gates.add(self)

    @contextmanager
    def place(self, wait: float = BRIEFLY) -> Iterator[None]:
        """A place until the end of the block; `wait` is how many seconds a turn may be waited for."""
        inside = self._inside
        if not (inside.acquire(blocking=False) or self._wait(wait)):
            raise self.full(f"{self.places} of this process are there already")
        try:
            yield
        finally:
            inside.release()

    def _wait(self, seconds: float) -> bool:
        # Who waits holds a thread as well, so that only few may.
        if not seconds or not self._waiting.acquire(blocking=False):
            return False
        try:
            return self._inside.acquire(timeout=seconds)
        finally:
            self._waiting.release()

    def _open(self) -> None:
        self._inside = BoundedSemaphore(self.places)
        self._waiting = BoundedSemaphore(-(-self.places // 2))


_gates: WeakSet[Gate] = WeakSet()


def _open_all() -> None:
    for gate in _gates:
        gate._open()


os.register_at_fork(after_in_child=_open_all)
