"""The databases, the two sides joined by the in-memory wire, and the people of the tests."""

import gc
import os
from collections.abc import Callable, Generator, Iterator
from functools import cache, lru_cache, partial
from gettext import GNUTranslations
from pathlib import Path
from shutil import copy
from types import CodeType
from typing import Any, BinaryIO, NoReturn

import pytest
import requests
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine, make_url
from sqlalchemy.util import immutabledict
from werkzeug.routing import Rule

from storefront import Settings, create_app
from storefront.db import db
from storefront.sandbox import key_pairs
from storefront.sandbox.key_pairs import KeyPair
from storefront.shop import yaml_file
from tests.databases import ENGINES, WORKER, fill, new_database
from tests.postgresql import IS_HERE, fastest, server
from tests.street import KEY_NAME, PLATFORM, SETTINGS, Books, Container, ScriptedApi, for_all
from tests.wire import Wire

LONG = "pytestmark = pytest.mark.long"  # the line of a file that is long as a whole
CATALOGUE = ("_catalog", "_charset", "_info", "plural")  # what is read of one
TAKEN_APART = ("_parts", "_trace", "_converters", "arguments", "_build", "_build_unknown")  # of a rule


class Compiled(BytecodeCache):
    """Every test makes its apps anew; each template is compiled only once."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key, bucket.checksum] = bucket.code


class Statements(dict[Any, Any]):
    """Every app has an engine of its own; what one has compiled of SQL serves the others of its dialect."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_by_dialect(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(_by_dialect(key), compiled)


def _by_dialect(key: Any) -> Any:
    dialect, *rest = key
    return type(dialect), *rest


def lacking(reason: str) -> NoReturn:
    """Leave a test out where its tool is missing; on CI every tool is there, so that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also what is long, and PostgreSQL everywhere")
    parser.addoption("--rest", action="store_true", help="what CI runs besides: all but the thorough")


def pytest_configure() -> None:
    """Most tests have a database of their own, for whose sake nobody need wait for a disk."""
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(fastest()))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Who names a file waits for no other process; else one for each processor."""
    return 0 if names_a_file(config) else None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Who asks for what is short does not even read a file that is long as a whole."""
    is_left = collection_path.suffix == ".py" and leaves_long(config) and LONG in collection_path.read_text()
    return is_left or None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is made here stays to the end: the collector of garbage need not look through it ever again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not of the tier that was asked for; a file that is named runs whole.

    What is long comes first: at the end nobody works alone at it.
    """
    if not (leaves_long(config) or config.option.rest):
        return
    left = [item for item in items if is_short(item) == config.option.rest or is_for_all_alone(item)]
    config.hook.pytest_deselected(items=left)
    kept = [item for item in items if is_short(item) != config.option.rest and not is_for_all_alone(item)]
    items[:] = sorted(kept, key=lambda item: item.get_closest_marker("long") is None)


def leaves_long(config: pytest.Config) -> bool:
    return not (config.option.all or config.option.rest or names_a_file(config))


def names_a_file(config: pytest.Config) -> bool:
    return any(Path(argument.partition("::")[0]).is_file() for argument in config.args)


def is_short(item: pytest.Item) -> bool:
    """Whether a test runs without --all: on SQLite, and, of the money path, on PostgreSQL."""
    if item.get_closest_marker("long"):
        return False
    return not on_postgresql(item) or item.get_closest_marker("money") is not None


def is_for_all_alone(item: pytest.Item) -> bool:
    """Whether only --all asks it: what is thorough, and PostgreSQL for what is short and moves no money."""
    known = {mark.name for mark in item.iter_markers()}
    return "thorough" in known or (on_postgresql(item) and not known & {"money", "long"})


def on_postgresql(item: pytest.Item) -> bool:
    return hasattr(item, "callspec") and "postgresql" in item.callspec.params.values()


@pytest.fixture(scope="session", autouse=True)
def compiled_templates() -> None:
    Flask.jinja_options = {"bytecode_cache": Compiled()}


