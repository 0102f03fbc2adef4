"""Forms of many fields: names to nested values and back, and nothing that names alone can break."""

import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.external.forms import flat, nested

names = st.sampled_from(["name", "site", "listed", "sent_on", "項目", "a-b", "x1"])
words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12)
groups = st.recursive(
    words,
    lambda inside: st.one_of(
        st.dictionaries(names, inside, min_size=1, max_size=4),
        st.lists(st.dictionaries(names, inside, min_size=1, max_size=3), min_size=1, max_size=12),
    ),
    max_leaves=20,
)
values = st.dictionaries(names, groups, max_size=5)
parts = st.sampled_from(["a", "b", "0", "1", "01", "10", "", "name", "٣", "²", "-1", "1e3", " "])
wild = st.dictionaries(
    st.lists(parts, min_size=1, max_size=4).map(".".join), st.sampled_from(["x", "", " ", "y"]), max_size=12
)


def leaves(tree: Any) -> int:
    """How many values a nested value holds."""
    if isinstance(tree, Mapping):
        return sum(leaves(value) for value in tree.values())
    return sum(leaves(value) for value in tree) if isinstance(tree, list) else 1


@given(values)
def test_there_and_back(written: dict[str, Any]) -> None:
    """What is laid out as fields and read again is what it was, ten rows and more in their order."""
    assert nested(flat(written)) == written


@given(values)
def test_back_and_there(written: dict[str, Any]) -> None:
    """The fields of a form that was read are the fields it is filled with again."""
    fields = flat(written)
    assert flat(nested(fields)) == fields


@given(values, st.lists(st.sampled_from(["blank", "providers.7.name", "a.b.c"]), unique=True))
def test_empty_fields_say_nothing(written: dict[str, Any], empty: list[str]) -> None:
    """Fields that were left empty, or hold blanks only, are as good as not sent."""
    assert nested({**flat(written), **dict.fromkeys(empty, " \t")}) == written


def test_rows_close_up() -> None:
    """A row that was left empty is no row; the others keep their order, by number and not by spelling."""
    fields = {"rows.10.x": "third", "rows.2.x": "second", "rows.0.x": "first", "rows.1.x": " "}
    assert nested(fields) == {"rows": [{"x": "first"}, {"x": "second"}, {"x": "third"}]}


def test_values_are_trimmed() -> None:
    """Blanks around a value are not part of it."""
    assert nested({"a": " x ", "b.0.c": "\ty\n"}) == {"a": "x", "b": [{"c": "y"}]}


def test_how_values_are_written() -> None:
    """Nothing and no are empty, yes is yes, zero is 0, and several texts stand on lines of their own."""
    written = flat({"none": None, "no": False, "yes": True, "zero": 0, "lines": ("a", "b"), "rows": ()})
    assert written == {"none": "", "no": "", "yes": "yes", "zero": "0", "lines": "a\nb"}


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"a": "value", "a.b": "inside"}, {"a": "value"}),
        ({"a.b": "inside", "a": "value"}, {"a": "value"}),
        ({"a.0.b": "row", "a": "value"}, {"a": "value"}),
        ({"a.0": "value", "a.0.b": "inside"}, {"a": {"0": "value"}}),
        ({"a.b.c": "deep", "a.b": "value", "a.d": "beside"}, {"a": {"b": "value", "d": "beside"}}),
    ],
)
def test_a_field_that_is_a_group_as_well(fields: dict[str, str], kept: dict[str, Any]) -> None:
    """Where a name is both a value and a group, the value counts, whichever came first."""
    assert nested(fields) == kept


@pytest.mark.parametrize("number", ["1000000000", "9" * 19, "9" * 400, "9" * 5000])
def test_huge_row_numbers(number: str) -> None:
    """A row's number says where it stands, if it is one at all, and not how many rows there are."""
    tracemalloc.start()
    try:
        found = nested({f"providers.{number}.x": "last", "providers.0.x": "first"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found["providers"] in ([{"x": "first"}, {"x": "last"}], [{"x": "first"}])
    assert peak < 1024 * 1024


@pytest.mark.parametrize("name", ["a" + ".a" * 5000, "a" + ".0" * 5000, "." * 5000])
def test_deep_names(name: str) -> None:
    """A name of many parts is only a strange name, and no way to exhaust the stack."""
    assert nested({name: "x", "b": "y"})["b"] == "y"


@given(wild)
def test_any_names(fields: dict[str, str]) -> None:
    """Whatever the fields are called, a form is read into named values, no more of them than were sent."""
    read = nested(fields)
    assert isinstance(read, dict)
    assert leaves(read) <= sum(bool(value.strip()) for value in fields.values())


def texts(fields: Mapping[str, str]) -> list[str]:
    return sorted(" ".join(fields.values()).split())


@given(wild)
def test_reading_again_loses_nothing(fields: dict[str, str]) -> None:
    """A form that comes back with an error, strange names and all, still holds what was read from it."""
    once = flat(nested(fields))
    assert texts(flat(nested(once))) == texts(once)
