"""What the shop needs to start, and how it says so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from storefront import SETTINGS, Settings, config, create_app
from storefront.cli import main
from storefront.config import PACKAGE, PREFIX, SettingsError

ROOT = Path(__file__).parent.parent
GOOD = {
    "SECRET_KEY": "thirty-two characters, or rather more",
    "PUBLIC_URL": "http://shop.test",
    "MIXI_APP_ID": "1",
    "MIXI_CONSUMER_KEY": "1e5",
    "MIXI_CONSUMER_SECRET": "007",
    "MIXI_CONTAINER_URL": "http://ma.mixi.net/1/",
    "MIXI_PLATFORM_HOSTS": "mixi.net, ma.mixi.net:8080",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(PREFIX + name, value)
    return monkeypatch


def test_these_are_enough(environment: pytest.MonkeyPatch) -> None:
    """Seven settings are required, the rest have defaults; what looks like a number stays text."""
    settings = config.read(Settings)
    assert settings.mixi_consumer_key == "1e5"
    assert settings.mixi_consumer_secret.get_secret_value() == "007"
    assert settings.mixi_platform_hosts == ("mixi.net", "ma.mixi.net:8080")
    required = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    assert required == set(GOOD)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [None, ""])
def test_missing(environment: pytest.MonkeyPatch, name: str, value: str | None) -> None:
    """A missing setting is named in full."""
    if value is None:
        environment.delenv(PREFIX + name)
    else:
        environment.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=f"{PREFIX}{name}: is missing"):
        config.read(Settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", " " * 40),
        ("SECRET_KEY_PREVIOUS", "short"),
        ("METRICS_TOKEN", "short"),
        ("METRICS_TOKEN", " " * 40),
        ("MIXI_CONSUMER_SECRET", " "),
        ("MIXI_CONSUMER_SECRET_PREVIOUS", "\t"),
        ("MIXI_APP_ID", " "),
        ("MIXI_CONSUMER_KEY", " "),
        ("PUBLIC_URL", "shop.test"),
        ("PUBLIC_URL", "http://shop.test/path"),
        ("PUBLIC_URL", "ftp://shop.test"),
        ("PUBLIC_URL", "http://shop .test"),
        ("PUBLIC_URL", "http://shop.test;script-src"),
        ("PUBLIC_URL", "http://shop.test,evil.test"),
        ("PUBLIC_URL", "http://shop.test:65536"),
        ("PUBLIC_URL", "http://shop.test:0"),
        ("PUBLIC_URL", "http://shop.test:x"),
        ("PUBLIC_URL", "http://shop.test:"),
        ("PUBLIC_URL", "http://店.test"),
        ("PUBLIC_URL", "http://name@shop.test"),
        ("PUBLIC_URL", "http://[::1"),
        ("PUBLIC_URL", "http://[::::]"),
        ("PUBLIC_URL", "http://[shop.test]"),
        ("PUBLIC_URL", "http://::1"),
        ("MIXI_POINT_URL", "http://api.test:99999/atom"),
        ("MIXI_POINT_URL", "http://api.test/a tom"),
        ("MIXI_CONFIRM_URL", "https://api.test;x/atom"),
        ("MIXI_APP_URL", "http://店.test/"),
        ("MIXI_PLATFORM_HOSTS", "mixi.net:65536"),
        ("MIXI_PLATFORM_HOSTS", "[::::]"),
        ("MIXI_PLATFORM_HOSTS", "::1"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "mysql://shop@db/shop"),
        ("DATABASE_URL", "oracle+nothing://db"),
        ("DATABASE_URL", "postgresql+psycopg2://db/shop"),
        ("DATABASE_URL", "postgresql://db:port/shop"),
        ("DATABASE_URL", "sqlite:///shop.db?timeout=short"),
        ("DATABASE_URL", " "),
        ("MIXI_CONTAINER_URL", "http://ma.mixi.net/1"),
        ("MIXI_PLATFORM_HOSTS", " , "),
        ("MIXI_PLATFORM_HOSTS", "http://mixi.net"),
        ("MIXI_PLATFORM_HOSTS", "mixi.net; script-src *"),
        ("MIXI_TEST_OWNERS", "mo3mika mo3hanako"),
        ("MIXI_TEST_OWNERS", "mo3mika;mo3hanako"),
        ("MIXI_TEST_OWNERS", "mo3mika,１２３"),
        ("MIXI_TEST_OWNERS", "mo3mika," + "m" * 65),
        ("MIXI_CERTIFICATES", "pc:a key=/nowhere.pem"),
        ("MIXI_CLOCK_SKEW", "31"),
        ("SECRET_KEY", "thirty-two characters,\nor rather more"),
        ("METRICS_TOKEN", "thirty-two characters,\ror rather more"),
        ("MIXI_CONSUMER_KEY", "a\x7fb"),
        ("MIXI_CONSUMER_SECRET", "a\nb"),
        ("LEGAL_OPERATOR", "a\x85b"),
        ("MIXI_TOTAL_SECONDS", "10"),
        ("UNDER_AGE_LIMITS", "15:5000,15:900"),
    ],
)
def test_wrong(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A weak or wrong setting is named in full, and its value is not repeated."""
    environment.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=PREFIX + name) as error:
        config.read(Settings)
    assert "short" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SELLING", "perhaps", "must be true or false"),
        ("THREADS", "many", "must be a whole number"),
        ("THREADS", "0", "must be at least 1"),
        ("MIXI_READ_SECONDS", "soon", "must be a number"),
        ("MIXI_READ_SECONDS", "11", "must be at most 10"),
        ("MIXI_READ_SECONDS", "0", "must be more than 0"),
    ],
)
def test_plain_words(environment: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    """What is wrong with a value is said in words of ours."""
    environment.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=f"{PREFIX}{name}: {said}$"):
        config.read(Settings)


