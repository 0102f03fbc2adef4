"""Every command that asks the database says in a sentence that it is none."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from storefront.cli import main
from storefront.config import PREFIX
from tests.test_settings import GOOD

COMMANDS = [
    "upgrade", "catalog", "doctor", "doctor --books", "doctor --books --rebuild", "outstanding", "ledger",
    "ledger --totals", "operator", "check code", "backup copy.db",
]  # fmt: skip
ADDRESSES = {
    "no address": "nonsense",
    "a secret in no address": "mysql://shop:pa55word@db/shop",
    "nobody": "postgres://shop:pa55word@127.0.0.1:9/shop",
    "no port": "postgres://shop:pa55word@127.0.0.1:99999/shop",
    "no option": "postgres://shop:pa55word@127.0.0.1:9/shop?colour=red",
    "no folder": "sqlite:///{folder}/words.txt/shop.db",
    "a folder": "sqlite:///{folder}",
    "no database": "sqlite:///{folder}/words.txt",
    "not migrated": "sqlite:///{folder}/fresh.db",
}
NOT_MIGRATED = [one for one in COMMANDS if one not in ("upgrade", "backup copy.db")]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("address", ["no address", "nobody", "no folder", "no database"])
def test_every_command(tmp_path: Path, command: str, address: str) -> None:
    """A database that nobody can use is a sentence and an exit status, never a traceback or a password."""
    consult(tmp_path, command, ADDRESSES[address])


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_address(tmp_path: Path, address: str) -> None:
    """The same of every such address."""
    consult(tmp_path, "outstanding", ADDRESSES[address])


@pytest.mark.parametrize("command", NOT_MIGRATED)
def test_a_database_that_is_not_migrated(tmp_path: Path, command: str) -> None:
    """Before `storefront upgrade` every other command says what is missing."""
    assert "storefront upgrade" in consult(tmp_path, command, ADDRESSES["not migrated"])


def consult(folder: Path, command: str, address: str) -> str:
    (folder / "words.txt").write_text("no database " * 100)
    settings = {**GOOD, "DATABASE_URL": address.format(folder=folder)}
    words = command.split()
    if words[0] == "backup":
        words[1] = str(folder / words[1])
    done = CliRunner(env={PREFIX + name: value for name, value in settings.items()}).invoke(main, words)
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert "Traceback" not in done.output
    assert "pa55word" not in done.output
    assert done.output.strip()
    return done.output
