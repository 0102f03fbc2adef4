"""The deploy kit: each of its files is what its own tool accepts, and what the shop says of itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

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
from tests.demo import free_ports
from tests.proof.hosts import KIT, proxy, proxy_conf
from tests.proof.idle import NGINX
from tests.proof.served import HOST, ROOT
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


@pytest.mark.long
def test_where_a_request_went(tmp_path: Path) -> None:
    """The proxy's log says it of what no host answered, too; a line that was too long it has not read."""
    if not NGINX:
        lacking("no nginx")
    front, plain, *shops = free_ports(4)
    files = certificate(tmp_path)
    with proxy(proxy_conf(tmp_path, front, plain, shops, files), front):
        shop, authority = f"https://{HOST}:{front}", str(files["cert"])
        assert requests.get(f"{shop}/mixi/callback/word", verify=authority, timeout=10).status_code == 502
        assert (
            requests.get(f"{shop}/mixi/callback/{'w' * 20_000}", verify=authority, timeout=10).status_code
            == 414
        )
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert [line.split()[3:5] for line in lines] == [["mixi/callback", "502"], ["-", "414"]]


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


def test_image() -> None:
    """What the image is made of is there, and is let through to whoever makes it; nothing else is."""
    made = re.findall(r"^COPY (?!--from)(.+) \S+$", (KIT / "Containerfile").read_text(), re.MULTILINE)
    names = set(chain.from_iterable(map(str.split, made)))
    let_through = (KIT / "Containerfile.dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in let_through if line.startswith("!")} == names
    assert all((ROOT / name).exists() for name in names)


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
