"""Two languages, complete: no text without its Japanese, none left over, nothing uncompiled."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from click.testing import CliRunner

from storefront import texts
from storefront.doctor import house
from storefront.languages import IN_CODE, LANGUAGES, WRITTEN, locale
from storefront.texts import SIDES, Side


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> Side:
    return SIDES[request.param]


def japanese(side: Side) -> Catalog:
    return texts.read(side.file("ja"), "ja")


@pytest.mark.long
def test_nothing_to_collect(side: Side, tmp_path: Path) -> None:
    """`storefront texts` leaves the catalogue as it is: it has what stands in code and pages, and no more."""
    file = tmp_path / "messages.po"
    file.write_bytes(side.file("ja").read_bytes())
    texts.refresh(file, "ja", texts.collect(side))
    assert file.read_text() == side.file("ja").read_text(), "run `storefront texts`"


@pytest.mark.long
def test_whoever_writes_it(side: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of Babel makes the same files of the same texts."""
    monkeypatch.setattr("babel.messages.catalog.VERSION", "0")
    file = tmp_path / "messages.po"
    file.write_bytes(side.file("ja").read_bytes())
    texts.refresh(file, "ja", texts.collect(side))
    for ending in (".po", ".mo"):
        assert file.with_suffix(ending).read_bytes() == side.file("ja").with_suffix(ending).read_bytes()


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != IN_CODE])
def test_no_slips(side: Side, language: str) -> None:
    """What is translated has the values of its text in it."""
    assert texts.slips(side.file(language), language) == []


@pytest.mark.parametrize("language", [one for one in WRITTEN if one != IN_CODE])
def test_all_translated(side: Side, language: str) -> None:
    """Each text has its translation; in a language more it may be without one."""
    file = side.file(language)
    lacking = [one.id for one in texts.read(file, language) if one.id and not texts.is_translated(one)]
    assert lacking == []


# What is said in one word, and in no other: 戻る, 所持数, いま使っている端末, 100pt …
OTHER_WORDS = re.compile(
    "もどる|もどり|すべて本物では|手にしているのは|個 ?持っています|まだ販売して|操作を理解できません"
    "|このフォームは使用済み|購入のあとで|見ることと使うこと|決済会社が返金します|^(?:棚|ホーム|mixi)へ$"
    "|(?:[0-9]|[)]s|[)]d) pt"
)


def test_one_word_for_each_thing(side: Side) -> None:
    """No Japanese text, and no sum in points, is put in words that were given up for better ones."""
    said = [str(one.string) for one in japanese(side)]
    assert [text for text in said if OTHER_WORDS.search(text)] == []


def test_compiled(side: Side) -> None:
    """What the pages read is what the catalogue says."""
    with side.file("ja").with_suffix(".mo").open("rb") as file:
        compiled = texts.said(read_mo(file))
    assert compiled == texts.said(japanese(side)), "translate what is missing, then run `storefront texts`"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    """A side of the street with a page and catalogues of its own."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "page.html").write_text("{{ _('Rope') }} {{ _('%(count)s left', count=1) }}")
    side = Side((tmp_path / "pages",), tmp_path / "translations")
    monkeypatch.setattr(texts, "SIDES", {"mine": side})
    return side


def run() -> str:
    done = CliRunner().invoke(texts.texts)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_word_changes(mine: Side) -> None:
    """Whoever writes a new text gets its place in the catalogue; one that is gone goes, the rest stays."""
    assert "2 texts, 2 to translate" in run()
    file = mine.file("ja")
    file.write_text(file.read_text().replace('"Rope"\nmsgstr ""', '"Rope"\nmsgstr "綱"'))
    assert house.uncompiled(mine.catalogues) == ["ja"]
    (mine.folders[0] / "page.html").write_text("{{ _('New') }} {{ _('Rope') }}")
    assert "2 texts, 1 to translate" in run()
    assert re.findall(r'^msg\w+ "(.+)"$', file.read_text(), re.M) == ["Rope", "綱", "New"]
    assert house.uncompiled(mine.catalogues) == []
    assert "綱".encode() in file.with_suffix(".mo").read_bytes()


def test_a_language_more(mine: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """A language in the list gets catalogues to translate, by Babel's name for it; English needs none."""
    monkeypatch.setitem(LANGUAGES, "eo", "Esperanto")
    monkeypatch.setitem(LANGUAGES, "zh-TW", "繁體中文")
    run()
    made = sorted(path.name for path in mine.catalogues.iterdir())
    assert made == sorted(str(locale(one)) for one in LANGUAGES if one != "en")
    assert "zh_Hant_TW" in made
    assert "nplurals=2" in mine.file("eo").read_text()