@pytest.fixture(scope="session", autouse=True)
def shared_rules() -> Iterator[None]:
    """Apps have the same rules: each is taken apart once, and what writes its address is made when wanted."""
    compile_rule, compile_builder = Rule.compile, Rule._compile_builder
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}

    def later(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        build = cache(partial(compile_builder, rule, append_unknown))
        return lambda self, **values: build()(self, **values)

    def once(rule: Rule) -> None:
        defaults = tuple((rule.defaults or {}).items())
        own = rule.map.converters["int"], rule.map.host_matching  # a platform's numbers have an end
        key = rule.rule, rule.subdomain, rule.host, rule.merge_slashes, defaults, *own
        if key not in kept:
            compile_rule(rule)
            kept[key] = {name: getattr(rule, name) for name in TAKEN_APART}
        vars(rule).update(kept[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", later)
        patch.setattr(Rule, "compile", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def shared_trees() -> Iterator[None]:
    """Every app reads who the shop is; each file is taken apart once for what it says, and only looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_file, "_parsed", lru_cache(maxsize=64)(yaml_file._parsed))
        yield


@pytest.fixture(scope="session", autouse=True)
def shared_catalogues() -> Iterator[None]:
    """Every app reads its translations; each catalogue is read once for what is in it, and then copied."""
    parse = GNUTranslations._parse
    kept: dict[bytes, dict[str, Any]] = {}

    def once(translations: GNUTranslations, file: BinaryIO) -> None:
        content = file.read()
        if content not in kept:
            file.seek(0)
            parse(translations, file)
            kept[content] = {name: vars(translations)[name] for name in CATALOGUE}
        vars(translations).update(kept[content], _catalog=dict(kept[content]["_catalog"]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GNUTranslations, "_parse", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def shared_statements() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_execution_options", immutabledict(compiled_cache=Statements()))
        yield


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real PostgreSQL server, one for all workers of a run."""
    if not IS_HERE:
        lacking("no PostgreSQL server binary for this platform")
    here = tmp_path_factory.getbasetemp()
    with server(here.parent if WORKER else here) as running:
        yield running.url


@pytest.fixture(scope="session")
def full_shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database with the catalog in it, to copy."""
    path = tmp_path_factory.mktemp("template") / "shop.db"
    prepare(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def full_shelf_on_postgresql(postgresql: str) -> str:
    """The same on PostgreSQL: the name of the database."""
    url = new_database(postgresql, "full_shelf")
    prepare(url)
    return str(make_url(url).database)


def prepare(url: str) -> None:
    app = create_app(Settings.model_validate({**SETTINGS, "database_url": url}))
    fill(app)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of the test's own on each engine in turn: a full shelf, or @pytest.mark.empty_database."""
    empty = request.node.get_closest_marker("empty_database")
    if request.param == "sqlite":
        if not empty:
            copy(request.getfixturevalue("full_shelf"), tmp_path / "shop.db")
        return f"sqlite:///{tmp_path}/shop.db"
    server = request.getfixturevalue("postgresql")
    if empty:
        return new_database(server, "shop")
    return new_database(server, "shop", request.getfixturevalue("full_shelf_on_postgresql"))


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """The key that mixi signs starts and life cycle events with; one for all channels is less to write."""
    return key_pairs.keep(tmp_path_factory.mktemp("keys"), KEY_NAME)


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """Another key, by the same name."""
    return key_pairs.keep(tmp_path_factory.mktemp("keys"), KEY_NAME)


@pytest.fixture(scope="session")
def usual_settings(pair: KeyPair) -> Settings:
    """What most tests have; put together once."""
    return Settings.model_validate({**SETTINGS, "mixi_certificates": for_all(pair)})


@pytest.fixture
def settings(
    database_url: str, usual_settings: Settings, pair: KeyPair, request: pytest.FixtureRequest
) -> Settings:
    """The settings of the tests; a test may change some: @pytest.mark.changed(name=value)."""
    changed = request.node.get_closest_marker("changed")
    if changed is None:
        return usual_settings.model_copy(update={"database_url": database_url})
    own = {"database_url": database_url, "mixi_certificates": for_all(pair)}
    return Settings.model_validate({**SETTINGS, **own, **changed.kwargs})


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The shop; its HTTP session is `app.extensions["http"]`."""
    http = requests.Session()
    app = create_app(settings, http)
    app.extensions["http"] = http
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def api(app: Flask) -> ScriptedApi:
    """Where the platform's API should be, one that answers what the test tells it to."""
    scripted = ScriptedApi()
    app.extensions["http"].mount(PLATFORM, Wire(scripted))
    return scripted


@pytest.fixture
def container(app: Flask, api: ScriptedApi) -> Container:
    """Signed page requests to the shop."""
    return Container(app)


@pytest.fixture
def books(app: Flask) -> Books:
    return Books(app)
