"""What a demo will not start with is a sentence, before anything was written or started."""

import os
import re
import stat
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from storefront import demo
from storefront.cli import main
from storefront.config import PACKAGE
from tests.demo import own_ports

PORTS = demo.ports()


def run(folder: Path, *words: str, **exported: str) -> Result:
    ports = [f"--{name}-port={port}" for name, port in own_ports().items()]
    before = dict(os.environ)
    try:
        return CliRunner(env=exported).invoke(main, [*words, "--data", str(folder), *ports])
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.parametrize(
    "address", ["shop.test", "https://shop.test/path", "ftp://shop.test", "http://店.test"]
)
def test_an_address_that_is_none(tmp_path: Path, address: str) -> None:
    """`--shop-url` is checked as an option, and no settings are written."""
    done = run(tmp_path, "sandbox", "--shop-url", address)
    assert done.exit_code == 2, done.output
    assert "--shop-url" in done.output
    assert not (tmp_path / "demo.env").exists()


@pytest.mark.parametrize("name", ["a,b", "a\nb"])
def test_a_folder_that_no_setting_can_name(tmp_path: Path, name: str) -> None:
    """It is said in a sentence, and the folder is not even made."""
    done = run(tmp_path / name, "demo")
    assert done.exit_code == 1, done.output
    assert "choose another with --data" in done.output
    assert "STOREFRONT_" not in done.output
    assert list(tmp_path.iterdir()) == []


def test_settings_are_written_whole(tmp_path: Path) -> None:
    """Where the new ones cannot be written to their end, those of the last start stay."""
    demo.keep({"STOREFRONT_SECRET_KEY": "kept"}, tmp_path)
    with pytest.raises(UnicodeEncodeError):
        demo.keep({"STOREFRONT_SECRET_KEY": "new", "SANDBOX_KEYS": "/nowhere/\udcff"}, tmp_path)
    assert demo.kept(tmp_path) == {"STOREFRONT_SECRET_KEY": "kept"}


def test_no_certificates(tmp_path: Path) -> None:
    """A file for `--shop-ca` that has none in PEM is said to be so at the start."""
    (tmp_path / "ca.pem").write_text("none")
    done = run(tmp_path, "sandbox", "--shop-url", "https://shop.test", "--shop-ca", str(tmp_path / "ca.pem"))
    assert done.exit_code == 1, done.output
    assert "SANDBOX_SHOP_CA: has no certificates in PEM" in done.output
    assert not (tmp_path / "demo.env").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("SANDBOX_RATE_LIMIT", "many"), ("SANDBOX_APPROVED", "perhaps")],
)
def test_what_a_platform_is_told(tmp_path: Path, name: str, value: str) -> None:
    """A wrong value in the environment is named before any server starts."""
    done = run(tmp_path, "sandbox", **{name: value})
    assert done.exit_code == 1, done.output
    assert f"{name}: " in done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "demo.env").exists()


def test_each_command_of_the_readme() -> None:
    """What the operator can ask of a shop can be asked of the demo's."""
    table = (PACKAGE / "README.md").read_text().split("### What the operator can ask\n")[1].split("\n#")[0]
    rows = re.findall(r"(?m)^\| (`storefront .+?) \|", table)
    asked = {name for row in rows for name in re.findall(r"`(?:storefront )?([a-z-]+)", row)}
    assert {"doctor", "backup"} <= asked
    without = {
        name for name, one in main.commands.items() if "demo" not in {each.name for each in one.params}
    }
    assert not asked & without


@pytest.mark.long
@pytest.mark.parametrize("command", ["operator", "outstanding", "daily", "doctor"])
def test_no_demo_was_started(tmp_path: Path, command: str) -> None:
    """What is said of the demo is of the one in this folder, never of whatever shop is exported."""
    exported = {f"STOREFRONT_{name}": value for name, value in SHOP.items()}
    done = run_of_demo(command, tmp_path, f"sqlite:///{tmp_path}/shop.db", exported)
    assert done.exit_code == 1, done.output
    assert f"no demo was started in {tmp_path}" in done.output


SHOP = {
    "SECRET_KEY": "thirty-two characters, or rather more",
    "PUBLIC_URL": "http://shop.test",
    "MIXI_APP_ID": "1",
    "MIXI_CONSUMER_KEY": "key",
    "MIXI_CONSUMER_SECRET": "secret",
    "MIXI_CONTAINER_URL": "http://ma.mixi.net/1/",
    "MIXI_PLATFORM_HOSTS": "ma.mixi.net",
}


