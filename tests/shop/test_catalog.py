"""The catalogue: what the file may say, and what the shelf makes of it."""

from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask

from storefront import COUNTERS
from storefront.db import transaction
from storefront.shop import catalog, catalog_file, counter
from storefront.shop.catalog_file import CatalogError, Entry, columns
from tests.street import GOODS, Books, Container

RULES = counter.price_rules(COUNTERS)
GOOD = """
- id: rope
  name: {ja: 綱, en: Rope}
  description: {ja: 長い綱。, en: A long rope.}
  art: rope.svg
  prices: {mixi: 10}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("id: rope", "id: a-rope", 2, "an id is 1 to 64 half-width letters and digits"),
        ("id: rope", f"id: {'x' * 65}", 2, "an id is 1 to 64"),
        ("id: rope", "id: 綱", 2, "an id is 1 to 64"),
        ("id: rope", "id: 2027", 2, "id: must be text: put it in quotes"),
        ("id: rope", "id: 2027-01-31", 2, "an id is 1 to 64"),
        ("id: rope", "ident: rope", 2, "ident: is no field of an item: there are id"),
        ("- id: rope\n  name", "- name", 2, "id: is missing: add it"),
        ("綱, en", f"{'綱' * 65}, en", 3, "at most 128 half-width columns"),
        ("en: Rope}", 'en: " "}', 3, "printable"),
        ("en: Rope}", 'en: "a\\tb"}', 3, "printable"),
        ("en: Rope}", 'en: "\\ud800"}', 3, "printable"),
        ("en: Rope}", 'en: "\\UFFFFFFFF"}', 3, "a character that no text has"),
        ("en: Rope}", 'en: "\\U00110000"}', 3, "a character that no text has"),
        (GOOD, f"# ropes\n%YAML 1.3\n---{GOOD}", 2, "a version of YAML that is not read here"),
        ("en: Rope}", "en: 7}", 3, "name.en: must be text: put it in quotes"),
        ("en: Rope}", "en: 7.5}", 3, "text stands in quotes"),
        ("en: Rope}", "en: on: sale}", 3, "quotes"),
        ("en: Rope}", "en: Rope, en: Cord}", 3, "name.en: stands already on line 3"),
        ("en: Rope}", "en: Rope, 1: x}", 3, "1 cannot stand before a colon"),
        ("en: Rope}", "en: Rope, [a]: x}", 3, "this cannot stand before a colon"),
        ("en: Rope}", "en: Rope", 4, "quotes, brackets"),
        ("en: Rope}", "en: 'Rope}", 7, "quotes"),
        ("ja: 綱, ", "", 3, "needs 'ja' as well"),
        ("en: Rope", "xx: Corde", 3, "'ja' or 'en'"),
        ("name: {ja: 綱, en: Rope}", "name: Rope", 3, "name: must be a mapping"),
        ("name: {ja: 綱, en: Rope}", "name: [綱, Rope]", 3, "name: must be a mapping"),
        ("name: {ja: 綱, en: Rope}", "name: &n {ja: 綱, en: Rope}", 3, "& and * are not read here"),
        ("ja: 長い綱。", 'ja: ""', 4, "must be text without control"),
        ("ja: 長い綱。", 'ja: "\\0"', 4, "must be text without control"),
        ("art: rope.svg", "art: ../rope.svg", 5, "art: is the name of an .svg file"),
        ("art: rope.svg", "art: rope.gif", 5, "art: is the name of an .svg file"),
        ("art: rope.svg", "art: !png rope.svg", 5, "!png is not read here"),
        ("art: rope.svg", "art: !!binary cm9wZQ==", 5, "is not read here"),
        ("art: rope.svg", "art: !!python/name:os.system x", 5, "is not read here"),
        ("art: rope.svg", "art: *rope", 5, "undefined alias"),
        ("art: rope.svg", "art: [rope.svg", 6, "quotes, brackets"),
        ("  art: rope.svg", "\tart: rope.svg", 5, "indent with spaces"),
        ("  art: rope.svg", " art: rope.svg", 5, "indentation"),
        ("mixi: 10", "mixi: 9", 6, "not within 10 to 10000 points"),
        ("mixi: 10", "mixi: 10001", 6, "not within 10 to 10000 points"),
        ("mixi: 10", f"mixi: {'9' * 5000}", 6, "whole number"),
        ("mixi: 10", "mixi: 10.5", 6, "whole number"),
        ("mixi: 10", "mixi: 10.0", 6, "prices.mixi: 10.0 is not read here: a number is a whole number"),
        ("{mixi: 10}", "[10]", 6, "prices: must be a mapping of channels to amounts"),
        (
            "  art:",
            "  on_sale_from: 2027-02-01\n  on_sale_until: 2027-01-01\n  art:",
            6,
            "on_sale_until: lies before on_sale_from, or at the same moment",
        ),
        ("mixi: 10", "mixi: 1_000", 6, "digits only"),
        ("mixi: 10", "mixi: 0x10", 6, "digits only"),
        ("mixi: 10", "mixi: 1:30", 6, "whole number"),
        ("mixi: 10", "mixi: 1e2", 6, "whole number"),
        ("mixi: 10", "mixi: true", 6, "whole number"),
        ("mixi: 10", "mixi: ~", 6, "whole number"),
        ("mixi: 10", 'mixi: "10"', 6, "whole number"),
        ("mixi: 10", "mixi: ten", 6, "whole number"),
        ("mixi: 10", "mixi: !!int ten", 6, "whole number"),
        ("{mixi: 10}", "{}", 6, "at least 1"),
        ("{mixi: 10}", "10", 6, "prices: must be a mapping"),
        ("{mixi: 10}", "{mixi: 10, mixi: 20}", 6, "prices.mixi: stands already on line 6"),
        ("{mixi: 10}", "{mixi: 10}\n  art: cord.svg", 7, "art: stands already on line 5"),
        ("{mixi: 10}", "{<<: {mixi: 10}}", 6, "<< cannot stand before a colon"),
        ("{mixi: 10}", "&p {mixi: 10}\n- <<: *p", 6, "& and * are not read here"),
        ("{mixi: 10}", f"{'[' * 1000}{']' * 1000}", 6, "nested too deeply"),
        ("{mixi: 10}", "&p [*p]", 6, "& and * are not read here"),
        ("  art:", "  weight: 3\n  art:", 5, "weight: is no field of an item: there are id"),
        ("  art:", '  "\\ud800\\e[31m": 3\n  art:', 5, "??[31m cannot stand before a colon"),
        ("  art:", "  stok: 3\n  art:", 5, "stok: is no field of an item: did you mean stock?"),
        ("  art:", "  stock: 99999999999999999999\n  art:", 5, "stock: must be at most 2,147,483,647"),
        ("  art:", "  stock: -1\n  art:", 5, "stock: must be at least 0"),
        ("  art:", "  per_customer: 0\n  art:", 5, "per_customer: must be at least 1"),
        ("  art:", "  per_customer: 2147483648\n  art:", 5, "per_customer: must be at most"),
        ("  art:", "  consumable: yes\n  art:", 5, "consumable: must be true or false"),
        ("  art:", "  consumable: 1\n  art:", 5, "consumable: must be true or false"),
        ("  art:", "  on_sale_from: 2027-02-29\n  art:", 5, "no such day or time as 2027-02-29"),
        ("  art:", "  on_sale_from: 2027-13-01\n  art:", 5, "no such day or time"),
        ("  art:", "  on_sale_from: 2027-01-31 24:00\n  art:", 5, "no such day or time"),
        ("  art:", "  on_sale_from: 2027-01-31 18:00 +25:00\n  art:", 5, "no such day or time"),
        ("  art:", "  on_sale_from: 0001-01-01 00:00\n  art:", 5, "no such day or time"),
        ("  art:", "  on_sale_until: 9999-12-31 23:59 -12:00\n  art:", 5, "no such day or time"),
        ("  art:", "  on_sale_until: 9999-12-31\n  art:", 5, "no such day or time"),
        ("  art:", "  on_sale_from: 20270131\n  art:", 5, "a moment is written 2027-01-31 18:00"),
        ("  art:", "  on_sale_from: tomorrow\n  art:", 5, "a moment is written 2027-01-31 18:00"),
        ("  art:", "  on_sale_from: 31.1.2027 18:00\n  art:", 5, "a moment is written 2027-01-31 18:00"),
        ("- id", "- just a word\n- id", 2, "an item is a mapping"),
        ("- id", "-\n- id", 2, "an item is a mapping"),
        ("- id", "- !rope\n  id", 2, "!rope is not read here"),
        ("{mixi: 10}", "{mixi: 10}\n---\n- id: cord", 7, "take the --- out"),
        ("{mixi: 10}", "{mixi: 10}\n%YAML 9", 7, "is not YAML"),
        ("Rope", "Rope\0", 3, "a character that no text has"),
    ],
)
def test_broken_rules(tmp_path: Path, old: str, new: str, line: int, rule: str) -> None:
    """Each error names the line, the rule and what to do; none is a traceback."""
    file = tmp_path / "catalog.yaml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(CatalogError) as error:
        catalog_file.read(file, RULES)
    assert f"{file}:{line}: " in str(error.value)
    assert rule in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"a: b", b"- [", b"\0", b"# nothing", b"---\n---\n", b"*a", b"!x", b"%", b"\xef\xbb\xbf",
        GOOD.encode("utf-16"), GOOD.encode("shift_jis"), GOOD.encode().replace(b"Rope", b"\xff"),
        b"[" * 100_000, b"- " * 1000, b"{" * 1000, b"? " * 1000, b"&a [*a]", b'"', b"'", b"|", b"\t", b"@",
        "\ufffe".encode(), b"--- !!set {a}", b"- <<", b"\x85", b"!!python/object:os.system {}",
    ],
)  # fmt: skip
def test_no_catalogue_at_all(tmp_path: Path, content: bytes) -> None:
    """A file that is no list of items is said to be none, with a line."""
    file = tmp_path / "catalog.yaml"
    file.write_bytes(content)
    with pytest.raises(CatalogError, match=r"catalog\.yaml:\d+: "):
        catalog_file.read(file, RULES)


@pytest.mark.parametrize("channel", ["mixi_pc", "mixl", "arcade"])
def test_prices_of_an_absent_channel(tmp_path: Path, channel: str) -> None:
    """However near to another its name is, a counter that is gone leaves prices that lie idle."""
    file = tmp_path / "catalog.yaml"
    file.write_text(GOOD.replace("{mixi: 10}", f"{{mixi: 10, {channel}: 7}}"))
    (entry,) = catalog_file.read(file, RULES)
    assert entry.prices == {"mixi": 10, channel: 7}


@pytest.mark.parametrize("place", ["", "missing/catalog.yaml"])
def test_no_file(tmp_path: Path, place: str) -> None:
    """A folder, or nothing at all, is a sentence."""
    with pytest.raises(CatalogError, match="cannot be read"):
        catalog_file.read(tmp_path / place, RULES)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2027-01-31 18:00", "2027-01-31T18:00+09:00"),
        ("'2027-01-31 18:00'", "2027-01-31T18:00+09:00"),
        ("2027-01-31 18:00:30", "2027-01-31T18:00:30+09:00"),
        ('"2027-01-31T18:00:30"', "2027-01-31T18:00:30+09:00"),
        ("2027-1-31 9:05", "2027-01-31T09:05+09:00"),
        ("2027-01-31 18:00Z", "2027-01-31T18:00+00:00"),
        ("2027-01-31T18:00:00 -05:30", "2027-01-31T18:00-05:30"),
        ("2028-02-29", "2028-02-29T00:00+09:00"),
        ("'2028-02-29'", "2028-02-29T00:00+09:00"),
        ("!!timestamp 2028-02-29", "2028-02-29T00:00+09:00"),
        ("9999-12-31 23:59", "9999-12-31T23:59+09:00"),
    ],
)
def test_moments(tmp_path: Path, written: str, moment: str) -> None:
    """Minutes, seconds, bare days, zones and quotes mean what they say; without a zone it is Japan's time."""
    entry = only(tmp_path, f"  on_sale_from: {written}")
    assert entry.on_sale_from == datetime.fromisoformat(moment)


