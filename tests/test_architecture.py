"""Who may import whom. This table is the diagram."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from storefront import COUNTERS

PACKAGE = Path(__file__).parent.parent / "storefront"

# A room may import itself and what stands here; of a room in another's list, any part.
DOORS: dict[str, set[str]] = {
    "config": set(),
    "clock": set(),
    "languages": set(),
    "places": {"clock"},
    "db": {"clock", "config", "places"},
    "gate": set(),
    "bounded": {"clock"},
    "findings": set(),
    "strict_json": set(),
    "tables": set(),
    "logs": set(),
    "health": {"clock", "config", "db", "places"},
    "shop": {"clock", "config", "db", "languages", "security"},
    "operator": {"clock", "config", "db", "health", "languages", "security", "shop"},
    "mixi": {"bounded", "clock", "config", "db", "gate", "metrics", "operator", "security", "shop"},
    "external": {"clock", "config", "db", "operator", "security", "shop"},
    "colorme": {
        "bounded",
        "clock",
        "config",
        "db",
        "gate",
        "metrics",
        "operator",
        "security",
        "shop",
        "strict_json",
    },
    "game": {"clock", "config", "db", "gate", "metrics", "operator", "shop", "strict_json"},
    "sandbox": {"bounded", "external.signing", "languages", "mixi.signing", "shop.yaml_file"},
    "robot": set(),
    "migrations": {"db"},
    "metrics": {"config"},
    "security": {"config"},
    "client_socket": set(),
    "serving": {"clock", "client_socket"},
    "tether": set(),
    "breaker": set(),
    "__init__": {"config", "db", "health", "logs", "metrics", "operator", "security", "shop"},
    "backup": {"db", "health"},
    "move": {"db", "health"},
    "rim": {"__init__", "config", "findings", "tables"},
    "release": {"__init__", "config", "languages", "rim", "shop"},
    "reports": {"clock", "db", "rim", "shop", "tables"},
    "settings_table": {"__init__", "config", "tables"},
    "demo": {"config", "db", "languages", "rim", "sandbox.server", "shop.identity"},
    "doctor": {
        "__init__",
        "bounded",
        "clock",
        "config",
        "db",
        "findings",
        "health",
        "metrics",
        "rim",
        "shop",
        "texts",
    },
    "cli": {
        "__init__",
        "art",
        "backup",
        "clock",
        "config",
        "db",
        "demo",
        "doctor",
        "findings",
        "health",
        "languages",
        "move",
        "operator",
        "release",
        "reports",
        "rim",
        "settings_table",
        "shop",
        "texts",
        "walkthrough",
    },
    "walkthrough": {
        "demo",
        "languages",
        "robot",
        "sandbox.chapters",
        "sandbox.server",
        "sandbox.walkthroughs",
    },
    "art": {"config"},
    "texts": {"config", "languages"},
}
# What a room brings to commands, doctor and reports stands in these files, and may import these, too.
BROUGHT = ("commands", "checks", "reports", "rim")
TO_THE_RIM = {"doctor.wire", "findings", "rim", "tables"}
# Within a room, a file imports only from those before it.
ORDER: dict[str, list[str]] = {
    "shop": [
        "words", "devices", "units", "csv_file", "yaml_file", "catalog_file", "identity", "customers",
        "cookies", "visits", "counter", "adjustments", "catalog", "differences", "turns", "inventory",
        "changes", "books", "ledger", "day_sums", "sums", "corrections", "ages", "limits", "form_tokens",
        "visit",
        "buy_form", "phone_style", "pages", "errors", "views", "__init__",
    ],
    "mixi": [
        "signing", "settings", "callback_word", "atom", "carriers", "client", "certificates", "channel",
        "payments", "purchases", "outstanding", "questions", "starts", "lifecycle", "taps", "entrance",
        "charset", "rules", "views", "__init__", "reports", "commands", "checks", "rim",
    ],
    "external": [
        "settings", "signing", "registration", "channel", "told", "facts", "shelf", "malfunctions",
        "wording", "payments", "views", "operator_forms", "operator_pages", "__init__",
        "example", "reports", "commands", "checks", "rim",
    ],
    "colorme": [
        "settings", "periods", "amounts", "plan_file", "reckoning", "sources", "plans", "tokens", "channel",
        "calendar", "intents", "contracts", "fees", "parcels", "client", "oauth", "charges", "usage",
        "reporting", "plan_page", "purchases", "outstanding", "shelf", "hooks", "installs", "daily", "starts",
        "entrance", "hook_views", "views", "operator_page", "reckoning_page", "__init__", "reports",
        "commands", "checks", "rim",
    ],
    "game": ["settings", "cursors", "problems", "polls", "uses", "views", "__init__", "checks", "rim"],
    "operator": [
        "login", "pages", "refusals", "backups", "matters", "chart", "today", "story", "search", "people",
        "goods", "goods_views", "reports", "report_views", "views", "__init__", "commands",
    ],
    "release": ["git", "build", "files", "accent", "repository", "__init__", "new", "update", "commands"],
    "robot": ["__init__", "buyer", "shop", "desk", "actor", "play", "owner", "report"],
    "doctor": ["tallies", "schema", "wire", "house", "sqlite", "postgresql", "__init__"],
    "sandbox": [
        "language", "clock", "form_tokens", "heard", "passes", "storefile", "store", "devices", "key_pairs",
        "assumptions", "cast", "kinds", "happened", "chapters", "judging", "walkthroughs", "judge", "doors",
        "signing", "signatures", "legible", "books",
        "settings", "process", "manners", "context", "people", "stage", "happenings", "strokes", "weather",
        "situation", "neighbours", "walks", "wirelog", "pages",
        "mixi.addresses", "mixi.links", "mixi.facts", "mixi.frame", "mixi.atom", "mixi.topups",
        "mixi.payments", "mixi.calls", "mixi.start", "mixi.lifecycle", "mixi.caller", "mixi.resend",
        "mixi.goods", "mixi.container", "mixi.api", "mixi.interface", "mixi", "server", "mixi.demo",
        "phone", "developer", "town", "desk", "desk.wording", "desk.views", "desk.actions", "desk.outcomes",
        "desk.situations", "desk.presses", "desk.checklist", "desk.reading", "desk.told", "desk.bookkeeping",
        "desk.signatures", "log", "__init__",
        "provider.addresses", "provider.settings", "provider.store", "provider.context", "provider.arrivals",
        "provider.payments", "provider.weather", "provider.notices", "provider.pages",
        "provider.views", "provider", "provider.demo",
        "game.settings", "game.store", "game.context", "game.faults", "game.client", "game.holdings",
        "game.residents", "game.uses", "game.goods", "game.desk", "game.pages", "game.views", "game",
        "game.demo",
        "colorme.reckoning", "colorme.cast", "colorme.happened", "colorme.walkthroughs", "colorme.judge",
        "colorme.plan_file", "colorme.settings", "colorme.context",
        "colorme.store", "colorme.calendar", "colorme.diary", "colorme.charges", "colorme.shops",
        "colorme.contracts", "colorme.bills", "colorme.weather", "colorme.wire", "colorme.hooks",
        "colorme.tokens", "colorme.walks", "colorme.witness", "colorme.installing", "colorme.midnight",
        "colorme.turning", "colorme.api",
        "colorme.oauth", "colorme.views", "colorme.console", "colorme.almanac", "colorme.logbook",
        "colorme.wording", "colorme.checklist",
        "colorme.pages", "colorme", "colorme.demo",
    ],
}  # fmt: skip
# Files of the sandbox that are rules and nothing else: they may import each other, and these.
PURE = {
    "strokes",
    "devices",
    "cast",
    "kinds",
    "happened",
    "chapters",
    "judging",
    "walkthroughs",
    "judge",
    "signatures",
    "signing",
    "books",
    "game.faults",
    "game.goods",
    "colorme.cast",
    "colorme.reckoning",
    "colorme.happened",
    "colorme.walkthroughs",
    "colorme.judge",
}
PLAIN = {"language", "languages", "mixi.signing", "shop.yaml_file"}
WORLD = {"flask", "sqlalchemy", "requests", "urllib3", "time", "random", "secrets", "socket"}
OWN_TIME = ("clock.py", "demo.py", "walkthrough.py")
NO_ROOM = {"migrations"}  # one file after another, and none imports another

FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_doors(path: Path) -> None:
    """Every import goes through an open door, and never back."""
    room, name = place(path)
    assert room in DOORS, f"{room} is new here: say in DOORS what it may import"
    order, open_doors = ORDER.get(room, []), DOORS[room]
    if name and room not in NO_ROOM:
        assert name in order, f"{name} is new in {room}: say in ORDER which files it may import"
    for target in imports(path):
        head, _, rest = target.partition(".")
        if head != room:
            open_doors = DOORS[room] | (TO_THE_RIM if name in BROUGHT else set())
            assert head in open_doors or any(f"{target}.".startswith(f"{door}.") for door in open_doors), (
                f"{room} imports {target}, and DOORS does not let it"
            )
        elif order:
            before = order[: order.index(name)]
            assert (rest or "__init__") in before, f"{name} imports {target}, which does not stand before it"


def test_the_readme_has_this_table() -> None:
    """README's table of rooms is this one; it has every room that is a folder with an order."""
    readme = (PACKAGE.parent / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (–|(?:`[\w.]+`(?:, )?)+) \|$", readme, re.MULTILINE))
    assert set(ORDER) <= set(rows)
    assert {room: set(re.findall(r"[\w.]+", doors)) for room, doors in rows.items()} == {
        room: DOORS[room] for room in rows
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_stand_at_the_top(path: Path) -> None:
    """No import hides in a function or behind TYPE_CHECKING: wanting one means a wrong room.

    What an extra brings is tried at the top.
    """
    tree = ast.parse(path.read_text())
    tried = [inner for node in tree.body if isinstance(node, ast.Try) for inner in node.body]
    top = {id(node) for node in (*tree.body, *tried)}
    inner = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(id(node) in top for node in inner)


def test_what_lxml_asks_for_is_there() -> None:
    """What lxml finds by selectors it finds with another package, which comes with the shop."""
    asked = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]["dependencies"]
    finds = any(".cssselect(" in path.read_text() for path in FILES)
    assert not finds or any(one.startswith("cssselect") for one in asked)


def test_files_are_in_one_encoding() -> None:
    """What is read and written says which: in a terminal of EUC-JP Python would take that."""
    found = re.compile(r"\.(?:read|write)_text\((?:[^()]|\([^()]*\))*\)")
    calls = {path: found.findall(path.read_text()) for path in FILES}
    assert {path: call for path, said in calls.items() for call in said if "utf-8" not in call} == {}


def test_one_place_commits() -> None:
    """`commit()` stands once in the shop's code."""
    texts = [path.read_text() for path in FILES if "sandbox" not in path.parts]
    assert sum(text.count(".commit()") for text in texts) == 1


def test_one_place_reads_the_clock() -> None:
    """Only clock.py asks the system for the time; commands that start processes may wait by themselves."""
    for path in FILES:
        if path.name not in OWN_TIME and not {"sandbox", "robot"} & set(path.parts):
            text = path.read_text()
            assert "datetime.now" not in text
            assert "import time\n" not in text, path
            assert "from time import" not in text, path


def test_only_the_sandbox_signs_as_the_platform() -> None:
    """The shop verifies what mixi signs in its own name; no file of its own has a key to do so itself."""
    for path in FILES:
        if "sandbox" not in path.parts:
            assert "PrivateKey" not in path.read_text(), path


def _of_sandbox(name: str) -> Path:
    return PACKAGE.joinpath("sandbox", *name.split(".")).with_suffix(".py")


@pytest.mark.parametrize("name", sorted(name for name in PURE if _of_sandbox(name).exists()))
def test_pure_rules(name: str) -> None:
    """What judges, explains and reckons knows no database, no request, no clock and no chance."""
    path = _of_sandbox(name)
    ours = {target.removeprefix("sandbox.") for target in imports(path)}
    assert ours <= PURE | PLAIN
    nodes = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert not {one.partition(".")[0] for one in named} & WORLD


def test_the_kernel_names_no_counter() -> None:
    """Neither code nor pages of the shop's own room say the name of a counter, a platform or a unit."""
    names = {name for one in COUNTERS for name in (one.channel, str(one.platform), one.unit.code)}
    said = re.compile(rf"(?<![a-z])({'|'.join(sorted(names))})s?\b", re.IGNORECASE)
    pages = PACKAGE.parent / "templates"
    for path in [*(PACKAGE / "shop").glob("*.py"), *pages.glob("*.html"), *(pages / "shop").glob("*.html")]:
        assert not said.search(path.read_text()), path


def test_the_example_of_a_counter() -> None:
    """It imports nothing but what a room may: with its line in ROOMS the shop would load it."""
    arcade = Path(__file__).parent / "shop" / "arcade" / "__init__.py"
    assert {target.partition(".")[0] for target in imports(arcade)} <= DOORS["mixi"]


def place(path: Path) -> tuple[str, str]:
    """The room, and what the file is called in it; of a file that is a room of its own, nothing."""
    room, *inner = path.relative_to(PACKAGE).with_suffix("").parts
    return room, ".".join(inner).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """What a file imports of ours, without the leading `storefront.`; modules, never names in them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "storefront":
            package = node.module.removeprefix("storefront").removeprefix(".")
            for alias in node.names:
                target = f"{package}.{alias.name}".strip(".")
                yield target if is_module(target) else package or "__init__"
        elif isinstance(node, ast.Import):
            yield from (
                a.name.removeprefix("storefront.") for a in node.names if a.name.startswith("storefront.")
            )


def is_module(target: str) -> bool:
    path = PACKAGE.joinpath(*target.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()
