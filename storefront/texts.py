"""storefront texts: what people read, collected from code and pages for each language, and compiled.

Each side of the street has catalogues of its own. English stands in code and pages and needs none.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, PoFileParser, write_po
from jinja2 import TemplateSyntaxError

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


METHODS = [("**.py", "python"), ("**.html", "jinja2"), ("**/walkthroughs/*.yaml", "storefront.texts:sources")]
OPTIONS = {"**.html": {"silent": "false"}}  # else a broken page is a page without texts
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None}
# The same texts make the same file, whoever writes it.
HEADER = """Language: {language}
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
Plural-Forms: {plurals}
"""
VALUE = re.compile(r"%(?:\(\w+\))?[a-zA-Z%]?")  # %(count)s, %s, and a bare % that is none


class Unreadable(click.ClickException):
    """A page or a catalogue whose texts cannot be taken; says where."""


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
    if wrong := [line for file, language, _ in kept for line in slips(file, language)]:
        raise click.ClickException("\n".join(wrong))


def collect(side: Side) -> list[Text]:
    """The texts that stand in a side's code and pages, in the order of reading.

    One that has a plural in one place has it in all.
    """
    found: dict[str, Text] = {}
    for text in _found(side):
        if isinstance(text, tuple) or text not in found:
            found[_forms(text)[0]] = text
    return list(found.values())


def refresh(file: Path, language: str, wanted: list[Text]) -> Catalog:
    """Let a catalogue have these texts, in the order that it has, new ones at its end; and compile it."""
    before = read(file, language)
    texts = {_forms(text)[0]: text for text in wanted}
    kept = [_forms(message.id)[0] for message in before]
    catalogue = _Catalog(locale=locale(language))
    for singular in dict.fromkeys(one for one in [*kept, *texts] if one in texts):
        _carry(before.get(singular), texts[singular], catalogue)
    written, compiled = BytesIO(), BytesIO()
    written.write(_quoted(before.header_comment, catalogue.header).encode())
    write_po(written, catalogue, width=0, omit_header=True)
    write_mo(compiled, _translated(catalogue, language))
    file.parent.mkdir(parents=True, exist_ok=True)
    _put(file, written.getvalue())
    _put(file.with_suffix(".mo"), compiled.getvalue())
    return catalogue


def read(file: Path, language: str) -> Catalog:
    """A catalogue as it is; an empty one where there is none.

    Raises Unreadable where a line is none of a catalogue, such as the marks of a merge.
    """
    catalogue = Catalog(locale=locale(language), header_comment="")
    if file.exists():
        try:
            with file.open(encoding="utf-8-sig") as written:
                PoFileParser(catalogue, abort_invalid=True).parse(written)
        except PoFileError as error:
            found = error.line or str(error).rpartition(" on ")[0]
            raise Unreadable(f"{file}:{error.lineno + 1}: not a catalogue: {found}") from error
        except UnicodeDecodeError as error:
            raise Unreadable(f"{file}: not in UTF-8: {error}") from error
    return catalogue


def is_translated(message: Message) -> bool:
    """Whether pages may say it: each form is there with its values, and no translator doubts it."""
    return all(strings(message)) and not message.fuzzy and not _has_slipped(message)


def strings(message: Message) -> list[str]:
    """What a text is translated by, one for each form."""
    return [message.string] if isinstance(message.string, str) else list(message.string or [""])


def said(messages: Iterable[Message]) -> dict[tuple[str, ...], list[str]]:
    """Each text with what it is translated by, whoever read it."""
    return {tuple(_forms(message.id)): strings(message) for message in messages if message.id}


def slips(file: Path, language: str) -> list[str]:
    """The translations whose values are not those of their text; no page could fill them in."""
    return [
        f"{file}:{message.lineno}: the values in {' / '.join(strings(message))!r} are not those of its text"
        for message in read(file, language)
        if message.id and not message.fuzzy and _has_slipped(message)
    ]


def _has_slipped(message: Message) -> bool:
    forms = strings(message)
    texts = _forms(message.id)
    # A single form is said of every number, and so has what the plural has.
    allowed = [_values(text) for text in (texts[-1:] if len(forms) == 1 else texts)]
    return any(form and _values(form) not in allowed for form in forms)


def _values(text: str) -> list[str]:
    """Those that have a name in any order and number, those without as they stand."""
    found = [value for value in VALUE.findall(text) if value != "%%"]
    return sorted(set(found)) if all("(" in value for value in found) else found


def _forms(text: Text | list[str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def _carry(known: Message | None, text: Text, catalogue: Catalog) -> None:
    """What is known of a text goes on, also where it gains a plural or loses it."""
    forms = [*(strings(known) if known else []), *[""] * catalogue.num_plurals]
    string = forms[0] if isinstance(text, str) else tuple(forms[: catalogue.num_plurals])
    made = catalogue.add(text, string, user_comments=known.user_comments if known else [])
    made.flags = known.flags & {"fuzzy"} if known else set()


def _translated(catalogue: Catalog, language: str) -> Catalog:
    ready = _Catalog(locale=locale(language))
    for message in catalogue:
        if message.id and is_translated(message):
            ready[message.id] = message
    return ready


def _put(file: Path, content: bytes) -> None:
    """All of it or nothing: a catalogue cut short would be the end of its translations."""
    beside = file.with_name(f"{file.name}.new")
    beside.write_bytes(content)
    beside.replace(file)


def _quoted(comment: str, header: str) -> str:
    lines = "".join(f'"{line}\\n"\n' for line in header.splitlines())
    above = f"{comment}\n" if comment else ""
    return f'{above}msgid ""\nmsgstr ""\n{lines}\n'


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
