"""One word for a thing: what the glossary does not say, no name in the code says either."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
GLOSSARY = PROJECT / "storefront" / "GLOSSARY.md"
FILES = sorted([*(PROJECT / "storefront").rglob("*.py"), *(PROJECT / "tests").rglob("*.py")])

# Names that are not ours, and words in another sense.
OF_OTHERS = {
    "handle_request", "handle_error", "handle_starttag",  # methods of what we inherit from
    "proxy_manager_for", "exc_info", "info", "user_agent",
    "transaction",  # the database's
    "CREDIT_CARD", "DATA_LOSS",  # means of the platform, and a kind of harm
    "colorme_webhook_secret", "colorme_webhook_secret_previous", "webhook_secret",  # as the store calls it
    "build_data",  # hatchling's
    "data", "DATA",  # the option, and the folder that it names
}  # fmt: skip
OF_TESTS = {"user", "handler"}  # of a database, of a log
SORTED = re.compile(r"(^|_)order(ed)?($|_)", re.IGNORECASE)


def banned() -> set[str]:
    """The words of the glossary's last table."""
    table = GLOSSARY.read_text().partition("## Not said")[2]
    rows = re.findall(r"^\| ([a-z, ]+) \|", table, re.MULTILINE)
    return {word for row in rows for word in row.split(", ")} - {"not"}


BANNED = banned()


def test_the_glossary_is_read() -> None:
    """What is not said stands in its last table."""
    assert {"order", "webhook", "helper"} <= BANNED


@pytest.mark.long
def test_names() -> None:
    """No module, class, function or variable has a name of another word for the thing."""
    assert len(FILES) > 200
    assert not [(str(path.relative_to(PROJECT)), *found) for path in FILES for found in not_said(path)]


def not_said(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Each name of a file in which another word stands, and the word."""
    allowed = {"user"} if "sandbox" in path.parts else OF_TESTS if "tests" in path.parts else set()
    for name in {path.stem, *names(path)} - OF_OTHERS:
        if found := words(name) & (BANNED - allowed):
            yield name, found


def names(path: Path) -> Iterator[str]:
    """Every name that a file gives."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) if name.startswith("test_"):
                continue  # a sentence
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def words(name: str) -> set[str]:
    """The words of a name, in lower case and the singular."""
    if SORTED.search(name):
        return set()
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return {part.lower() for part in parts} | {part.lower().removesuffix("s") for part in parts}