def test_until_a_day_has_that_day(tmp_path: Path) -> None:
    """What is sold until a bare day is sold on it; one day from and until is a day."""
    entry = only(tmp_path, "  on_sale_from: 2027-01-31\n  on_sale_until: 2027-01-31")
    assert entry.on_sale_until == datetime.fromisoformat("2027-02-01T00:00+09:00")


@pytest.mark.parametrize(
    ("written", "number"), [("010", 10), ("10", 10), ("+10", 10), ("0", 0), ("2147483647", 2147483647)]
)
def test_numbers(tmp_path: Path, written: str, number: int) -> None:
    """A number is what its digits say, noughts before them or not."""
    assert only(tmp_path, f"  stock: {written}").stock == number


def test_words_of_other_times(tmp_path: Path) -> None:
    """What older YAML took for true or for minutes is text, and a mark at the file's beginning is none."""
    text = GOOD.replace("en: Rope", "en: no").replace("A long rope.", "1:30").replace("rope.svg", "'on.svg'")
    file = tmp_path / "catalog.yaml"
    file.write_bytes(b"\xef\xbb\xbf%YAML 1.2\n---" + text.encode())
    (entry,) = catalog_file.read(file, RULES)
    assert (entry.name["en"], entry.description["en"], entry.art) == ("no", "1:30", "on.svg")


