"""The deploy kit: each of its files is what its own tool accepts, and what the shop says of itself."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
import requests
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from storefront import Settings, create_app
from storefront.cli import main
from storefront.config import PREFIX
from tests.browser.apart import certificate
from tests.conftest import lacking
from tests.databases import fill
from tests.demo import free_ports, wait_for
from tests.proof.hosts import KIT, proxy, proxy_conf
from tests.proof.idle import NGINX
from tests.proof.served import ROOT
from tests.street import SETTINGS

TOKEN = "the token of the tests, and of nobody else"
PROGRAMS = "/srv/storefront/.venv/bin"
UNITS = [file.name for file in sorted([*KIT.glob("*.service"), *KIT.glob("*.timer")])]
ALERTS = sorted(KIT.glob("alerts*.yaml"))
OWN = {f"{PREFIX}{name.upper()}": field for name, field in Settings.model_fields.items()}
REQUIRED = {name for name, field in OWN.items() if field.is_required()}


def check(*command: str | Path) -> str:
    """What a tool says that has nothing against it."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def tool(name: str) -> str:
    """Where it is; what few have is asked where it is."""
    folders = [os.environ["PATH"], "/usr/sbin", str(Path(sys.executable).parent)]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if not found:
        pytest.skip(f"no {name}")
    return found


def test_the_environment_is_what_the_command_prints() -> None:
    """env.example has every setting; those that are no comment are the required ones."""
    printed = CliRunner().invoke(main, ["settings", "--env"]).output
    assert (KIT / "env.example").read_text() == printed, "storefront settings --env > .deploy/env.example"
    lines = re.findall(rf"^(#?)({PREFIX}\w+)=", printed, re.MULTILINE)
    assert {name for _, name in lines} == OWN.keys()
    assert {name for mark, name in lines if not mark} == REQUIRED


def test_defaults_as_written_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop is the same with every default of env.example made a setting, and with none."""
    written = re.findall(rf"^#({PREFIX}\w+)=(.+)$", (KIT / "env.example").read_text(), re.MULTILINE)
    assert len(written) > len(OWN) / 3
    for name in os.environ.keys() & OWN.keys():
        monkeypatch.delenv(name)
    for name in REQUIRED:
        monkeypatch.setenv(name, str(SETTINGS[name.removeprefix(PREFIX).lower()]))
    bare = Settings()
    for name, value in written:
        monkeypatch.setenv(name, value)
    assert Settings() == bare


HOSTILE = [
    "Rope Shop",
    "a #1",
    "p&ss;word",
    "p$ss ${HOME}",
    '"綱" `id` \\',
    "~/x (y) <z> | *?!",
    " ",
    "a=b,c:d@e%f+g",
]


@pytest.mark.parametrize("value", [*HOSTILE, "Umi's"])
def test_a_value_in_quotes(tmp_path: Path, value: str) -> None:
    """Quoted as the file's head says it is to a shell what systemd, too, reads there."""
    mark = '"' if "'" in value else "'"
    assert heard(tmp_path / "env", f"VALUE={mark}{value}{mark}\n") == ({"VALUE": value}, "")


def test_a_shell_reads_the_defaults(tmp_path: Path) -> None:
    """A line of env.example that becomes a setting is the same to a shell."""
    text = re.sub(rf"^#(?={PREFIX}\w+=)", "", (KIT / "env.example").read_text(), flags=re.MULTILINE)
    written = dict(re.findall(rf"^({PREFIX}\w+)=(.*)$", text, re.MULTILINE))
    assert heard(tmp_path / "env", text) == (written, "")