def write(side: Side, page: str) -> None:
    (side.folders[0] / "page.html").write_text(page)


def translate(side: Side, text: str, by: str, as_form: str = "msgstr") -> None:
    file = side.file("ja")
    said, found = re.subn(rf'("{re.escape(text)}"\n{re.escape(as_form)}) ""', rf'\1 "{by}"', file.read_text())
    assert found == 1
    file.write_text(said)


def translations(side: Side) -> dict[tuple[str, ...], list[str]]:
    with side.file("ja").with_suffix(".mo").open("rb") as file:
        return texts.said(read_mo(file))


def refused() -> str:
    done = CliRunner().invoke(texts.texts)
    assert (done.exit_code, type(done.exception)) == (1, SystemExit), done.output
    return done.output


def test_a_broken_page(mine: Side) -> None:
    """A page that cannot be read is named with its line, and no catalogue changes."""
    run()
    before = mine.file("ja").read_bytes()
    write(mine, "{{ _('Rope') }}\n{% if rope %}")
    assert "page.html:2: " in refused()
    assert mine.file("ja").read_bytes() == before


def test_texts_that_went(mine: Side) -> None:
    """How many texts a catalogue lost is said."""
    run()
    write(mine, "{{ _('Rope') }}")
    assert "1 texts, 1 to translate, 1 gone" in run()


ONE, BOTH = "{{ _('Rope') }}", "{{ _('Rope') }} {{ ngettext('Rope', 'Ropes', 2) }}"


@pytest.mark.parametrize("page", ["{{ ngettext('Rope', 'Ropes', 2) }}", BOTH])
def test_a_plural_more_and_less(mine: Side, page: str) -> None:
    """A text that gains a plural keeps its translation as the first form; one that loses it keeps that."""
    write(mine, ONE)
    run()
    translate(mine, "Rope", "綱")
    write(mine, page)
    run()
    assert translations(mine) == {("Rope", "Ropes"): ["綱"]}
    write(mine, ONE)
    run()
    assert translations(mine) == {("Rope",): ["綱"]}


def test_a_plural_compiled(mine: Side) -> None:
    """A plural that nobody translated is said in English; translated, it is compiled as any text."""
    write(mine, "{{ ngettext('%(num)s rope', '%(num)s ropes', 2) }}")
    assert "1 texts, 1 to translate" in run()
    assert translations(mine) == {}
    assert house.uncompiled(mine.catalogues) == []
    translate(mine, "%(num)s ropes", "綱%(num)s本", "msgstr[0]")
    assert house.uncompiled(mine.catalogues) == ["ja"]
    run()
    assert house.uncompiled(mine.catalogues) == []


@pytest.mark.parametrize("by", ["残り%(conut)s", "残り", "%(count)sで100%", "%(count)s %s"])
def test_a_slip_of_a_translator(mine: Side, by: str) -> None:
    """A translation with other values than its text is named by both commands, and no page says it."""
    run()
    translate(mine, "%(count)s left", by)
    said = refused()
    line = mine.file("ja").read_text().splitlines().index('msgid "%(count)s left"') + 1
    assert f"messages.po:{line}: " in said
    assert "2 to translate" in said
    assert translations(mine) == {}
    assert len(house.slips(mine.catalogues)) == 1


def test_as_other_editors_write_it(mine: Side) -> None:
    """A mark of the encoding and the line ends of another system say nothing."""
    run()
    translate(mine, "Rope", "綱")
    file = mine.file("ja")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert "2 texts, 1 to translate" in run()
    assert translations(mine) == {("Rope",): ["綱"]}


def test_the_marks_of_a_merge(mine: Side) -> None:
    """A catalogue with two sides of a merge is refused with its line, and stays as it is."""
    run()
    file = mine.file("ja")
    file.write_text("<<<<<<< HEAD\n" + file.read_text())
    assert "messages.po:1: not a catalogue: <<<<<<< HEAD" in refused()
    assert file.read_text().startswith("<<<<<<<")


def test_what_translators_note(mine: Side) -> None:
    """Their comments stay, and what they doubt is not said."""
    run()
    translate(mine, "Rope", "綱")
    file = mine.file("ja")
    noted = file.read_text().replace('msgid "Rope"', '# of a ship\n#, fuzzy\nmsgid "Rope"')
    file.write_text("# By the harbour\n" + noted)
    before = file.read_text()
    assert "2 texts, 2 to translate" in run()
    assert file.read_text() == before
    assert translations(mine) == {}