def test_the_same_id_twice(tmp_path: Path) -> None:
    """The second of two items with one id is named, with the line of the first."""
    file = tmp_path / "catalog.yaml"
    file.write_text(GOOD + GOOD)
    with pytest.raises(CatalogError, match="stands already on line 2"):
        catalog_file.read(file, RULES)


def test_every_problem_at_once(tmp_path: Path) -> None:
    """A shopkeeper mends all lines in one go."""
    file = tmp_path / "catalog.yaml"
    file.write_text(GOOD.replace("mixi: 10", "mixi: 1").replace("id: rope", "id: a b"))
    with pytest.raises(CatalogError) as error:
        catalog_file.read(file, RULES)
    assert "an id is" in str(error.value)


@pytest.mark.long
def test_what_passes_the_check_can_be_loaded(app: Flask, tmp_path: Path) -> None:
    """The largest numbers and the farthest moments fit the database, and its pages."""
    file = tmp_path / "catalog.yaml"
    most = "  stock: 2147483647\n  per_customer: 2147483647\n  on_sale_from: 0002-01-01\n"
    far = f"{most}  on_sale_until: 9999-12-31 23:59\n"
    file.write_text(GOOD.replace("id: rope", f"id: {'x' * 64}").replace("綱, en", f"{'綱' * 64}, en") + far)
    with app.app_context(), transaction() as session:
        assert catalog.load(session, file) == 1
    assert "9999" in Container(app).get(f"/items/{'x' * 64}").text


