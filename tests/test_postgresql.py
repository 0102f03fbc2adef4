"""The one server of a run: shared by all who need it, and never left behind."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from os import kill
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.demo import wait_for
from tests.postgresql import IS_HERE, PLACE
from tests.proof.served import ROOT

pytestmark = pytest.mark.long

USER = """
import sys
from pathlib import Path
from tests.postgresql import server
with server(Path(sys.argv[1])) as found:
    print(found.pid, flush=True)
    sys.stdin.read()
"""


@contextmanager
def user(meeting: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds on to the server until it is told to end."""
    if not IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    command = [sys.executable, "-c", USER, str(meeting)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's background ignores it
    ) as process:
        yield process
        with suppress(ProcessLookupError):
            process.kill()


def said(process: "subprocess.Popen[str]") -> int:
    assert process.stdout
    return int(process.stdout.readline())


def lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        kill(pid, 0)
        return True
    return False


def test_there_is_one_for_all(tmp_path: Path) -> None:
    """Processes that start at the same moment have the same server, and it stays while one of them does."""
    with ExitStack() as stack:
        users = [stack.enter_context(user(tmp_path)) for _ in range(3)]
        servers = {said(each) for each in users}
        assert len(servers) == 1
        (server,) = servers
        for gone in users[1:]:
            gone.kill()
            gone.wait()
        assert lives(server)
    wait_for(lambda: not lives(server))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_goes_with_its_users(tmp_path: Path, number: int) -> None:
    """However a run ends, its server and the server's files are gone; the next run has another one."""
    assert ended(tmp_path, number) != ended(tmp_path, number)


def ended(meeting: Path, number: int) -> Path:
    """Where the files of a server were whose only user was ended by a signal."""
    with user(meeting) as process:
        server, data = said(process), Path((meeting / PLACE).read_text())
        process.send_signal(number)
        wait_for(lambda: not lives(server) and not data.parent.exists())
    return data