def test_a_folder_for_the_metrics(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that cannot be made is a sentence that names its setting, in every command."""
    (tmp_path / "file").touch()
    environment.setenv(f"{PREFIX}METRICS_TOKEN", "a token of thirty-two characters, or more")
    environment.setenv(f"{PREFIX}METRICS_FOLDER", str(tmp_path / "file" / "metrics"))
    for command in ("upgrade", "outstanding", "operator", "ledger"):
        done = CliRunner().invoke(main, [command])
        assert done.exit_code == 1
        assert f"{PREFIX}METRICS_FOLDER: {tmp_path}/file/metrics cannot be made" in done.output
    (line,) = (
        line for line in CliRunner().invoke(main, ["doctor"]).output.splitlines() if "METRICS_F" in line
    )
    assert line.startswith("FAIL")


def test_numbers_have_an_end(environment: pytest.MonkeyPatch) -> None:
    """No number is so large that a moment or a queue could not be reckoned with it."""
    numbers = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]
    for name in numbers:
        environment.setenv(f"{PREFIX}{name.upper()}", "99999999999")
    with pytest.raises(SettingsError) as error:
        config.read(Settings)
    assert [name for name in numbers if f"{PREFIX}{name.upper()}" not in str(error.value)] == []


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("MIXI_PLATFORM_HOST", "MIXI_PLATFORM_HOSTS"),
        ("SECRETKEY", "SECRET_KEY"),
        ("MIXI_CONSUMER_SECRET_PREVIOS", "MIXI_CONSUMER_SECRET_PREVIOUS"),
        ("METRICS_TOKEN_FIL", "METRICS_TOKEN_FILE"),
        ("PORT", None),
    ],
)
def test_unknown(environment: pytest.MonkeyPatch, name: str, nearest: str | None) -> None:
    """A name that is none of ours refuses to start, beside the nearest; after a roll-back it may stay."""
    environment.setenv(PREFIX + name, "8000")
    with pytest.raises(SettingsError, match=f"{PREFIX}{name}: is no setting") as error:
        config.read(Settings)
    assert ("did you mean" in str(error.value)) is (nearest is not None)
    if nearest:
        assert f"did you mean {PREFIX}{nearest}?" in str(error.value)
    environment.setenv(f"{PREFIX}ALLOW_UNKNOWN", "true")
    config.read(Settings)


def test_unknown_and_missing_at_once(environment: pytest.MonkeyPatch) -> None:
    """A name that was misspelt stands beside the one that is missing for it."""
    environment.delenv(f"{PREFIX}MIXI_APP_ID")
    environment.setenv(f"{PREFIX}MIXI_AP_ID", "1")
    with pytest.raises(SettingsError) as error:
        config.read(Settings)
    assert f"{PREFIX}MIXI_APP_ID: is missing" in str(error.value)
    assert f"{PREFIX}MIXI_AP_ID: is no setting; did you mean {PREFIX}MIXI_APP_ID?" in str(error.value)


def test_names_of_other_programs(environment: pytest.MonkeyPatch) -> None:
    """What Kubernetes says of services called storefront and storefront-db is no setting, and no mistake."""
    for service in ("STOREFRONT", "STOREFRONT_DB"):
        for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8000_TCP_ADDR"):
            environment.setenv(f"{service}_{name}", "10.0.0.1")
    environment.setenv("STOREFRONTS", "10.0.0.1")
    config.read(Settings)


@pytest.mark.parametrize(
    "written", ["postgres://shop@db/shop", "postgresql://shop@db/shop", "postgresql+psycopg://shop@db/shop"]
)
def test_an_address_of_postgresql(environment: pytest.MonkeyPatch, written: str) -> None:
    """However its scheme is written, PostgreSQL is spoken to by our driver."""
    environment.setenv(f"{PREFIX}DATABASE_URL", written)
    assert config.read(Settings).database_url == "postgresql+psycopg://shop@db/shop"


@pytest.mark.parametrize(
    "url", ["http://[::1]:8000", "https://[2001:db8::1]", "HTTPS://Shop.Example.com:8000"]
)
def test_an_address_of_ours(environment: pytest.MonkeyPatch, url: str) -> None:
    """A host may be an IPv6 address in brackets; capitals mean nothing."""
    environment.setenv(f"{PREFIX}PUBLIC_URL", url)
    assert config.read(Settings).public_url == url.lower()


def test_hosts_in_brackets(environment: pytest.MonkeyPatch) -> None:
    """A platform at an IPv6 address is one of the platform's hosts."""
    environment.setenv(f"{PREFIX}MIXI_PLATFORM_HOSTS", "[::1]:8001,[2001:DB8::1]")
    hosts = config.read(Settings).mixi_platform_hosts
    assert hosts == ("[::1]:8001", "[2001:db8::1]")
    for url in ("http://[::1]:8001/point", "https://[2001:db8::1]/point", "https://[2001:db8::1]:443/"):
        assert not config.names(url).isdisjoint(hosts)
    for url in ("http://[::1]/point", "http://[::1]:8000/", "https://[2001:db8::2]/"):
        assert config.names(url).isdisjoint(hosts)


def test_secrets_in_files(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What nobody should read may stand in a file, whose last line may have an end."""
    for name, value in (
        ("SECRET_KEY", "a key of 32 characters from a file"),
        ("MIXI_CONSUMER_SECRET", "from a file & more"),
        ("DATABASE_URL", "postgres://shop:pa55word@db/shop"),
    ):
        environment.delenv(PREFIX + name, raising=False)
        file = tmp_path / name
        file.write_text(f"{value}\n")
        environment.setenv(f"{PREFIX}{name}_FILE", str(file))
    settings = config.read(Settings)
    assert settings.secret_key.get_secret_value() == "a key of 32 characters from a file"
    assert settings.mixi_consumer_secret.get_secret_value() == "from a file & more"
    assert settings.database_url == "postgresql+psycopg://shop:pa55word@db/shop"


@pytest.mark.parametrize("end", ["\n", "\r\n", " \t", "\ufeff", "\ufeff\n ", "\u3000"])
def test_one_key_given_in_two_ways(environment: pytest.MonkeyPatch, tmp_path: Path, end: str) -> None:
    """What nobody sees around a setting is no part of it, in the environment as in a file."""
    for name, value in GOOD.items():
        environment.setenv(PREFIX + name, f"{end}{value}{end}")
    here = config.read(Settings)
    for field in config.in_files(Settings):
        name = PREFIX + field.upper()
        if field.upper() in GOOD:
            environment.delenv(name)
            (tmp_path / field).write_text(f"{end}{GOOD[field.upper()]}{end}", newline="")
            environment.setenv(f"{name}_FILE", f"{tmp_path / field}{end}")
    there = config.read(Settings)
    assert here == there
    assert here.mixi_consumer_secret.get_secret_value() == GOOD["MIXI_CONSUMER_SECRET"]
    assert (here.public_url, here.mixi_app_id) == (GOOD["PUBLIC_URL"], "1")


@pytest.mark.parametrize("nothing", ["", "\n"])
def test_a_rotation_that_is_over(environment: pytest.MonkeyPatch, tmp_path: Path, nothing: str) -> None:
    """An empty file for the key before is no key, as an empty variable is."""
    for name in ("SECRET_KEY_PREVIOUS", "MIXI_CONSUMER_SECRET_PREVIOUS"):
        (tmp_path / name).write_text(nothing)
        environment.setenv(f"{PREFIX}{name}_FILE", str(tmp_path / name))
    settings = config.read(Settings)
    assert settings.secret_key_previous is None
    assert settings.mixi_consumer_secret_previous is None


def test_every_secret_may_stand_in_a_file() -> None:
    """Whatever is kept from print may be kept from the environment as well."""
    secrets = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert set(config.in_files(Settings)) == {*secrets, "database_url"}


def test_files_that_cannot_be_read(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that is missing, empty, no text or one too many is said to be, and nothing else with it."""
    files = {
        "SECRET_KEY": None,
        "METRICS_TOKEN": b"",
        "MIXI_CONSUMER_SECRET": b"x",
        "MIXI_CONSUMER_SECRET_PREVIOUS": b"\xff",
    }
    environment.delenv(f"{PREFIX}SECRET_KEY")
    for name, content in files.items():
        environment.setenv(f"{PREFIX}{name}_FILE", str(tmp_path / name))
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError) as error:
        config.read(Settings)
    assert str(error.value).splitlines()[1:] == [
        f"  {PREFIX}SECRET_KEY_FILE: the file cannot be read (No such file or directory)",
        f"  {PREFIX}MIXI_CONSUMER_SECRET_FILE: {PREFIX}MIXI_CONSUMER_SECRET is set as well: keep one of them",
        f"  {PREFIX}MIXI_CONSUMER_SECRET_PREVIOUS_FILE: the file is no text in UTF-8",
        f"  {PREFIX}METRICS_TOKEN: is blank",
    ]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://shop.test", True),
        ("http://192.0.2.1:8000", True),
        ("http://127.0.0.1.evil.test", True),
        ("http://127.8.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("http://localhost", False),
        ("https://shop.test", False),
    ],
)
def test_the_start_warns_of_http(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, said: bool
) -> None:
    """A public address that others can listen to is named in the log when the shop starts."""
    environment.setenv(f"{PREFIX}DATABASE_URL", "sqlite://")
    environment.setenv(f"{PREFIX}PUBLIC_URL", url)
    environment.setenv(f"{PREFIX}MIXI_POINT_URL", "https://api.test/atom")
    create_app()
    warnings = [line for line in capsys.readouterr().err.splitlines() if "not https" in line]
    assert bool(warnings) is said
    assert all(f"setting={PREFIX}PUBLIC_URL" in line for line in warnings)