def test_columns() -> None:
    """A full-width character takes two half-width columns."""
    assert [columns(text) for text in ("sword", "剣", "ｶﾅ", "Ａ")] == [5, 2, 2, 2]


def only(folder: Path, line: str) -> Entry:
    """The good item, with a line more."""
    file = folder / "catalog.yaml"
    file.write_text(f"{GOOD}{line}\n")
    (entry,) = catalog_file.read(file, RULES)
    return entry


def test_a_sale_keeps_its_name_and_price(app: Flask, container: Container, tmp_path: Path) -> None:
    """What was sold stays as it was sold, and stays held, when the shelf changes."""
    code = container.start("excalibur")
    container.callback(code)
    file = tmp_path / "catalog.yaml"
    file.write_text(GOOD)
    with app.app_context(), transaction() as session:
        assert catalog.load(session, file) == 1
    history = container.get("/history").text
    assert "エクスカリバー" in history
    assert "100pt" in history
    assert 'data-item="excalibur"' in container.get("/inventory").text
    assert container.get("/items/excalibur").status_code == 404
    assert "excalibur" not in container.get("/").text


def test_a_price_that_rose_meanwhile(app: Flask, container: Container, books: Books, tmp_path: Path) -> None:
    """A form made for the old price is out of date; nobody pays what they did not read."""
    page = container.get("/items/loaf")
    file = tmp_path / "catalog.yaml"
    file.write_text(GOODS.read_text().replace("prices: {mixi: 10,", "prices: {mixi: 20,"))
    with app.app_context(), transaction() as session:
        catalog.load(session, file)
    token = page.text.split('name="token" value="')[1].split('"')[0]
    assert container.post("/mixi/payments", {"item": "loaf", "token": token}).status_code == 400
    assert books.payments() == 0
