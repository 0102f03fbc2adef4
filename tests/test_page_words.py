"""No test depends on the words of a page: in a shop that says it otherwise, the tests pass as they are.

What a page says is known by its marks: README.md of `shop`, what pages say of themselves.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

PROJECT = Path(__file__).parent.parent
# Their subject is words; and the platforms' own pages, which nobody rewords.
ABOUT_WORDS = {"test_glossary.py", "test_japanese.py", "test_languages.py", "test_page_words.py"}
OF_THE_PLATFORM = PROJECT / "tests" / "sandbox"
# What has the same words and is none of a page's: why, and where.
KEPT = {
    "external/test_operator.py": {
        "外部決済方法利用届出書", "新規外部決済利用アプリ申請書",  # forms of mixi's, by their own names
        "Risk: mixi may stop or delete the app.",  # of a command
    },
    "external/test_walk_of_both.py": {"Nothing was paid.", "In all, you have paid nothing."},  # the provider
    "release/test_refusals.py": {"the name is too long"},  # of a command
    "shop/test_catalog.py": {"no such day or time"},  # of a file's reader
    "test_settings.py": {"must be a whole number"},  # of the settings' reader
}  # fmt: skip
JAPANESE = re.compile("[ぁ-ゖァ-ヺ一-龠]")
FILLED_IN = re.compile(r"%\(\w+\)s|<[^>]+>|%%")
# In Japanese characters, in English words: of what is taken from a page, and of a whole piece of one.
LEAST_TAKEN, LEAST_WHOLE = (3, 2), (6, 3)
LONGEST = 500  # characters; what is longer is a file of the test's own


@cache
def pieces() -> tuple[str, ...]:
    """What the pages say, in code and translation, between what is filled in."""
    said: list[str] = []
    for path in sorted((PROJECT / "storefront" / "translations").rglob("*.po")):
        with path.open("rb") as file:
            for message in filter(lambda message: message.id, read_po(file)):
                for forms in filter(None, (message.id, message.string)):
                    said += [forms] if isinstance(forms, str) else forms
    return tuple(piece.strip() for text in said for piece in FILLED_IN.split(text) if piece.strip())


@cache
def whole() -> re.Pattern[str]:
    """Any piece that is long enough to be nobody else's."""
    longest_first = sorted({piece for piece in pieces() if has(piece, LEAST_WHOLE)}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))


@cache
def together() -> str:
    return "\n".join(pieces())


def has(text: str, least: tuple[int, int]) -> bool:
    """Whether it is long enough, in the measure of its language."""
    characters, count = least
    return len(text) >= characters if JAPANESE.search(text) else len(text.split()) >= count


def is_of_a_page(constant: str) -> bool:
    """Whether it is part of what a page says, or has a whole piece of that in it."""
    text = constant.strip()
    begins = text[:1].isupper() or len(text.split()) > LEAST_WHOLE[1] or JAPANESE.search(text)
    if begins and has(text, LEAST_TAKEN) and text in together():
        return True
    if JAPANESE.search(text) and text in pieces():
        return True  # however short
    return len(text) < LONGEST and bool(whole().search(text))


def constants(path: Path) -> Iterator[str]:
    """The texts of a file that are no docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_what_a_page_says_is_known() -> None:
    """A sentence of either language is found, in part and among other words; goods are not, nor are marks."""
    for is_japanese in (True, False):
        said = next(
            piece for piece in pieces() if bool(JAPANESE.search(piece)) is is_japanese and len(piece) > 25
        )
        for constant in (said, said[:15], f"excalibur: {said} 100"):
            assert is_of_a_page(constant), constant
    for constant in ("excalibur", "エクスカリバー", "nothing-paid", "no such item", "Content-Type"):
        assert not is_of_a_page(constant), constant


def test_no_test_depends_on_words() -> None:
    """No text of a test is a page's, but where words are its subject, or where it is somebody else's."""
    found = {}
    for path in sorted((PROJECT / "tests").rglob("*.py")):
        if path.name in ABOUT_WORDS or OF_THE_PLATFORM in path.parents:
            continue
        name = path.relative_to(PROJECT / "tests").as_posix()
        if of_pages := set(filter(is_of_a_page, constants(path))) - KEPT.get(name, set()):
            found[name] = of_pages
    assert found == {}
