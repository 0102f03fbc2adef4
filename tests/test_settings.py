"""What the shop needs to start, and how it says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storefront import config, create_app
from storefront.config import PREFIX, Settings, SettingsError

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
    settings = config.read()
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
        config.read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        ("PUBLIC_URL", "shop.test"),
        ("PUBLIC_URL", "http://shop.test/path"),
        ("PUBLIC_URL", "ftp://shop.test"),
        ("MIXI_CONTAINER_URL", "http://ma.mixi.net/1"),
        ("MIXI_PLATFORM_HOSTS", " , "),
        ("MIXI_PLATFORM_HOSTS", "http://mixi.net"),
        ("MIXI_PLATFORM_HOSTS", "mixi.net; script-src *"),
        ("EXTERNAL_PROVIDER_HOSTS", "https://provider.test"),
        ("MIXI_CLOCK_SKEW", "31"),
        ("MIXI_TOTAL_SECONDS", "10"),
    ],
)
def test_wrong(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A weak or wrong setting is named in full, and its value is not repeated."""
    environment.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=PREFIX + name) as error:
        config.read()
    assert "short" not in str(error.value)


def test_an_address_that_is_too_long(environment: pytest.MonkeyPatch) -> None:
    """The shop does not start where mixi would refuse the callback's or the finish page's address."""
    environment.setenv(f"{PREFIX}DATABASE_URL", "sqlite://")
    environment.setenv(f"{PREFIX}PUBLIC_URL", f"https://{'a' * 195}.test")
    create_app()
    environment.setenv(f"{PREFIX}PUBLIC_URL", f"https://{'a' * 196}.test")
    with pytest.raises(SettingsError, match="at most 255"):
        create_app()


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


def test_the_readme_lists_every_setting() -> None:
    """README and config.py name the same settings."""
    readme = (ROOT / "README.md").read_text()
    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in readme] == []


def test_secrets_are_not_printed(environment: pytest.MonkeyPatch) -> None:
    """Printed settings keep their secrets."""
    printed = repr(config.read())
    assert "007" not in printed
    assert GOOD["SECRET_KEY"] not in printed