def test_the_start_warns_of_the_callbacks_word(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """mixi's published address for new payments is http, and the word of a callback travels there."""
    environment.setenv(f"{PREFIX}DATABASE_URL", "sqlite://")
    create_app()
    said = capsys.readouterr().err
    assert any("not https" in line and f"{PREFIX}MIXI_POINT_URL" in line for line in said.splitlines())


@pytest.mark.long
def test_the_zones_of_the_world_come_along() -> None:
    """Japan's time is known on a host that has no zones of its own."""
    program = "from storefront import clock; print(clock.JAPAN)"
    bare = {**os.environ, "PYTHONTZPATH": ""}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=bare, capture_output=True, text=True)
    assert done.stdout == "Asia/Tokyo\n", done.stderr


def test_an_address_that_is_too_long(environment: pytest.MonkeyPatch) -> None:
    """The shop does not start where mixi would refuse the callback's or the finish page's address."""
    environment.setenv(f"{PREFIX}DATABASE_URL", "sqlite://")
    environment.setenv(f"{PREFIX}PUBLIC_URL", f"https://{'a' * 195}.test")
    create_app()
    environment.setenv(f"{PREFIX}PUBLIC_URL", f"https://{'a' * 196}.test")
    with pytest.raises(SettingsError, match="at most 255"):
        create_app()


