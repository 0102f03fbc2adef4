"""Places for which threads stand in line: first come, first served."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

from storefront.clock import monotonic


class Places:
    """So many threads at once; who comes beyond waits for the one who came before."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = Lock()
        self._line: list[Event] = []  # who is inside stands at its head
        self._moved = monotonic()

    @contextmanager
    def one(self, seconds: float) -> Iterator[bool]:
        """A place until the end of the block; false if none came within so many seconds."""
        turn = Event()
        with self._lock:
            self._line.append(turn)
            self._call()
        try:
            yield turn.wait(seconds)
        finally:
            with self._lock:
                self._line.remove(turn)
                self._call(left=turn.is_set())

    def still_for(self) -> float:
        """Seconds since somebody last came in or left; who waited in vain did neither."""
        return monotonic() - self._moved

    def _call(self, left: bool = False) -> None:
        coming = [turn for turn in self._line[: self._count] if not turn.is_set()]
        for turn in coming:
            turn.set()
        if coming or left:
            self._moved = monotonic()
