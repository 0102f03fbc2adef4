"""Signatures held against another implementation of OAuth 1.0a: Perl's Net::OAuth."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.street import (
    CONSUMER_KEY,
    CONSUMER_SECRET,
    PLATFORM,
    SHOP,
    Books,
    Container,
    ScriptedApi,
)

pytestmark = pytest.mark.long

Perl = Callable[..., str]


@pytest.fixture(scope="session")
def perl() -> Perl:
    try:
        subprocess.run(["perl", "-MNet::OAuth", "-e1"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        lacking("Perl's Net::OAuth is not installed")

    def run(*arguments: str, body: bytes = b"") -> str:
        script = str(Path(__file__).parent / "oauth.pl")
        ended = subprocess.run(["perl", script, *arguments], input=body, capture_output=True, check=True)
        return ended.stdout.decode()

    return run


def test_its_callback_is_accepted(perl: Perl, container: Container, books: Books) -> None:
    """A callback that Net::OAuth signed completes the sale; altered afterwards it does not."""
    target = container.callback_target(container.start())
    path, query = target.split("?", 1)
    headers = {"Authorization": perl("sign", SHOP + path, query, CONSUMER_KEY, CONSUMER_SECRET)}
    browser = container.app.test_client()
    altered = target.replace("status=10", "status=20")
    assert browser.get(altered, headers=headers).status_code == 401
    assert books.grants() == 0
    assert browser.get(target, headers=headers).text == "OK"
    assert books.grants() == 1


def test_it_accepts_our_creation(perl: Perl, container: Container, api: ScriptedApi) -> None:
    """Net::OAuth verifies the creation request and the hash of its body; not with one byte changed."""
    container.buy("excalibur")
    asked = api.requests[0]
    where = (f"{PLATFORM}/atom/mobile/point/@me", asked["QUERY_STRING"], CONSUMER_SECRET)
    header = asked["HTTP_AUTHORIZATION"]
    assert perl("verify", *where, header, body=asked["body"]) == "accepted"
    assert perl("verify", *where, header, body=asked["body"].replace(b"100", b"010")) == "refused"
    assert (
        perl("verify", where[0], "xoauth_requestor_id=x", where[2], header, body=asked["body"]) == "refused"
    )
