"""storefront texts: what people read, collected from code and pages for each language, and compiled.

Each side of the street has catalogues of its own. English stands in code and pages and needs none.
"""

from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path

import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import TemplateSyntaxError

from storefront import config
from storefront.config import PACKAGE
from storefront.languages import IN_CODE, LANGUAGES, locale

Text = str | tuple[str, ...]  # one form, or singular and plural

METHODS = [("**.py", "python"), ("**.html", "jinja2")]
OPTIONS = {"**.html": {"silent": "false"}}  # else a broken page is a page without texts
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None}
# The same texts make the same file, whoever writes it.
HEADER = """Language: {language}
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
Plural-Forms: {plurals}
"""


class Unreadable(click.ClickException):
    """A page whose texts cannot be taken; says where."""


class _Catalog(Catalog):
    """Its header is ours: Babel's names the version that wrote it."""

    @property
    def header(self) -> str:
        return HEADER.format(language=self.locale, plurals=self.plural_forms)

    def __iter__(self) -> Iterator[Message]:
        yield Message("", self.header)
        yield from islice(super().__iter__(), 1, None)


@dataclass(frozen=True)
class Side:
    """Where its texts stand, where its catalogues are, and whose folders in between are not its own."""

    folders: tuple[Path, ...]
    catalogues: Path
    without: str | None = None

    def file(self, language: str) -> Path:
        return self.catalogues / str(locale(language)) / "LC_MESSAGES" / "messages.po"


PAGES = config.folder("templates")
SIDES = {
    "shop": Side((PACKAGE, PAGES), PACKAGE / "translations", without="sandbox"),
    "sandbox": Side((PACKAGE / "sandbox", PAGES / "sandbox"), PACKAGE / "sandbox" / "translations"),
}


@click.command()
def texts() -> None:
    """Collect the texts of code and pages for each language, and compile what is translated."""
    translated = [language for language in LANGUAGES if language != IN_CODE]
    wanted = [(side, collect(side)) for side in SIDES.values()]
    kept = [(side.file(one), one, found) for side, found in wanted for one in translated]
    before = {file: read(file, language) for file, language, _ in kept}  # all, before any is written
    for file, language, found in kept:
        catalogue = refresh(file, language, found)
        lacking = sum(not is_translated(message) for message in catalogue if message.id)
        gone = sum(message.id not in catalogue for message in before[file] if message.id)
        went = f", {gone} gone" if gone else ""
        click.echo(f"{file}: {len(catalogue)} texts, {lacking} to translate{went}")


def collect(side: Side) -> list[Text]:
    """The texts that stand in a side's code and pages, in the order of reading."""
    return list(dict.fromkeys(_found(side)))


def refresh(file: Path, language: str, wanted: list[Text]) -> Catalog:
    """Let a catalogue have these texts, in the order that it has, new ones at its end; and compile it."""
    before = read(file, language)
    kept = [message.id for message in before if message.id in set(wanted)]
    catalogue = _Catalog(locale=locale(language))
    for text in dict.fromkeys([*kept, *wanted]):
        known = before.get(text)
        catalogue.add(text, known.string if known else None).flags.clear()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as written, file.with_suffix(".mo").open("wb") as compiled:
        written.write(_quoted(catalogue.header).encode())
        write_po(written, catalogue, width=0, omit_header=True)
        write_mo(compiled, catalogue)
    return catalogue


def read(file: Path, language: str) -> Catalog:
    """A catalogue as it is; an empty one where there is none."""
    if not file.exists():
        return Catalog(locale=locale(language))
    with file.open("rb") as written:
        return read_po(written, locale=locale(language))


def is_translated(message: Message) -> bool:
    return all(strings(message))


def strings(message: Message) -> list[str]:
    """What a text is translated by, one for each form."""
    return [message.string] if isinstance(message.string, str) else list(message.string or [""])


def _quoted(header: str) -> str:
    lines = "".join(f'"{line}\\n"\n' for line in header.splitlines())
    return f'msgid ""\nmsgstr ""\n{lines}\n'


def _found(side: Side) -> Iterator[Text]:
    for folder in side.folders:
        yield from (text for file, _, text, _, _ in _taken(folder) if side.without not in Path(file).parts)


def _taken(folder: Path) -> list[tuple[str, int, Text, list[str], str | None]]:
    reading: list[str] = []
    with redirect_stderr(StringIO()):  # it takes an f-string among a text's values for a text
        try:
            return list(
                extract_from_dir(
                    folder,
                    METHODS,
                    OPTIONS,
                    keywords=KEYWORDS,
                    callback=lambda file, *_: reading.append(file),
                )
            )
        except TemplateSyntaxError as error:
            raise Unreadable(f"{folder / reading[-1]}:{error.lineno}: {error.message}") from error