@pytest.mark.long
def test_the_server_refuses_to_start() -> None:
    """Every missing setting at once, by its full name, and no process that serves unsigned."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0"]
    for more in ([], ["--check-config"]):
        ended = subprocess.run(
            [*command, *more, "wsgi:app"], cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode != 0
        for name in GOOD:
            assert f"{PREFIX}{name}: is missing" in ended.stderr + ended.stdout


def test_each_readme_has_what_the_command_prints() -> None:
    """The tables of `storefront settings --markdown` stand in the README of the room that they are about."""
    printed = CliRunner().invoke(main, ["settings", "--markdown"]).output
    tables = dict(re.findall(r"^### (.+)\n\n((?:\|.+\n)+)", printed, re.MULTILINE))
    assert len(tables) == 1 + len(SETTINGS)
    names = re.findall(r"^\| `(\w+)` \|", printed, re.MULTILINE)
    assert {name.lower() for name in names} == set(Settings.model_fields)
    for title, table in tables.items():
        room = PACKAGE if title == "The house" else PACKAGE / title
        assert table in (room / "README.md").read_text(), f"storefront settings --markdown, into {room}"


def test_secrets_are_not_printed(environment: pytest.MonkeyPatch) -> None:
    """Printed settings keep their secrets."""
    environment.setenv(f"{PREFIX}DATABASE_URL", "postgresql://shop:pa55word@db/shop")
    printed = repr(config.read(Settings))
    assert "007" not in printed
    assert "pa55word" not in printed
    assert GOOD["SECRET_KEY"] not in printed


def test_the_configured_catalogue_is_checked(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`storefront catalog --check` reads the file that the environment names, and no other setting."""
    for name in GOOD:
        environment.delenv(PREFIX + name)
    environment.setenv(f"{PREFIX}CATALOG", str(tmp_path / "mine.yaml"))
    done = CliRunner().invoke(main, ["catalog", "--check"])
    assert done.exit_code == 1
    assert f"{tmp_path}/mine.yaml: cannot be read" in done.output


