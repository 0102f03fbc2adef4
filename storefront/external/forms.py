"""Forms of many fields: from names such as `providers.0.site` to nested values and back. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from storefront.clock import JAPAN

Fields = dict[str, str]
MOST_PARTS = 20  # of a name
TOO_LONG = re.compile(r"[0-9]{10,}")  # for the number of a row
# pydantic's kinds of problems, by how they begin.
WORDS = {"datetime": "moment", "date": "day", "int": "number", "less": "number", "greater": "number"}
WORDS |= {"string_too_long": "long", "string_pattern": "mail"}


def nested(fields: Mapping[str, str]) -> dict[str, Any]:
    """The values of a form; a number in a name counts rows, empty fields and empty rows are left out."""
    tree: dict[str, Any] = {}
    for name, value in fields.items():
        parts = name.split(".", MOST_PARTS)
        if value.strip() and len(parts) <= MOST_PARTS and not any(map(TOO_LONG.fullmatch, parts)):
            _plant(tree, parts[0], parts[1:], value.strip())
    return {name: _rows(value) for name, value in tree.items()}


def flat(values: Mapping[str, Any], before: str = "") -> Fields:
    """The fields that a form of these values is filled with."""
    fields: Fields = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            fields |= flat(value, f"{before}{name}.")
        elif isinstance(value, list | tuple) and all(isinstance(row, Mapping) for row in value):
            fields |= flat({str(number): row for number, row in enumerate(value)}, f"{before}{name}.")
        else:
            fields[before + name] = _written(value)
    return fields


def problems(error: ValidationError) -> dict[str, str]:
    """What is wrong, in a word for each field by its name; about the whole, by the empty name."""
    found = error.errors(include_url=False, include_input=False)
    return {".".join(str(part) for part in each["loc"]): _word(each["type"]) for each in found}


def _word(kind: str) -> str:
    return next((word for start, word in WORDS.items() if kind.startswith(start)), kind)


def _plant(tree: dict[str, Any], branch: str, rest: list[str], value: str) -> None:
    if not rest:
        tree[branch] = value
        return
    child = tree.setdefault(branch, {})
    if isinstance(child, dict):  # a field cannot be both a value and a group
        _plant(child, rest[0], rest[1:], value)


def _rows(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    grown = {name: _rows(value) for name, value in tree.items()}
    numbered = all(name.isascii() and name.isdigit() for name in grown)
    if numbered and all(isinstance(value, dict) for value in grown.values()):
        return [grown[name] for name in sorted(grown, key=int)]
    return grown


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(JAPAN).strftime("%Y-%m-%dT%H:%M")
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    return "\n".join(value) if isinstance(value, list | tuple) else str(value)
