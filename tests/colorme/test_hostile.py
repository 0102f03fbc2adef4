"""A small, seeded share of the hostile hooks; the whole of it is `python -m tests.colorme.hostile`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from storefront import strict_json
from storefront.colorme import hooks
from tests.colorme import hostile
from tests.colorme.conftest import SECRET, Hooks, installed
from tests.conftest import lacking
from tests.databases import ENGINES, new_database, on_sqlite

FEW, SEED = 1500, 20260101
OPENSSL = 'openssl dgst -sha256 -hmac "$SECRET" -binary | base64'


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_hostile_hooks(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """No 5xx but 503, JSON at every status, and nothing is kept of what was refused."""
    url = f"sqlite:///{tmp_path}/shop.db"
    if engine == "postgresql":
        url = new_database(request.getfixturevalue("postgresql"), "hooks")
    with hostile.shop(url) as app:
        found = hostile.run(app, FEW, SEED)
    assert not found.violations, found
    assert {"200", "400", "401", "422"} <= set(found.outcomes)


@pytest.mark.long
def test_a_planted_mistake_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes JSON as it comes is caught."""
    monkeypatch.setattr(strict_json, "_bounded", lambda value, levels: None)
    monkeypatch.setattr(hooks, "Malformed", KeyError)
    with hostile.shop(f"sqlite:///{tmp_path}/shop.db") as app:
        assert hostile.run(app, 200, SEED).violations


@on_sqlite
def test_signed_by_openssl(hooks: Hooks) -> None:
    """A hook that another program has signed is believed, and its altered twin is not."""
    if shutil.which("openssl") is None:
        lacking("no openssl")
    body = str(installed()).replace("'", '"').encode()
    known = {**os.environ, "SECRET": SECRET}
    signed = subprocess.run(["sh", "-c", OPENSSL], input=body, env=known, capture_output=True)
    given = {"X-Appstore-Signature": signed.stdout.decode().strip()}
    twin = body.replace(b"LANTERN1", b"LANTERN2")
    assert hooks.send("/colorme/install", twin, **given).status_code == 401
    assert hooks.send("/colorme/install", body, **given).status_code == 200
