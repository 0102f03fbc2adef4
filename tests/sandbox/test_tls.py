"""A shop behind https, with a certificate that nobody but its own authority vouches for."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from lxml import html
from werkzeug.serving import make_server

from storefront.sandbox import create_sandbox, wirelog
from storefront.sandbox.people import FIRST_STAGE
from storefront.sandbox.settings import SandboxSettings
from tests.browser.apart import certificate
from tests.demo import COMMAND, own_ports, wait_for
from tests.sandbox.conftest import SHOP, XML, Phone, Sap, Shop, read_created

pytestmark = pytest.mark.long


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return certificate(tmp_path)["cert"]


@pytest.fixture
def address(sap: Sap, authority: Path) -> Iterator[str]:
    """Where the scripted shop listens."""
    files = str(authority), str(authority.with_suffix(".key"))
    server = make_server("127.0.0.1", 0, sap, threaded=True, ssl_context=files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_purchase_over_tls(
    settings: SandboxSettings, sap: Sap, address: str, authority: Path, tmp_path: Path
) -> None:
    """With the authority in SANDBOX_SHOP_CA pages, events and callbacks go over https."""
    app = create_sandbox(settings.model_copy(update={"shop_url": address, "shop_ca": authority}))
    phone = Phone(app.test_client()).belongs_to("hanako")
    assert len(sap.events) == 1
    assert "Shelf" in phone.page(f"{address}/").text
    purchase = read_created(Shop(app).create(xml=XML.replace(SHOP, address)))
    sap.redirects("/buy", purchase.url)
    assert phone.page(f"{address}/buy").headers["Location"] == purchase.url
    assert phone.buy(purchase.url) == "bought"
    assert [request.scheme for request in sap.heard] == ["https"] * 3


def test_without_the_authority(settings: SandboxSettings, sap: Sap, address: str) -> None:
    """A certificate that nobody vouches for is refused, and the log says which setting helps."""
    app = create_sandbox(settings.model_copy(update={"shop_url": address}))
    phone = Phone(app.test_client()).belongs_to("hanako")
    assert phone.page(f"{address}/").status_code == 502
    assert (sap.heard, sap.events) == ([], [])
    with app.app_context():
        rows, _ = wirelog.page(FIRST_STAGE, 1)
    assert all("SANDBOX_SHOP_CA" in row.verdict for row in rows)


def test_the_command(address: str, authority: Path, tmp_path: Path) -> None:
    """`storefront sandbox --shop-url --shop-ca` opens a shop behind https, and says so to that shop."""
    ports = {name: port for name, port in own_ports().items() if name != "shop"}
    output = tmp_path / "output.txt"
    words = ["sandbox", "--shop-url", address, "--shop-ca", str(authority), "--data", str(tmp_path)]
    words += [f"--{name}-port={port}" for name, port in ports.items()]
    with output.open("w") as file:
        process = subprocess.Popen([COMMAND, *words], stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: "A shop for it" in output.read_text() or process.poll() is not None)
        with requests.Session() as phone:
            phone.trust_env = False
            home = f"http://127.0.0.1:{ports['sandbox']}/"
            (token, *_) = html.fromstring(phone.get(home, timeout=30).text).cssselect("[name=form_token]")
            form = {"form_token": token.get("value"), "persona": "taro"}
            assert "Shelf" in phone.post(f"{home}phone/mobile", data=form, timeout=30).text
    finally:
        process.terminate()
        process.wait(30)
    kept = (tmp_path / "demo.env").read_text()
    assert f"STOREFRONT_PUBLIC_URL={address}\n" in kept
    assert f"SANDBOX_SHOP_CA={authority}\n" in kept
