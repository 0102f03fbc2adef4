"""storefront texts: what people read, collected from code and pages for each language, and compiled.

Each side of the street has catalogues of its own. English stands in code and pages and needs none.
"""

import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from storefront import config
from storefront.config import PACKAGE
from storefront.languages import IN_CODE, LANGUAGES, locale

Text = str | tuple[str, ...]  # one form, or singular and plural

Found = tuple[int, str, str, list[str]]  # as babel wants it: line, keyword, text, comments


def sources(file: BinaryIO, *_: object, **__: object) -> Iterator[Found]:
    """Of a file of walkthroughs, where each rule comes from; it stands on a line of its own."""
    for number, line in enumerate(file, 1):
        said = re.fullmatch(r' +(?:source|row): "?(.+?)"?', line.decode().rstrip())
        if said:
            yield number, "N_", said[1], []


METHODS = [("**.py", "python"), ("**.html", "jinja2"), ("walkthroughs/*.yaml", "storefront.texts:sources")]
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None}
# The same texts make the same file, whoever writes it.
HEADER = """Language: {language}
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
Plural-Forms: {plurals}
"""


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
    for side in SIDES.values():
        for language in LANGUAGES:
            if language != IN_CODE:
                file = side.file(language)
                catalogue = refresh(file, language, collect(side))
                lacking = sum(not is_translated(message) for message in catalogue if message.id)
                click.echo(f"{file}: {len(catalogue)} texts, {lacking} to translate")


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
        with redirect_stderr(StringIO()):  # it takes an f-string among a text's values for a text
            found = list(extract_from_dir(folder, METHODS, keywords=KEYWORDS))
        yield from (text for file, _, text, _, _ in found if side.without not in Path(file).parts)
