"""One Japanese word for a thing, too: what the glossary does not say, no text says either."""

import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parent.parent
GLOSSARY = PROJECT / "storefront" / "GLOSSARY.md"
TEXTS = [
    *(PROJECT / "storefront").rglob("*.po"),
    *(PROJECT / "storefront" / "sandbox").rglob("*.yaml"),
    PROJECT / "storefront" / "sandbox" / "cast.py",
    *(PROJECT / "templates").rglob("*.html"),
    *(PROJECT / ".deploy").rglob("*.html"),
]
JAPANESE = "\u3005\u3041-\u30ff\u4e00-\u9fff"  # kana and kanji
WRONG_MARKS = re.compile(rf"[{JAPANESE}][!,:;?](?! en:)(?=[{JAPANESE} \"]|$)|[0-9s] pt\b")


def words() -> list[tuple[str, str]]:
    """What is said, and a word that is not, of the glossary's Japanese table."""
    table = GLOSSARY.read_text(encoding="utf-8").partition("## In Japanese")[2].partition("## ")[0]
    rows = re.findall(rf"^\| (.*[{JAPANESE}].*) \| (.+) \|$", table, re.MULTILINE)
    return [(said, word) for said, others in rows for word in others.split()]


WORDS = words()


def test_the_table_is_read() -> None:
    """What is not said stands beside what is."""
    assert ("だれ", "誰") in WORDS
    assert ("ブラウザー", "ブラウザ") in WORDS


def test_words() -> None:
    """No text of shop and sandbox has another word for the thing, or a mark that is not Japanese."""
    found = {str(path.relative_to(PROJECT)): list(not_said(path.read_text("utf-8"))) for path in TEXTS}
    assert len(found) > 100
    assert not {path: lines for path, lines in found.items() if lines}


def not_said(text: str) -> Iterator[str]:
    """Each line of a text in which another word stands, and what is to be said."""
    for line in re.findall(rf".*[{JAPANESE}].*", text):
        for said, word in WORDS:
            if word in re.sub("|".join(said.split()), "", line):
                yield f"{line.strip()}: {said}"
        if found := WRONG_MARKS.search(line):
            yield f"{line.strip()}: {found[0]}"
