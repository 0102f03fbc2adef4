"""The demo's servers by hand, where two of its hosts must differ from the demo's, or speak TLS."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from storefront import Settings, create_app, demo
from storefront.config import PREFIX
from storefront.db import db
from tests.databases import fill
from tests.demo import OWN, wait_for


@contextmanager
def apart(
    folder: Path, ports: Mapping[str, int], changed: Mapping[str, str], *, tls: bool = False
) -> Iterator[dict[str, str]]:
    """The demo's servers on these ports, with some of the demo's settings changed; the settings."""
    made = demo.environment(ports, folder)
    if tls:
        made = {name: value.replace("http://", "https://") for name, value in made.items()}
    environment = {**made, **OWN, **changed}
    own = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if value}
    app = create_app(
        Settings.model_validate({name: own[name] for name in own if name in Settings.model_fields})
    )
    fill(app)
    with app.app_context():
        demo.furnish()
        db.engine.dispose()
    more = [f"--{kind}file={file}" for kind, file in certificate(folder).items()] if tls else []
    with ExitStack() as stack:
        for name, port in ports.items():
            stack.enter_context(server(name, port, environment, more))
        yield environment


@contextmanager
def server(name: str, port: int, environment: Mapping[str, str], more: list[str]) -> Iterator[None]:
    url = f"{'https' if more else 'http'}://127.0.0.1:{port}{demo.READY.get(name, demo.ALIVE)}"
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
    command += ["--log-level", "warning", *more, *demo.arguments()[name]]
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        wait_for(lambda: answers(url) or process.poll() is not None)
        assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    with requests.Session() as http, warnings.catch_warnings():
        http.trust_env = False
        warnings.simplefilter("ignore")  # nobody vouches for the certificate
        try:
            return http.get(url, timeout=5, verify=False).ok
        except requests.RequestException:
            return False


def certificate(folder: Path) -> dict[str, Path]:
    """A certificate that nobody vouches for, for both names of this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, SHA256())
    )
    files = {"cert": folder / "tls.pem", "key": folder / "tls.key"}
    files["cert"].write_bytes(made.public_bytes(Encoding.PEM))
    files["key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