def run_of_demo(command: str, folder: Path, database: str, exported: dict[str, str]) -> Result:
    environment = {**exported, "STOREFRONT_DATABASE_URL": database}
    CliRunner(env=environment).invoke(main, ["upgrade"])
    return CliRunner(env=environment).invoke(main, [command, "--demo", "--data", str(folder)])


def test_no_file_stands_against_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a demo sets counts, whatever file or spelling of the same is exported."""
    names = ("STOREFRONT_DATABASE_URL_FILE", "STOREFRONT_SECRET_KEY_FILE", "storefront_public_url")
    for name in names:
        monkeypatch.setenv(name, "/nowhere")
    settings = demo.environment(PORTS, tmp_path)
    for name in settings:
        monkeypatch.setenv(name, "")
    demo.take(settings)
    assert not set(names) & set(os.environ)
    assert settings.items() <= os.environ.items()


def test_whose_purchases_are_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported choice of test owners is kept: the developer's page advises it."""
    monkeypatch.setenv("STOREFRONT_MIXI_TEST_OWNERS", "*")
    assert demo.environment(PORTS, tmp_path)["STOREFRONT_MIXI_TEST_OWNERS"] == "*"


def test_the_same_port_twice(tmp_path: Path) -> None:
    """Two servers at one port are called that."""
    done = CliRunner().invoke(
        main, ["demo", "--data", str(tmp_path), "--shop-port=18765", "--sandbox-port=18765"]
    )
    assert done.exit_code == 2
    assert "--shop-port and --sandbox-port are the same" in done.output


@pytest.mark.parametrize("name", ["running", "demo.env"])
def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    """A link in the demo's folder leads nobody to write secrets into another's file."""
    data, foreign = tmp_path / "data", tmp_path / "foreign"
    data.mkdir()
    foreign.write_text("mine")
    (data / name).symlink_to(foreign)
    with pytest.raises(click.ClickException, match=f"{name} is a link"), demo.alone(data, "http://here/"):
        demo.keep({"A_SECRET": "secret"}, data)
    assert foreign.read_text() == "mine"


@pytest.mark.parametrize("name", ["sandbox.db", "keys", "keys/lc_sandbox.key"])
def test_nor_one_to_what_has_secrets(tmp_path: Path, name: str) -> None:
    """Nor do databases or keys stand behind one."""
    place = tmp_path / "data" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "foreign")
    with pytest.raises(click.ClickException, match="is a link"), demo.alone(tmp_path / "data", ""):
        pass


@pytest.mark.parametrize("name", ["running", "demo.env", "sandbox.db", "keys/lc_sandbox.key"])
def test_what_was_open_is_closed(tmp_path: Path, name: str) -> None:
    """A file with secrets that others could read is its owner's alone from the start on."""
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    file.chmod(0o644)
    with demo.alone(tmp_path, ""):
        demo.keep({}, tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    """A damaged file of settings is a sentence."""
    (tmp_path / "demo.env").write_text("A='")
    with pytest.raises(click.ClickException, match="cannot be read"):
        demo.kept(tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://h:9/x?user=u&password=pa55word",
        "postgresql://u:pa55word@127.0.0.1:9/x?sslpassword=pa55word",
        "postgresql://h:pa55word/x",
        "pa55word",
        "postgresql://127.0.0.1:9/x?password=pa55word&passw0rd=pa55word",
    ],
)
def test_no_password_is_printed(tmp_path: Path, address: str) -> None:
    """However an address has its password, no error has it."""
    done = run(tmp_path, "demo", "--database", address)
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert "pa55word" not in done.output


def test_which_commands_work_on_a_demos_shop() -> None:
    """All that README tells the operator of, but what went with a counter; it says so itself."""
    readme = (Path(__file__).parents[1] / "storefront/README.md").read_text()
    told = readme.partition("### What the operator can ask")[2].partition("\n###")[0]
    names = set(re.findall(r"^\| `storefront ([a-z-]+)", told, re.MULTILINE)) & main.commands.keys()
    assert {"doctor", "backup", "grant"} < names
    options = {
        name: {flag for option in main.commands[name].params for flag in option.opts} for name in names
    }
    assert not [name for name, flags in options.items() if not {"--demo", "--data"} <= flags]