def test_a_drawing_that_is_not_there(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The check names the line of an item without its drawing, and a drawing without its twin."""
    file, art = tmp_path / "mine.yaml", tmp_path / "art"
    art.mkdir()
    shipped = (Path(__file__).parent / "goods.yaml").read_text()
    file.write_text(shipped)
    environment.setattr(config, "folder", lambda name: tmp_path)
    asked = ["catalog", "--check", str(file)]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 1
    drawings = re.findall(r"art: (\S+)", shipped)
    line = shipped[: shipped.index("- id:")].count("\n") + 1
    assert f"{file}:{line}: art: {art} has no {drawings[0]}" in done.output
    for name in drawings:
        (art / name).write_text("<svg/>")
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 0
    assert f"{drawings[0]} has no GIF for mobile phones: `storefront art` draws it." in done.output


def test_days_in_the_wrong_order(environment: pytest.MonkeyPatch) -> None:
    """A first day after the last is a mistake, not an empty book."""
    done = CliRunner().invoke(main, ["ledger", "--from", "2027-02-01", "--until", "2027-01-31"])
    assert done.exit_code == 2
    assert "--from is after --until" in done.output


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_that_is_forgotten(environment: pytest.MonkeyPatch, address: str) -> None:
    """Nothing is put into a database in memory, which ends with the command."""
    environment.setenv(f"{PREFIX}DATABASE_URL", address)
    for command in ("upgrade", "catalog"):
        done = CliRunner().invoke(main, [command])
        assert done.exit_code == 1
        assert "SQLite in memory keeps nothing" in done.output


def test_no_address_before_the_tables(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The operator is given no address that cannot be used."""
    environment.setenv(f"{PREFIX}DATABASE_URL", f"sqlite:///{tmp_path}/shop.db")
    (tmp_path / "shop.db").touch()
    done = CliRunner().invoke(main, ["operator"])
    assert done.exit_code == 1
    assert "token=" not in done.output
    assert "storefront upgrade" in done.output


def test_an_upgrade_does_not_advise_itself(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever is upgrading is not told to upgrade first."""
    environment.setenv(f"{PREFIX}DATABASE_URL", f"sqlite:///{tmp_path}")
    done = CliRunner().invoke(main, ["upgrade"])
    assert done.exit_code == 1
    assert "run `storefront upgrade`" not in done.output
    assert "storefront doctor" in done.output