def heard(file: Path, text: str) -> tuple[Mapping[str, str], str]:
    """What a shell has in its environment after reading the file, as cron's does, and what it says."""
    file.write_text(text)
    command = ["env", "-i", "sh", "-c", 'set -a && . "$0" && exec env -0', str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = dict(line.partition("=")[::2] for line in done.stdout.split("\0") if line)
    return {name: value for name, value in found.items() if name != "PWD"}, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("unit", UNITS)
def test_units(tmp_path: Path, unit: str) -> None:
    """systemd has nothing against a unit, once the programs that it names are there."""
    analyze = tool("systemd-analyze")
    for name in ("gunicorn", "storefront"):
        (tmp_path / name).touch(0o755)
    for name in UNITS:
        (tmp_path / name).write_text((KIT / name).read_text().replace(PROGRAMS, str(tmp_path)))
    assert check(analyze, "verify", "--man=no", tmp_path / unit) == ""


@pytest.mark.long
def test_proxy(tmp_path: Path) -> None:
    """nginx has nothing against its file, with this machine's places in it."""
    if not NGINX:
        lacking("no nginx")
    conf = proxy_conf(tmp_path, 8443, 8080, [8001, 8002], certificate(tmp_path))
    assert check(NGINX, "-t", "-q", "-p", tmp_path, "-c", conf) == ""


class Answering(BaseHTTPRequestHandler):
    """A host that notes what it is asked to do with the connection, and would keep it."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers["Connection"])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.mark.long
def test_a_connection_to_a_host_is_used_once(tmp_path: Path) -> None:
    """A newer nginx would keep it by itself, and send a form as the host closes it."""
    if not NGINX:
        lacking("no nginx")
    front, plain = free_ports(2)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as host:
        Thread(target=host.serve_forever, daemon=True).start()
        files = certificate(tmp_path)
        conf = proxy_conf(tmp_path, front, plain, [host.server_port, host.server_port], files)
        own = tmp_path / "storefront.conf"
        own.write_text(own.read_text().replace("  zone storefront 64k;", "  keepalive 32;"))
        with proxy(conf, front):
            for place in ("", "mixi/callback/word", "game/changes", "static/shop.css"):
                address = f"https://127.0.0.1:{front}/{place}"
                assert requests.get(address, verify=str(files["cert"]), timeout=30).status_code == 200
        host.shutdown()
    assert Answering.asked == ["close"] * 4


@pytest.mark.long
def test_the_log_says_what_was_asked_for(tmp_path: Path) -> None:
    """Though no host answers, and what is sent is a page of the proxy's own; nothing else of it is said."""
    if not NGINX:
        lacking("no nginx")
    front, plain, *nobody = free_ports(4)
    files = certificate(tmp_path)
    with proxy(proxy_conf(tmp_path, front, plain, nobody, files), front), requests.Session() as http:
        http.trust_env, http.verify = False, str(files["cert"])
        for method, path, status in (
            ("POST", "/mixi/payments?guid=ON", 502),
            ("GET", "/mixi/callback/Word?owner=1", 502),
            ("GET", "//mixi//callback/Word", 502),
            ("HEAD", "/", 502),
            ("GET", f"/items/{'x' * 20_000}", 414),
            ("GET", "/readyz", 404),
        ):
            asked = http.request(method, f"https://127.0.0.1:{front}{path}", timeout=30)
            assert asked.status_code == status
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert [line.split()[2:5] for line in lines] == [
        ["POST", "mixi/payments", "502"],
        ["GET", "mixi/callback", "502"],
        ["GET", "-", "502"],
        ["HEAD", "-", "502"],
        ["GET", "-", "414"],
        ["GET", "readyz", "404"],
    ]


@pytest.mark.long
def test_compose() -> None:
    """compose.yaml is right by its published schema, and the proxy waits for the hosts that it knows."""
    file = KIT / "compose.yaml"
    check(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file)
    services = YAML(typ="safe").load(file)["services"]
    known = re.findall(r"^  server ([\w-]+):8000", (KIT / "nginx.conf").read_text(), re.MULTILINE)
    assert known == [name for name in services if name.startswith("shop-")]
    assert list(services["proxy"]["depends_on"]) == known
    for name in known:
        assert services[name]["depends_on"]["upgrade"]["condition"] == "service_completed_successfully"
        assert "/readyz" in json.dumps(services[name]["healthcheck"])


def test_the_database_is_asked_as_the_shop_asks_it() -> None:
    """Over the network: what the image starts to make the database hears its own socket, and stops again."""
    services = YAML(typ="safe").load(KIT / "compose.yaml")["services"]
    assert services["upgrade"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert "--host=127.0.0.1" in services["db"]["healthcheck"]["test"]


def test_the_proxy_is_told_addresses_that_are_kept() -> None:
    """nginx looks its hosts up once: where it is told they are they stay, and nobody else is put there."""
    compose = YAML(typ="safe").load(KIT / "compose.yaml")
    hosts = {name: one for name, one in compose["services"].items() if name.startswith("shop-")}
    kept = {name: one["networks"]["inside"]["ipv4_address"] for name, one in hosts.items()}
    assert compose["services"]["proxy"]["extra_hosts"] == [f"{name}:{where}" for name, where in kept.items()]
    (addresses,) = compose["networks"]["inside"]["ipam"]["config"]
    for where in kept.values():
        assert ip_address(where) in ip_network(addresses["subnet"])
        assert ip_address(where) not in ip_network(addresses["ip_range"])


def test_the_image_is_made_once() -> None:
    """By the first that needs it: made by each, it would be as many images of one name. None is fetched."""
    services = YAML(typ="safe").load(KIT / "compose.yaml")["services"]
    ours = {name: one for name, one in services.items() if one["image"] == "storefront"}
    assert [name for name, one in ours.items() if "build" in one] == ["upgrade"]
    assert {one.get("pull_policy") for one in ours.values()} == {"never"}


def test_a_daily_run_is_not_cut_off(tmp_path: Path) -> None:
    """Stopped while it charges, the service first ends what it does."""
    command = YAML(typ="safe").load(KIT / "compose.yaml")["services"]["daily"]["command"]
    (tmp_path / "storefront").write_text("#!/bin/sh\ntouch begun\nsleep 0.5\ntouch ended\n")
    (tmp_path / "storefront").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(command, cwd=tmp_path, env={"PATH": path}, start_new_session=True) as service:
        try:
            wait_for((tmp_path / "begun").exists)
            service.terminate()
            assert service.wait(30) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(service.pid, signal.SIGKILL)
    assert (tmp_path / "ended").exists()


def test_a_database_that_recovers_is_waited_for() -> None:
    """What it takes to read its log after a crash is no illness, of which `up` would give up."""
    services = YAML(typ="safe").load(KIT / "compose.yaml")["services"]
    assert services["db"]["healthcheck"]["start_period"] == "10m"


def test_image() -> None:
    """What the image is made of is there, and is let through to whoever makes it; nothing else is."""
    containerfile = (KIT / "Containerfile").read_text()
    made = re.findall(r"^COPY (?:--chmod=644 )?(?!--)(.+) \S+$", containerfile, re.MULTILINE)
    names = set(chain.from_iterable(map(str.split, made)))
    let_through = (KIT / "Containerfile.dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in let_through if line.startswith("!")} == names
    assert all((ROOT / name).exists() for name in names)


def test_the_image_is_read_by_its_user() -> None:
    """What lies there may be its owner's alone, as a strict umask has it; in the image it is not."""
    served = (KIT / "Containerfile").read_text().split("\nFROM ")[-1]
    copied = [line for line in served.splitlines() if line.startswith("COPY ")]
    assert {line.split()[1] for line in copied} == {"--from=build", "--chmod=644"}


@pytest.mark.long
def test_image_by_its_own_tool() -> None:
    check(tool("hadolint"), KIT / "Containerfile")


@pytest.mark.long
def test_log_rotation(tmp_path: Path) -> None:
    """logrotate has nothing against its file."""
    said = check(tool("logrotate"), "--debug", "--state", tmp_path / "state", KIT / "logrotate")
    assert not re.search(r"^(error|warning): (?!logrotate in debug mode)", said, re.MULTILINE)


@pytest.mark.long
def test_a_new_log_is_its_readers_alone(tmp_path: Path) -> None:
    """Rotated, the proxy's log is what it was for whoever may read it."""
    log, rules = tmp_path / "access.log", tmp_path / "logrotate"
    log.write_text("a line\n")
    log.chmod(0o640)
    rules.write_text((KIT / "logrotate").read_text().replace("/var/log/nginx", str(tmp_path)))
    rules.chmod(0o644)
    check(tool("logrotate"), "--force", "--state", tmp_path / "state", rules)
    assert (tmp_path / "access.log.1").read_text() == "a line\n"
    assert (log.read_text(), log.stat().st_mode & 0o777) == ("", 0o640)


def test_the_operators_command() -> None:
    """It runs what the units run, as their user, with their settings, in whatever folder one stands."""
    command, unit = (KIT / "storefront").read_text(), (KIT / "storefront-upgrade.service").read_text()
    assert (KIT / "storefront").stat().st_mode & 0o111 == 0o111
    for name, option in {
        "User": "uid",
        "WorkingDirectory": "working-directory",
        "UMask": "property=UMask",
    }.items():
        (value,) = re.findall(rf"^{name}=(.+)$", unit, re.MULTILINE)
        assert f" --{option}={value} " in command
    for told in re.findall(r"STOREFRONT_(?:THREADS|MIXI\w+)=\d+", (KIT / "storefront.service").read_text()):
        assert f" --setenv={told} " in command
    (settings,) = re.findall(r"^EnvironmentFile=.+$", unit, re.MULTILINE)
    assert f" --property={settings} " in command
    assert f'\n  {PROGRAMS}/storefront "$@"\n' in command
    check("sh", "-n", KIT / "storefront")


def test_alerts_ask_for_what_is_told(tmp_path: Path) -> None:
    """Every number that an alert of the house's asks for is one that /metrics tells."""
    asked = set(re.findall(r"storefront_\w+", " ".join(rule["expr"] for rule in rules(KIT / "alerts.yaml"))))
    where = {"database_url": f"sqlite:///{tmp_path}/shop.db", "metrics_folder": str(tmp_path / "metrics")}
    app = create_app(Settings.model_validate({**SETTINGS, **where, "metrics_token": TOKEN}))
    fill(app)
    shop = app.test_client()
    shop.get("/mixi/callback")
    text = shop.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    told = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    assert asked <= told


def test_alerts_are_explained() -> None:
    """The kit's README says of each alert once what it means; those of a room may be taken away."""
    explained = re.findall(r"^\| `([A-Z]\w+)` \|", (KIT / "README.md").read_text(), re.MULTILINE)
    assert len(explained) == len(set(explained))
    assert {rule["alert"] for file in ALERTS for rule in rules(file)} <= set(explained)


@pytest.mark.long
def test_alerts_by_their_own_tool() -> None:
    """promtool has nothing against the rules; on made-up numbers each rings when it should alone."""
    promtool = tool("promtool")
    check(promtool, "check", "rules", *ALERTS)
    check(promtool, "test", "rules", *sorted(Path(__file__).parent.glob("alerts*.yaml")))


def rules(file: Path) -> list[Mapping[str, str]]:
    found: list[Mapping[str, str]] = YAML(typ="safe").load(file)["groups"][0]["rules"]
    return found
